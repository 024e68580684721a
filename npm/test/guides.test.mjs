// The programs of the guides, against the packed package.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { folder, installed, vidsieve } from "./native.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const cleanups = [];
let project;

/** The code blocks of a guide in a language. */
async function programs(guide, language) {
  const text = await readFile(join(root, "../docs/guides", guide), "utf8");
  return [...text.matchAll(/```(\w+)\n([\s\S]*?)```/g)]
    .filter(([, name]) => name === language)
    .map(([, , code]) => code);
}

before(async () => {
  project = await folder({ after: (work) => cleanups.push(work) });
  await installed(project);
});

after(async () => {
  for (const work of cleanups) await work();
});

for (const guide of ["check-uploads.md", "embed-in-javascript.md"]) {
  test(`${guide}: its program for pages is sound TypeScript`, async () => {
    const [code] = await programs(guide, "ts");
    const name = guide.replace(".md", ".ts");
    await writeFile(join(project, name), code);
    const options = "--noEmit --strict --module esnext --moduleResolution bundler --target es2022";
    const libraries = ["--lib", "es2023,dom,dom.iterable", "--types", ""];
    execFileSync(join(root, "node_modules/.bin/tsc"), [...options.split(" "), ...libraries, name], {
      cwd: project,
      stdio: ["ignore", "inherit", "inherit"],
    });
  });
}

test("embed-in-javascript.md: its program for Node finds a copy", { timeout: 300_000 }, async () => {
  const [code] = await programs("embed-in-javascript.md", "js");
  await writeFile(join(project, "search.mjs"), code);
  const videos = join(project, "videos");
  vidsieve("samples", "--out", videos, "--seed", "1");
  const [query, copy, other] = ["originals/amber", "copies/amber-crop", "originals/granite"].map((name) =>
    join(videos, `${name}.mp4`),
  );
  const printed = execFileSync("node", ["search.mjs", query, other, copy], { cwd: project, encoding: "utf8" });
  const [first] = printed.split("\n");
  assert.match(first, /^0\.9\d\d copy .*amber-crop\.mp4$|^1\.000 copy .*amber-crop\.mp4$/, printed);
});
