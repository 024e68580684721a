import { compile } from "#kind";
import * as glue from "../../build/slim/vidsieve.js";

import { createHost } from "./host.js";
import type { Handlers } from "./methods.js";

/** The methods of the slim module. */
export async function makeHandlers(): Promise<Handlers> {
  glue.initSync({ module: await compile() });
  return createHost(glue, 1, null).handlers;
}
