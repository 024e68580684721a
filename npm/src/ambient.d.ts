/** SHA-256 of the bundle that comes with the package; put in by the build. */
declare const MODEL_SHA256: string;
/** `full` or `slim`; put in by the build. */
declare const KIND: "full" | "slim";

declare module "*.wasm" {
  const module: WebAssembly.Module;
  export default module;
}
/** Whether the package was built with the module that has threads; put in by the build. */
declare const THREADS: boolean;
