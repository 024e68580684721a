/**
 * What differs between hosts and between the two modules: with the encoder, or without. `#full` and `#slim` are files `kind-*.ts`,
 * chosen by the conditions of package.json, so that bundlers take along the files of one module only.
 */

/** The compiled module, the fastest that this host runs. */
export declare function compile(): Promise<WebAssembly.Module>;

/** A new Worker; null where work is done in place. */
export declare function spawn(): Worker | null;
