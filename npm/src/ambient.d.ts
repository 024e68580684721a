/** SHA-256 of the packaged bundle; the build sets it. */
declare const MODEL_SHA256: string;
/** The module of this entry, `full` or `slim`; the build sets it. */
declare const KIND: "full" | "slim";

declare module "*.wasm" {
  const module: WebAssembly.Module;
  export default module;
}
/** Whether the package has the module with threads; the build sets it. */
declare const THREADS: boolean;
