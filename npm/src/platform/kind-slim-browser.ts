import { compileUrl } from "./compile-browser.js";
import { startWorker } from "./start-worker.js";

export function compile(): Promise<WebAssembly.Module> {
  return compileUrl(new URL("./wasm/slim.wasm", import.meta.url));
}

export function spawn(): Worker | null {
  if (typeof Worker === "undefined") return null;
  const literal = () =>
    new Worker(new URL("./slim-worker.js", import.meta.url), { type: "module", name: "vidsieve-slim" });
  return startWorker(literal, "slim-worker.js", import.meta.url, { type: "module", name: "vidsieve-slim" });
}
