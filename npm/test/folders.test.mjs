// The folders of src/ import each other one way, and no files import each other in a circle.
import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { basename, dirname, join, posix } from "node:path";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";

const src = fileURLToPath(new URL("../src", import.meta.url));

/** The folders that each folder may import from: the table of src/README.md. */
const ALLOWED = {
  data: [],
  sources: ["data"],
  store: ["data"],
  platform: ["data", "store"],
  threads: ["data", "platform"],
  node: ["data", "sources"],
  engine: ["data", "sources", "store", "platform", "threads"],
  worker: ["data", "platform", "engine"],
  api: ["data", "sources", "engine", "worker"],
};

/** The names that tsconfig.json and package.json resolve. */
const ALIASES = {
  "#platform": "platform/platform.ts",
  "#kind": "platform/kind.ts",
  "#glue-threads": "threads/glue-threads.ts",
};

const IMPORT = /(?:^(import|export)( type)?\b[^;"]*?from |^(import) |\bimport\()"([^"]+)"/gm;

/** The imports of each file: the file that is imported, and whether only for its types. */
const imports = new Map();

before(async () => {
  for (const entry of await readdir(src, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith(".ts") || entry.name.endsWith(".d.ts")) continue;
    const file = posix.join(basename(entry.parentPath ?? entry.path), entry.name);
    const text = await readFile(join(src, file), "utf8");
    const found = [...text.matchAll(IMPORT)].map(([, , type, , name]) => ({
      to: ALIASES[name] ?? (name.startsWith(".") ? posix.join(dirname(file), name).replace(/\.js$/, ".ts") : name),
      type: type !== undefined,
    }));
    // Without packages, modules, and the glue that is built from Rust.
    imports.set(
      file,
      found.filter(({ to }) => to.endsWith(".ts") && !to.startsWith("../build/")),
    );
  }
});

test("every file is in a folder, and every relative import names a file", () => {
  assert.deepEqual([...new Set([...imports.keys()].map(dirname))].sort(), Object.keys(ALLOWED).sort());
  for (const [file, found] of imports) for (const { to } of found) assert.ok(imports.has(to), `${file} imports ${to}`);
});

test("folders import one way", () => {
  for (const [file, found] of imports) {
    for (const { to, type } of found) {
      const [from, into] = [dirname(file), dirname(to)];
      assert.ok(from === into || ALLOWED[from].includes(into), `${file} imports ${to}`);
      // The page must not bundle what runs in its Worker.
      assert.ok(from !== "api" || into !== "engine" || type, `${file} imports more than types from ${to}`);
    }
  }
});

test("no files import each other in a circle", () => {
  const done = new Set();
  const visit = (file, path) => {
    assert.ok(!path.includes(file), [...path.slice(path.indexOf(file)), file].join(" -> "));
    if (done.has(file)) return;
    for (const { to } of imports.get(file)) visit(to, [...path, file]);
    done.add(file);
  };
  for (const file of imports.keys()) visit(file, []);
});

test("src/README.md tells the same", async () => {
  const text = await readFile(join(src, "README.md"), "utf8");
  const rows = [...text.matchAll(/^\| \[`(\w+)`\]\(\w+\/README\.md\) \|[^|]*\| ([^|]*) \|$/gm)];
  const told = rows.map(([, folder, from]) => [folder, [...from.matchAll(/`(\w+)`/g)].map(([, name]) => name).sort()]);
  const allowed = Object.entries(ALLOWED).map(([folder, from]) => [folder, [...from].sort()]);
  assert.deepEqual(Object.fromEntries(told), Object.fromEntries(allowed));
});
