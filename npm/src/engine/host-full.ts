import { compile } from "#kind";
import * as glue from "../../build/full/vidsieve.js";

import { fullHandlers } from "./full.js";
import type { Handlers } from "./methods.js";

/** Starts the full module on one thread and returns its methods. */
export async function makeHandlers(): Promise<Handlers> {
  glue.initSync({ module: await compile() });
  return fullHandlers(glue, 1);
}
