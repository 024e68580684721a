import { compile } from "#kind";
import * as glue from "../../build/slim/vidsieve.js";

import type { Handlers } from "./methods.js";
import { Models } from "./models.js";
import { slimHandlers } from "./slim.js";

/** Starts the slim module and returns its methods. */
export async function makeHandlers(): Promise<Handlers> {
  glue.initSync({ module: await compile() });
  return slimHandlers(new Models(glue, 1, null));
}
