#!/usr/bin/env -S node --no-warnings
// Runs a wasm32-wasip1 program under Node's WASI: `run.mjs PROGRAM.wasm [ARG…]`.
// The working directory and every argument that names an existing folder are visible to it, nothing else.
import { readFile } from "node:fs/promises";
import { existsSync, statSync, realpathSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { WASI } from "node:wasi";

const [program, ...args] = process.argv.slice(2);
const preopens = { ".": process.cwd() };
for (const arg of args) {
  if (existsSync(arg) && statSync(arg).isDirectory()) preopens[arg] = realpathSync(arg);
}
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => name.startsWith("PROPTEST_") || name.startsWith("RUST_")),
);
const wasi = new WASI({ version: "preview1", args: [program, ...args], env, preopens, returnOnExit: true });
const bytes = await readFile(program);
// Older engines have relaxed-simd behind a flag.
if (!WebAssembly.validate(bytes)) setFlagsFromString("--experimental-wasm-relaxed-simd");
const module = await WebAssembly.compile(bytes);
// Each call goes through a JavaScript function: called straight from a module, Node 20's WASI takes a faster road that
// leaves the heap broken, and the process dies in a later garbage collection (seen as "Check failed: addr + aligned_size").
const imports = Object.fromEntries(
  Object.entries(wasi.getImportObject()).map(([name, functions]) => [
    name,
    Object.fromEntries(Object.entries(functions).map(([key, call]) => [key, (...values) => call(...values)])),
  ]),
);
const instance = await WebAssembly.instantiate(module, imports);
process.exit(wasi.start(instance));
