// Applications that use the package, and whether it works in them.
import assert from "node:assert/strict";

import { Encoder } from "vidsieve";

import { drawn, sharedBits } from "../frames.mjs";

/** The script of an application: what is tested is in `window`. */
export const ENTRY = `
import { Encoder, LocalIndex } from "vidsieve";
import { loadModel } from "vidsieve/slim";
Object.assign(window, { Encoder, LocalIndex, loadModel });
`;

/** A page with a script. */
export const html = (script) =>
  `<!doctype html><meta charset="utf-8"><title>app</title><link rel="icon" href="data:,"><script type="module"${script}</script>`;

const FRAMES = drawn(4, 160, 90, 4);
let reference;

/** What the package gives in Node. */
async function expected() {
  if (!reference) {
    const encoder = await Encoder.load();
    reference = await encoder.encode(FRAMES);
    encoder.dispose();
  }
  return reference;
}

/** Encodes, searches and loads a second entry in an application; gives the number of threads. */
export async function works({ page, problems }) {
  const frames = FRAMES.map(({ width, height, data }) => ({ width, height, data: [...data] }));
  const got = await page.evaluate(async (frames) => {
    const encoder = await Encoder.load();
    const video = await encoder.encode(
      frames.map(({ width, height, data }) => new ImageData(new Uint8ClampedArray(data), width, height)),
    );
    const index = await LocalIndex.open("bundled");
    await index.add("it", video);
    let hits;
    for await (const page of index.search(video)) hits = page.hits;
    await index.clear();
    const { info } = await loadModel();
    // No file can be read without the part of the package that is loaded with the first one.
    const text = await encoder.encode(new Blob(["no video"])).catch((error) => `${error.code}: ${error.message}`);
    return {
      codes: [...video.codes],
      score: hits[0].score,
      threads: encoder.model.threads,
      second: info.instructions,
      text,
    };
  }, frames);
  const here = await expected();
  assert.ok(sharedBits(Uint8Array.from(got.codes), here.codes) >= 0.999);
  assert.ok(got.score > 0.9);
  assert.match(got.second, /simd/);
  assert.match(got.text, /^unreadable: the file is no video/);
  assert.ok(page.workers().length >= 1, `${page.workers().length} Workers`);
  assert.deepEqual(problems, []);
  return got.threads;
}
