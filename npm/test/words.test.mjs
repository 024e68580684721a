// What the package says of a pair is what the command prints: both are tested with the same cases.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { describe } from "vidsieve";

const cases = JSON.parse(await readFile(new URL("../../crates/search/tests/words.json", import.meta.url), "utf8"));

test("words of every relation", () => {
  assert.equal(new Set(cases.map(({ relation }) => relation)).size, 7, "six relations and none");
  for (const { words, ...pair } of cases) assert.equal(describe(pair), words);
});
