// What the configuration that is deployed names.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import test from "node:test";

const root = new URL("../../", import.meta.url);

test("both Workers name the default bundle", () => {
  const bundle = createHash("sha256")
    .update(readFileSync(new URL("models/default.safetensors", root)))
    .digest("hex");
  for (const file of ["wrangler.toml", "workers/rerank/wrangler.toml"]) {
    const named = /^BUNDLE = "([0-9a-f]*)"$/m.exec(readFileSync(new URL(file, root), "utf8"))?.[1];
    assert.equal(named, bundle, `${file}: BUNDLE is to be the SHA-256 of models/default.safetensors`);
  }
});
