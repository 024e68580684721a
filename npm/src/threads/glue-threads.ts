/** Declares the glue of the module with threads, `build/full-threads/vidsieve.js`, which a package may lack. */

import type { initSync as initSyncOfFull } from "../../build/full/vidsieve.js";

export declare const Duplicates: typeof import("../../build/full/vidsieve.js").Duplicates;
export declare const Encoder: typeof import("../../build/full/vidsieve.js").Encoder;
export declare const Engine: typeof import("../../build/full/vidsieve.js").Engine;
export declare const Model: typeof import("../../build/full/vidsieve.js").Model;
export declare const Search: typeof import("../../build/full/vidsieve.js").Search;
export declare const Table: typeof import("../../build/full/vidsieve.js").Table;
export declare const inspect: typeof import("../../build/full/vidsieve.js").inspect;
export declare const instructionSet: typeof import("../../build/full/vidsieve.js").instructionSet;
export declare const isId: typeof import("../../build/full/vidsieve.js").isId;

/** Instantiates the module; a thread of its pool shares the memory of the first instance. */
export declare function initSync(options: {
  module: WebAssembly.Module;
  memory?: WebAssembly.Memory;
}): ReturnType<typeof initSyncOfFull>;

/** Starts the pool. */
export declare function initThreadPool(threads: number): Promise<void>;

/** Waits until all threads of the pool run, and returns their number. */
export declare function meet(): number;

/** Runs a thread of the pool until the page ends. */
export declare function wbg_rayon_start_worker(receiver: number): void;
