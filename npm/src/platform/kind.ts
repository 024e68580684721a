/**
 * Declares what differs between hosts and between the modules with and without the encoder. The
 * conditions of package.json resolve `#full` and `#slim` to files `kind-*.ts`, so that bundlers include
 * the files of one module only.
 */

/** Compiles the fastest module that this host supports. */
export declare function compile(): Promise<WebAssembly.Module>;

/** Starts a Worker; returns null on hosts that work in the same thread. */
export declare function spawn(): Worker | null;
