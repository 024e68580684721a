/** The classes of the WebAssembly modules, as wasm-bindgen declares them. */

import type * as Full from "../../build/full/vidsieve.js";
import type * as Slim from "../../build/slim/vidsieve.js";

/** What every module has. */
export type SlimGlue = Pick<typeof Slim, "Duplicates" | "Engine" | "Model" | "Search" | "Table" | "inspect" | "instructionSet" | "isId">;

/** What the modules with the encoder have. */
export type FullGlue = SlimGlue & Pick<typeof Full, "Encoder">;

export type { Engine, Model, Table } from "../../build/slim/vidsieve.js";
export type { Encoder, Model as FullModel, Session } from "../../build/full/vidsieve.js";
