import { compileUrl, relaxed } from "./compile-browser.js";
import { startWorker } from "./start-worker.js";

// Literal URLs: bundlers find the files by them.
const simd = () => new URL("./wasm/full.wasm", import.meta.url);
const fast = () => new URL("./wasm/full-relaxed.wasm", import.meta.url);

export function compile(): Promise<WebAssembly.Module> {
  return compileUrl(relaxed() ? fast() : simd());
}

export function spawn(): Worker | null {
  if (typeof Worker === "undefined") return null;
  const literal = () => new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "vidsieve" });
  return startWorker(literal, "worker.js", import.meta.url, { type: "module", name: "vidsieve" });
}
