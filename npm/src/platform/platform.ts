/**
 * What differs between hosts. `#platform` is one of the files `platform-*.ts`, chosen by the
 * conditions of package.json.
 */

import type { RecordStore } from "../store/record-store.js";

/** Fetches; also files in Node. */
export declare function open(url: string, signal: AbortSignal | undefined): Promise<Response>;

/** The bundle that comes with the package. */
export declare function packagedModel(): string;

/** The cache of models, where the host has one. */
export declare function models(): Promise<Cache | null>;

/** Opens the records of a local index. */
export declare function store(name: string): Promise<RecordStore>;

/** Lets other work of this thread go first. */
export declare function pause(): Promise<void>;
