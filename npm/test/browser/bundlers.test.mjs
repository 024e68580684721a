// The tarball in applications that webpack and esbuild bundle: they run, with their Worker and its module, isolated or not.
import assert from "node:assert/strict";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

import * as esbuild from "esbuild";
import { Encoder } from "vidsieve";
import webpack from "webpack";

import { drawn, sharedBits } from "../frames.mjs";
import { folder, installed } from "../native.mjs";
import { ISOLATED, launch, open, plainly } from "./browser.mjs";

const cleanups = [];
const suite = { after: (work) => cleanups.push(work) };
const entry = `
import { Encoder, LocalIndex } from "vidsieve";
import { loadModel } from "vidsieve/slim";
Object.assign(window, { Encoder, LocalIndex, loadModel });
`;
let project, browser;

before(async () => {
  project = await folder(suite);
  await installed(project);
  await writeFile(join(project, "app.js"), entry);
  browser = await launch(suite);
});

after(async () => {
  for (const work of cleanups.reverse()) await work();
});

const BUNDLERS = {
  /** Finds Workers, modules and the model by their URLs. */
  async webpack(to) {
    const stats = await promisify(webpack)({
      mode: "production", context: project, entry: "./app.js", target: "web", output: { path: to, filename: "app.js" }, performance: false,
    });
    assert.deepEqual(stats.toJson({ errors: true, warnings: true }, true).errors, []);
    assert.deepEqual(stats.toJson().warnings.map(({ message }) => message), []);
  },
  /** Leaves URLs as they are: what they name lies beside the bundle. */
  async esbuild(to) {
    await cp(join(project, "node_modules/vidsieve/dist"), to, { recursive: true });
    const options = { bundle: true, splitting: true, format: "esm", outdir: to, conditions: ["browser"], logLevel: "warning" };
    const { warnings } = await esbuild.build({ ...options, entryPoints: [join(project, "app.js")] });
    assert.deepEqual(warnings, []);
  },
};

for (const [name, bundle] of Object.entries(BUNDLERS)) {
  test(`an application that ${name} bundles`, async (t) => {
    const to = join(project, name);
    await mkdir(to);
    await bundle(to);
    await writeFile(join(to, "index.html"), '<!doctype html><meta charset="utf-8"><title>app</title><link rel="icon" href="data:,"><script type="module" src="app.js"></script>');
    const frames = drawn(4, 160, 90, 4);
    const encoder = await Encoder.load();
    const here = await encoder.encode(frames);
    encoder.dispose();
    for (const headers of [{}, ISOLATED]) {
      const { page, problems } = await open(browser, await plainly(to, t, headers), t, undefined, () => "Encoder" in window);
      const got = await page.evaluate(async (frames) => {
        const encoder = await Encoder.load();
        const video = await encoder.encode(frames.map(({ width, height, data }) => new ImageData(new Uint8ClampedArray(data), width, height)));
        const index = await LocalIndex.open("bundled");
        await index.add("it", video);
        let hits;
        for await (const page of index.search(video)) hits = page.hits;
        await index.clear();
        const { info } = await loadModel();
        return { codes: [...video.codes], score: hits[0].score, threads: encoder.model.threads, slim: info.instructions };
      }, frames.map(({ width, height, data }) => ({ width, height, data: [...data] })));
      assert.ok(sharedBits(Uint8Array.from(got.codes), here.codes) >= 0.999);
      assert.ok(got.score > 0.9);
      assert.equal(got.slim, "simd128");
      // Two entries, a Worker each, and threads where there are some.
      assert.ok(page.workers().length >= 2, `${page.workers().length} Workers`);
      assert.deepEqual(problems, []);
      t.diagnostic(`${name}, ${headers === ISOLATED ? "isolated" : "not isolated"}: ${got.threads} threads`);
    }
  });
}
