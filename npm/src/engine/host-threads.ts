/** Starts the module with threads, in the Worker of an isolated page, where blocking waits are allowed. */

import * as glue from "#glue-threads";

import { compileUrl } from "../platform/compile-browser.js";
import { fullHandlers } from "./full.js";
import type { Handlers } from "./methods.js";

/** Starts the full module on a pool of threads and returns its methods. */
export async function makeHandlers(threads: number): Promise<Handlers> {
  glue.initSync({ module: await compileUrl(new URL("./wasm/full-threads.wasm", import.meta.url)) });
  await glue.initThreadPool(threads);
  return fullHandlers(glue, glue.meet());
}
