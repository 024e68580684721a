// The tarball as its users get it.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { before, after, test } from "node:test";
import { fileURLToPath } from "node:url";

import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import * as esbuild from "esbuild";
import { publint } from "publint";

import { folder, installed } from "./native.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const cleanups = [];
let project, tarball;

/** The code blocks of the README in a language. */
async function examples(language) {
  const text = await readFile(join(root, "README.md"), "utf8");
  return [...text.matchAll(/```(\w+)\n([^]*?)```/g)].filter(([, name]) => name === language).map(([, , code]) => code);
}

before(async () => {
  project = await folder({ after: (work) => cleanups.push(work) });
  tarball = await installed(project);
});

after(async () => {
  for (const work of cleanups) await work();
});

test("nothing is missing from it, nothing is too much", async () => {
  const files = (await readdir(join(project, "node_modules/vidsieve"), { recursive: true, withFileTypes: true }))
    .filter((e) => e.isFile())
    .map((e) => e.name);
  for (const file of [
    "README.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "index.js",
    "index.d.ts",
    "browser.js",
    "ffmpeg.js",
    "ffmpeg.d.ts",
    "slim.js",
    "worker.js",
    "full.wasm",
    "default.safetensors",
  ]) {
    assert.ok(files.includes(file), file);
  }
  assert.deepEqual(
    files.filter((name) => name.endsWith(".ts") && !name.endsWith(".d.ts")),
    [],
  );
  const manifest = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
  assert.deepEqual(manifest.dependencies ?? {}, {});
});

test("publint finds nothing", async () => {
  const { messages } = await publint({ pkgDir: root, strict: true });
  assert.deepEqual(messages, []);
});

test("its types are right for all that can import modules", async () => {
  const assets = [/wasm/, "./model", "./contents.json", "./package.json"];
  const { problems } = await checkPackage(createPackageFromTarballData(await readFile(tarball)), {
    excludeEntrypoints: assets,
  });
  // It is of modules alone: older resolvers, and `require`, are not promised anything.
  assert.deepEqual(
    problems.filter(({ resolutionKind }) => !["node10", "node16-cjs"].includes(resolutionKind)),
    [],
  );
});

test("it says what it contains", async () => {
  const dist = join(project, "node_modules/vidsieve/dist");
  const { modules, threads } = JSON.parse(await readFile(join(dist, "contents.json"), "utf8"));
  assert.deepEqual(modules.map((name) => `${name}.wasm`).sort(), (await readdir(join(dist, "wasm"))).sort());
  for (const file of ["host-threads.js", "thread.js"])
    assert.equal((await readdir(dist)).includes(file), threads, file);
  assert.equal((await readFile(join(dist, "worker.js"), "utf8")).includes("host-threads.js"), threads);
});

test("the README's example for Node runs", async () => {
  const [code] = await examples("js");
  await writeFile(join(project, "example.mjs"), code);
  const output = execFileSync("node", ["example.mjs"], { cwd: project, encoding: "utf8" });
  assert.match(output, /^4 frames, \d+ bytes\ncoarse a [\d.]+\nrefined a [\d.]+\n$/);
});

test("the README's example for files in Node runs", async () => {
  const [, code] = await examples("js");
  await writeFile(join(project, "files.mjs"), code);
  execFileSync("ffmpeg", [
    "-v",
    "error",
    "-y",
    "-f",
    "lavfi",
    "-i",
    "testsrc2=s=160x90:r=25:d=3",
    join(project, "clip.mp4"),
  ]);
  const output = execFileSync("node", ["files.mjs"], { cwd: project, encoding: "utf8" });
  assert.match(output, /^24 3\n$/);
});

test("the README's example for pages is sound TypeScript", async () => {
  const [code] = await examples("ts");
  const given = "declare const file: File;\ndeclare const files: File[];\ndeclare const canvas: HTMLCanvasElement;\n";
  await writeFile(join(project, "page.ts"), `${given}${code}`);
  const options = [
    "--noEmit",
    "--strict",
    "--module",
    "esnext",
    "--moduleResolution",
    "bundler",
    "--target",
    "es2022",
    "--lib",
    "es2023,dom,dom.iterable",
    "--types",
    "",
    "page.ts",
  ];
  execFileSync(join(root, "node_modules/.bin/tsc"), options, { cwd: project, stdio: ["ignore", "inherit", "inherit"] });
});

for (const [condition, expected] of [
  ["browser", "indexedDB"],
  ["workerd", "./wasm/full.wasm"],
  ["node", "node:fs/promises"],
]) {
  test(`bundlers find the files of ${condition}`, async () => {
    const { outputFiles } = await esbuild.build({
      stdin: { contents: 'import * as vidsieve from "vidsieve"; console.log(vidsieve);', resolveDir: project },
      bundle: true,
      format: "esm",
      write: false,
      conditions: [condition],
      platform: "neutral",
      tsconfigRaw: {},
      external: ["node:*", "*.wasm", "./media.js"],
    });
    assert.ok(outputFiles[0].text.includes(expected));
  });
}

test("unused parts of the package are left out by bundlers", async () => {
  const { outputFiles } = await esbuild.build({
    stdin: { contents: 'import { VidsieveError } from "vidsieve"; console.log(VidsieveError);', resolveDir: project },
    bundle: true,
    format: "esm",
    write: false,
    conditions: ["browser"],
    minify: true,
    tsconfigRaw: {},
    external: ["./media.js"],
  });
  assert.ok(outputFiles[0].text.length < 2000, `${outputFiles[0].text.length} bytes`);
});

test("the public surface is the one that was agreed on", async () => {
  const names = (await readdir(join(root, "dist"))).filter((name) => name.endsWith(".d.ts")).sort();
  const parts = await Promise.all(
    names.map(async (name) => `// ${name}\n${await readFile(join(root, "dist", name), "utf8")}`),
  );
  const found = parts.join("\n");
  const file = join(root, "test/surface.d.ts");
  if (process.env.UPDATE_SURFACE) await writeFile(file, found);
  assert.equal(
    found,
    await readFile(file, "utf8"),
    "the surface changed; if that is meant: UPDATE_SURFACE=1 cargo xtask test --only package",
  );
});
