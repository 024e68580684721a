import { compile } from "#kind";
import * as glue from "../../build/full/vidsieve.js";

import { fullHandlers } from "./full.js";
import type { Handlers } from "./methods.js";

/** The methods of the full module, in one thread. */
export async function makeHandlers(): Promise<Handlers> {
  glue.initSync({ module: await compile() });
  return fullHandlers(glue, 1);
}
