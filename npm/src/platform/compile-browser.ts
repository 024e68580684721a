import { VidsieveError } from "../data/errors.js";
import { open } from "./platform-browser.js";

/** A module with one relaxed-simd instruction. */
const RELAXED = Uint8Array.of(
  0,
  97,
  115,
  109,
  1,
  0,
  0,
  0,
  1,
  5,
  1,
  96,
  0,
  1,
  123,
  3,
  2,
  1,
  0,
  10,
  15,
  1,
  13,
  0,
  65,
  1,
  253,
  15,
  65,
  2,
  253,
  15,
  253,
  128,
  2,
  11,
);

/** Returns whether this browser supports relaxed-simd. */
export const relaxed = (): boolean => WebAssembly.validate(RELAXED);

/** Fetches and compiles a module. */
export async function compileUrl(url: URL): Promise<WebAssembly.Module> {
  const response = await open(url.href, undefined);
  if (!response.ok) throw new VidsieveError("network", `${url.href}: HTTP ${response.status}`);
  // Some servers do not know the media type of WebAssembly.
  if (response.headers.get("content-type")?.startsWith("application/wasm"))
    return WebAssembly.compileStreaming(response);
  return WebAssembly.compile(await response.arrayBuffer());
}
