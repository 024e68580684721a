/**
 * Declares what differs between hosts. The conditions of package.json resolve `#platform` to one of the
 * files `platform-*.ts`.
 */

import type { RecordStore } from "../store/record-store.js";

/** Fetches a URL; in Node also a file. */
export declare function open(url: string, signal: AbortSignal | undefined): Promise<Response>;

/** Returns the URL of the packaged bundle. */
export declare function packagedModel(): string;

/** Opens the cache of models; null if the host has none. */
export declare function models(): Promise<Cache | null>;

/** Opens the records of a local index. */
export declare function store(name: string): Promise<RecordStore>;

/** Yields to other tasks of this thread. */
export declare function pause(): Promise<void>;
