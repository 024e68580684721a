/** The module with threads: loaded by the Worker of an isolated page, in which waiting for threads is allowed. */

import * as glue from "#glue-threads";

import { compileUrl } from "../platform/compile-browser.js";
import { fullHandlers } from "./full.js";
import type { Handlers } from "./methods.js";

/** The methods of the full module, on a pool of threads. */
export async function makeHandlers(threads: number): Promise<Handlers> {
  glue.initSync({ module: await compileUrl(new URL("./wasm/full-threads.wasm", import.meta.url)) });
  await glue.initThreadPool(threads);
  return fullHandlers(glue, glue.meet());
}
