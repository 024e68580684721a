/** What differs between hosts. `#platform` is one of the files `platform-*.ts`, chosen by the conditions of package.json. */

/** Where a local index keeps its records. */
export interface RecordStore {
  /** SHA-256 of the bundle that made the records; null of a new index. */
  bundle(): Promise<string | null>;
  /** All records, one after the other. */
  each(visit: (id: string, record: Uint8Array) => void): Promise<void>;
  /** Some records; undefined for those that are not there. */
  get(ids: string[]): Promise<(Uint8Array | undefined)[]>;
  /** Adds or replaces; `bundle` is remembered as the index's. */
  put(id: string, record: Uint8Array, bundle: string): Promise<void>;
  remove(id: string): Promise<void>;
  /** Removes everything, the remembered bundle too. */
  clear(): Promise<void>;
  close(): void;
}

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
