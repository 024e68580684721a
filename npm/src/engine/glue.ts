/** The classes of the WebAssembly modules, as wasm-bindgen declares them. */

import type * as Full from "../../build/full/vidsieve.js";
import type * as Slim from "../../build/slim/vidsieve.js";

/** Classes of every module. */
export type SlimGlue = Pick<
  typeof Slim,
  "Duplicates" | "Engine" | "Model" | "Search" | "Table" | "inspect" | "instructionSet" | "isId"
>;

/** Classes of the modules with the encoder. */
export type FullGlue = SlimGlue & Pick<typeof Full, "Encoder">;

export type { Engine, Model, Table } from "../../build/slim/vidsieve.js";
export type { Encoder, Model as FullModel, Session } from "../../build/full/vidsieve.js";
