// Builds dist/: the modules' glue and the TypeScript into ESM, type declarations, wasm, the default model.
// `cargo xtask build-web` has put the output of wasm-bindgen into build/ before.
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { spawnSync } from "node:child_process";
import { basename, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
process.chdir(here);
const MODEL = "../models/default.safetensors";

await rm("dist", { recursive: true, force: true });
await mkdir("dist/wasm", { recursive: true });
await mkdir("dist/model");

const glue = await Promise.all(["full", "full-relaxed"].map((name) => readFile(`build/${name}/vidsieve.js`, "utf8")));
if (glue[0] !== glue[1]) throw new Error("the glue of the two builds differs: one cannot serve both modules");
// The module with threads needs more to be built than the others: a package may be without it.
const threads = existsSync("build/full-threads/vidsieve_bg.wasm");
const modules = ["full", "full-relaxed", "slim", ...(threads ? ["full-threads"] : [])];
for (const name of modules) await cp(`build/${name}/vidsieve_bg.wasm`, `dist/wasm/${name}.wasm`);
await cp(MODEL, "dist/model/default.safetensors");
for (const licence of ["LICENSE-MIT", "LICENSE-APACHE"]) await cp(`../${licence}`, licence);
const sha256 = createHash("sha256")
  .update(await readFile(MODEL))
  .digest("hex");

const common = {
  bundle: true,
  format: "esm",
  target: "es2022",
  absWorkingDir: here,
  outdir: "dist",
  splitting: true,
  minifySyntax: true,
  legalComments: "inline",
  logLevel: "warning",
};
const define = (kind) => ({
  KIND: JSON.stringify(kind),
  MODEL_SHA256: JSON.stringify(sha256),
  THREADS: String(threads),
});

/**
 * Modules that are loaded on demand stay files of their own. `dist/` is flat: they lie beside the
 * importing file, whatever the folder of their source.
 */
const apart = {
  name: "apart",
  setup(build) {
    build.onResolve({ filter: /\/(media|host-threads)\.js$/ }, ({ path }) => ({
      path: `./${basename(path)}`,
      external: true,
    }));
    build.onResolve({ filter: /\.wasm$/ }, ({ path }) => ({ path, external: true }));
  },
};
/** What differs between hosts is found by the conditions of package.json. */
const hosts = (kind) => ({
  name: "hosts",
  setup(build) {
    build.onResolve({ filter: /^#platform$/ }, () => ({ path: "#platform", external: true }));
    build.onResolve({ filter: /^#kind$/ }, () => ({ path: `#${kind}`, external: true }));
  },
});
/** In a browser's Worker the host is known. */
const browser = (kind) => ({
  name: "browser",
  setup(build) {
    build.onResolve({ filter: /^#platform$/ }, () => ({ path: `${here}src/platform/platform-browser.ts` }));
    build.onResolve({ filter: /^#kind$/ }, () => ({ path: `${here}src/platform/kind-${kind}-browser.ts` }));
  },
});

/**
 * The glue of the module with threads, whose pool is started by this package: `pool` is the file of
 * `threads/` that starts it. A thread has none, so that its script does not name itself.
 */
const pooled = (pool) => ({
  name: "pooled",
  setup(build) {
    build.onResolve({ filter: /^#glue-threads$/ }, () => ({ path: `${here}build/full-threads/vidsieve.js` }));
    build.onResolve({ filter: /\/workerHelpers\.js$/ }, () => ({ path: `${here}src/threads/${pool}.ts` }));
  },
});

for (const [kind, entry, worker] of [
  ["full", "index", "worker"],
  ["slim", "slim", "slim-worker"],
]) {
  const chunkNames = `${kind}-[name]-[hash]`;
  await esbuild.build({
    ...common,
    chunkNames,
    entryPoints: [`src/api/${entry}.ts`],
    define: define(kind),
    plugins: [apart, hosts(kind)],
  });
  await esbuild.build({
    ...common,
    splitting: false,
    minify: true,
    entryPoints: [`src/worker/${worker}.ts`],
    define: define(kind),
    plugins: [apart, browser(kind)],
  });
}
// For pages without a bundler: no name in it has to be resolved.
await esbuild.build({
  ...common,
  chunkNames: "browser-[name]-[hash]",
  minify: true,
  entryPoints: { browser: "src/api/index.ts" },
  define: define("full"),
  plugins: [apart, browser("full")],
});
for (const host of ["browser", "node", "workerd"]) {
  for (const part of ["platform", "kind-full", "kind-slim"]) {
    await esbuild.build({
      ...common,
      splitting: false,
      entryPoints: [`src/platform/${part}-${host}.ts`],
      external: ["node:*"],
      plugins: [apart],
    });
  }
}
if (threads) {
  for (const [entry, pool] of [
    ["engine/host-threads", "pool"],
    ["threads/thread", "no-pool"],
  ]) {
    await esbuild.build({
      ...common,
      splitting: false,
      minify: true,
      entryPoints: [`src/${entry}.ts`],
      define: define("full"),
      plugins: [apart, browser("full"), pooled(pool)],
    });
  }
}
await esbuild.build({ ...common, splitting: false, entryPoints: ["src/node/ffmpeg.ts"], external: ["node:*"] });
await esbuild.build({
  ...common,
  splitting: false,
  minify: true,
  entryPoints: ["src/sources/media.ts"],
  external: ["node:*"],
  banner: {
    js: "/*! Contains mediabunny (https://mediabunny.dev), MPL-2.0: its source is at https://github.com/Vanilagy/mediabunny */",
  },
});

const TYPES = "build/types";
await rm(TYPES, { recursive: true, force: true });
const tsc = spawnSync("node_modules/.bin/tsc", ["--project", "tsconfig.json"], { stdio: "inherit" });
if (tsc.status !== 0) process.exit(1);
await shipDeclarations(["api/index", "node/ffmpeg", "worker/worker", "worker/slim-worker"]);

/**
 * Writes the declarations that the entries reach to `dist/`, without the folders of `src/`. Those
 * of files that no entry reaches are not shipped.
 */
async function shipDeclarations(entries) {
  const shipped = new Map();
  const waiting = [...entries];
  for (const path of waiting) {
    const name = basename(path);
    if (shipped.has(name)) {
      if (shipped.get(name) !== path)
        throw new Error(`two declarations are called ${name}: src/${path}.ts, src/${shipped.get(name)}.ts`);
      continue;
    }
    shipped.set(name, path);
    const text = await readFile(`${TYPES}/${path}.d.ts`, "utf8");
    const flat = text.replaceAll(/(from |import\()"(\.\.?\/[^"]+)\.js"/g, (_, before, imported) => {
      waiting.push(posix.join(posix.dirname(path), imported));
      return `${before}"./${basename(imported)}.js"`;
    });
    await writeFile(`dist/${name}.d.ts`, flat);
  }
}

await writeFile("dist/contents.json", `${JSON.stringify({ modules, threads, model: sha256 }, null, 2)}\n`);
const sizes = {};
for (const file of [
  ...(await readdir("dist/wasm")).map((f) => `wasm/${f}`),
  ...[
    "worker.js",
    "host-threads.js",
    "thread.js",
    "slim-worker.js",
    "index.js",
    "browser.js",
    "slim.js",
    "media.js",
  ].filter((f) => existsSync(`dist/${f}`)),
  "model/default.safetensors",
]) {
  const bytes = await readFile(`dist/${file}`);
  sizes[file] = { bytes: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length };
}
await writeFile("build/sizes.json", `${JSON.stringify(sizes, null, 2)}\n`);
console.table(sizes);
