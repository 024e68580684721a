// Threads of isolated pages, and several Workers of others: what they compute is what one thread computes.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";

import * as glue from "../../build/full/vidsieve.js";
import { drawn } from "../frames.mjs";
import { folder } from "../native.mjs";
import { ISOLATED, launch, open, plainly, site } from "./browser.mjs";

const cleanups = [];
const suite = { after: (work) => cleanups.push(work) };
let browser, isolated, plain, threads;

before(async () => {
  const path = await folder(suite);
  const www = await site(path);
  ({ threads } = JSON.parse(await readFile(join(www, "contents.json"), "utf8")));
  const ffmpeg = (...args) => execFileSync("ffmpeg", ["-v", "error", "-y", "-f", "lavfi", ...args]);
  // 200 samples with scenes that differ; key frames far apart.
  ffmpeg(
    "-i",
    "testsrc2=s=192x108:r=5:d=200,hue=H=t/20",
    "-c:v",
    "libx264",
    "-preset",
    "ultrafast",
    "-pix_fmt",
    "yuv420p",
    "-g",
    "90",
    "-movflags",
    "faststart",
    join(www, "long.mp4"),
  );
  isolated = await plainly(www, suite, ISOLATED);
  plain = await plainly(www, suite);
  browser = await launch(suite);
});

after(async () => {
  for (const work of cleanups.reverse()) await work();
});

/** The record of frames by the module with neither threads nor relaxed-simd, here in Node. */
let engine, encoder;
async function reference(frames) {
  if (!encoder) {
    glue.initSync({ module: await readFile(new URL("../../dist/wasm/full.wasm", import.meta.url)) });
    const model = new glue.Model(
      "default",
      new Uint8Array(await readFile(new URL("../../dist/model/default.safetensors", import.meta.url))),
    );
    [engine, encoder] = [new glue.Engine(model), new glue.Encoder(model)];
  }
  const session = encoder.session();
  for (const { width, height, data } of frames) session.push(width, height, new Uint8Array(data.buffer), 1);
  return session.finish(
    Float64Array.from(frames, (_, t) => t),
    frames.length,
  );
}

const plainFrames = (frames) => frames.map(({ width, height, data }) => ({ width, height, data: [...data] }));

test("an isolated page has threads that give the codes of one", async (t) => {
  if (!threads) return t.skip("the package was built without threads");
  const { page, problems } = await open(browser, isolated, t);
  const frames = drawn(13, 160, 90, 5);
  const got = await page.evaluate(async (frames) => {
    const encoder = await vidsieve.Encoder.load();
    const images = frames.map(({ width, height, data }) => new ImageData(new Uint8ClampedArray(data), width, height));
    const video = await encoder.encode(images);
    return {
      isolated: crossOriginIsolated,
      cores: navigator.hardwareConcurrency,
      model: encoder.model,
      bytes: [...video.toBytes()],
    };
  }, plainFrames(frames));
  assert.equal(got.isolated, true);
  assert.equal(got.model.threads, Math.min(got.cores, 8));
  assert.equal(got.model.instructions, "simd128");
  assert.deepEqual(Uint8Array.from(got.bytes), await reference(frames));
  assert.deepEqual(problems, []);
});

test("its threads share the frames of a video", async (t) => {
  if (!threads) return t.skip("the package was built without threads");
  const { page } = await open(browser, isolated, t);
  const frames = drawn(8, 160, 90, 6);
  // The Worker's own messages: they tell how many threads described frames.
  const got = await page.evaluate(async (frames) => {
    const worker = new Worker("worker.js", { type: "module" });
    const answers = new Map();
    worker.onmessage = ({ data }) => !("event" in data) && answers.get(data.id)?.(data);
    let last = 0;
    const call = async (method, args) => {
      const id = ++last;
      const answer = new Promise((resolve) => answers.set(id, resolve));
      worker.postMessage({ id, method, args });
      const { error, result } = await answer;
      if (error) throw new Error(error.message);
      return result;
    };
    worker.postMessage({ start: { threads: 3 } });
    const model = await call("load", { source: { packaged: true }, sha256: null, encoder: true });
    const session = await call("begin", { model: model.id });
    for (const { width, height, data } of frames) {
      await call("push", { session, frame: { width, height, data: new Uint8ClampedArray(data) }, samples: 1 });
    }
    const { threads } = await call("finish", {
      session,
      times: Float64Array.from(frames, (_, i) => i),
      duration: frames.length,
    });
    worker.terminate();
    return { pool: model.threads, threads };
  }, plainFrames(frames));
  assert.equal(got.pool, 3);
  assert.ok(got.threads > 1, `${got.threads} threads described frames`);
});

test("pairs that threads compare have the scores of one", async (t) => {
  if (!threads) return t.skip("the package was built without threads");
  const { page, problems } = await open(browser, isolated, t);
  const records = [];
  for (let seed = 1; seed <= 9; seed++) records.push([...(await reference(drawn(4 + seed, 96, 64, seed)))]);
  const hits = await page.evaluate(async (records) => {
    const model = await vidsieve.loadModel();
    const index = await vidsieve.LocalIndex.open("threads");
    for (const [i, record] of records.entries()) await index.add(String(i), Uint8Array.from(record));
    let last;
    for await (const answer of index.search(Uint8Array.from(records[0]), { top: 20, budget: "all" })) last = answer;
    await index.clear();
    return {
      threads: model.info.threads,
      reranked: last.reranked,
      hits: last.hits.map(({ id, fine, segments }) => ({ id, fine, segments })),
    };
  }, records);
  assert.ok(hits.threads > 1);
  assert.equal(hits.reranked, records.length);
  for (const { id, fine, segments } of hits.hits) {
    const here = engine.compare(Uint8Array.from(records[0]), Uint8Array.from(records[id]));
    assert.equal(fine, here.fine, `pair 0, ${id}`);
    assert.deepEqual(segments, here.segments);
  }
  assert.deepEqual(problems, []);
});

for (const [what, where, configuration] of [
  ["is not isolated", () => plain, {}],
  ["wants one thread", () => isolated, { threads: 1 }],
]) {
  test(`a page that ${what} has none, and the same codes`, async (t) => {
    const { page, problems } = await open(browser, where(), t);
    const frames = drawn(5, 160, 90, 5);
    const got = await page.evaluate(
      async ({ frames, configuration }) => {
        vidsieve.configure(configuration);
        const encoder = await vidsieve.Encoder.load();
        const images = frames.map(
          ({ width, height, data }) => new ImageData(new Uint8ClampedArray(data), width, height),
        );
        return { model: encoder.model, bytes: [...(await encoder.encode(images)).toBytes()] };
      },
      { frames: plainFrames(frames), configuration },
    );
    assert.equal(got.model.threads, 1);
    const here = await reference(frames);
    // relaxed-simd may round otherwise.
    const same = got.bytes.filter((byte, i) => byte === here[i]).length / here.length;
    assert.ok(got.bytes.length === here.length && same > 0.8, `${same} of the bytes`);
    assert.deepEqual(problems, []);
  });
}

test("several Workers make the record of one", async (t) => {
  const records = [];
  for (const workers of [1, 3]) {
    const { page, problems } = await open(browser, plain, t);
    const encoding = page.evaluate(async (workers) => {
      vidsieve.configure({ workers });
      const encoder = await vidsieve.Encoder.load();
      const file = new File([await (await fetch("long.mp4")).arrayBuffer()], "long.mp4");
      const steps = [];
      const start = performance.now();
      const video = await encoder.encode(file, { onProgress: ({ done, total }) => steps.push([done, total]) });
      const wall = performance.now() - start;
      const half = await encoder.encode(file.slice(0, file.size / 2));
      window.ended = true;
      return {
        bytes: [...video.toBytes()],
        frames: video.frames,
        half: { bytes: [...half.toBytes()], warnings: half.warnings.length },
        steps,
        wall,
      };
    }, workers);
    let most = 0;
    const watching = (async () => {
      while (!(await page.evaluate(() => window.ended))) {
        most = Math.max(most, page.workers().length);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    const got = await encoding;
    await watching;
    t.diagnostic(`${workers} Workers: ${(got.wall / 1000).toFixed(2)} s; ${most} at a time`);
    assert.equal(got.frames, 200);
    assert.deepEqual(got.steps.at(-1), [200, 200]);
    assert.ok(
      got.steps.every(([done], i) => i === 0 || done > got.steps[i - 1][0]),
      "progress goes forward",
    );
    assert.equal(most, workers);
    // What helped is gone.
    for (let i = 0; i < 50 && page.workers().length > 1; i++) await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(page.workers().length, 1);
    assert.deepEqual(problems, []);
    records.push({ bytes: got.bytes, half: got.half });
  }
  assert.deepEqual(records[1], records[0]);
});

test("an abort ends all Workers of a file within a frame", async (t) => {
  const { page } = await open(browser, plain, t);
  const got = await page.evaluate(async () => {
    vidsieve.configure({ workers: 2 });
    const encoder = await vidsieve.Encoder.load();
    const file = new File([await (await fetch("long.mp4")).arrayBuffer()], "long.mp4");
    const controller = new AbortController();
    let at = 0;
    const onProgress = ({ done }) => {
      if (done !== 20) return;
      at = performance.now();
      controller.abort();
    };
    const error = await encoder.encode(file, { signal: controller.signal, onProgress }).catch((e) => e);
    return { name: error.name, took: performance.now() - at };
  });
  assert.equal(got.name, "AbortError");
  assert.ok(got.took < 100, `${got.took} ms`);
  for (let i = 0; i < 50 && page.workers().length > 1; i++) await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(page.workers().length, 1);
});
