// The package in Node with the real modules, against the native command.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import {
  EncodedVideo,
  Encoder,
  HttpError,
  LocalIndex,
  SearchClient,
  VidsieveError,
  compare,
  configure,
  loadModel,
} from "vidsieve";
import * as slim from "vidsieve/slim";

import { body, drawn, sharedBits } from "./frames.mjs";
import { samples, serve } from "./native.mjs";

const code = (expected) => (error) => error instanceof VidsieveError && error.code === expected;

/** Hooks of a suite in the shape of a test's. */
const cleanups = [];
const suite = { after: (work) => cleanups.push(work) };
let encoder, native, url;

before(async () => {
  native = await samples(suite);
  url = await serve(suite, native.index);
  encoder = await Encoder.load();
});

after(async () => {
  encoder?.dispose();
  for (const work of cleanups.reverse()) await work();
});

/** The record that the native command makes of frames. */
async function nativeRecord(frames, times, duration) {
  const headers = { "content-type": "application/vnd.vidsieve.frames" };
  const response = await fetch(`${url}/v1/encode`, { method: "POST", body: body(frames, times, duration), headers });
  assert.equal(response.status, 200, await response.clone().text());
  return EncodedVideo.fromBytes(await response.arrayBuffer());
}

const timed = (frames, times) => frames.map((image, i) => ({ image, time: times[i] }));

describe("the same numbers as natively", () => {
  for (const [width, height, count, seed] of [
    [320, 180, 12, 1],
    [97, 211, 5, 2],
    [640, 360, 4, 3],
    [64, 64, 1, 4],
  ]) {
    test(`${count} frames of ${width}x${height}`, async (t) => {
      const frames = drawn(count, width, height, seed);
      const times = frames.map((_, i) => i);
      const expected = await nativeRecord(frames, times, count - 0.5);
      const got = await encoder.encode(timed(frames, times), { fps: 1, duration: count - 0.5 });
      assert.equal(got.bundle, expected.bundle);
      assert.deepEqual([got.frames, got.regions, got.bits], [expected.frames, expected.regions, expected.bits]);
      assert.deepEqual([...got.times], [...expected.times]);
      assert.deepEqual([...got.weights], [...expected.weights]);
      assert.equal(got.duration, expected.duration);
      const shared = sharedBits(got.codes, expected.codes);
      assert.ok(shared >= 0.999, `${shared} of the bits are the same`);
      const worst = Math.max(...got.global.map((v, i) => Math.abs(v - expected.global[i])));
      assert.ok(worst <= 1e-3, `the vectors differ by ${worst}`);
      assert.ok(Math.abs(got.selfSimilarity - expected.selfSimilarity) <= 1e-3);
      t.diagnostic(`${100 * shared} % of the bits are the native ones; the vectors differ by ${worst}`);
    });
  }

  test("the same codes give the same similarities", async () => {
    const client = new SearchClient(url);
    const ids = [
      "originals/amber.mp4",
      "copies/amber-crop.mp4",
      "copies/amber-excerpt.mp4",
      "originals/fjord.mp4",
      "copies/fjord-speed.mp4",
    ];
    const query = await client.get("originals/amber.mp4");
    const json = new TextEncoder().encode(JSON.stringify({ ids, segments: true }));
    const length = new Uint8Array(new Uint32Array([json.length]).buffer);
    const asked = await fetch(`${url}/v1/rerank`, {
      method: "POST",
      headers: { "content-type": "application/vnd.vidsieve.rerank" },
      body: new Blob([length, json, query.toBytes()]),
    });
    const { pairs } = await asked.json();
    assert.equal(pairs.length, ids.length);
    for (const pair of pairs) {
      const found = await compare(query, await client.get(pair.id), { matrix: true });
      assert.ok(Math.abs(found.score - pair.score) <= 1e-5, `${pair.id}: ${found.score} and ${pair.score}`);
      assert.deepEqual(
        [found.relation, found.coverage, found.untold],
        [pair.relation, pair.coverage, pair.untold],
        pair.id,
      );
      assert.deepEqual(
        found.segments.map((s) => [s.query, s.target, s.at]),
        pair.segments.map((s) => [s.query, s.target, s.at]),
      );
      // A segment's score is a mean of whole numbers of bits.
      found.segments.forEach((s, i) => assert.ok(Math.abs(s.score - pair.segments[i].score) < 1e-6));
    }
    // A frame is at no distance from itself.
    const self = await compare(query, query);
    for (let i = 0; i < self.matrix.height; i++) assert.equal(self.matrix.values[i * self.matrix.width + i], 1);
  });
});

describe("Encoder", () => {
  test("frames without times are taken at fps; timed ones by the rule of the native sampler", async () => {
    const frames = drawn(10, 64, 48);
    const plain = await encoder.encode(frames, { fps: 2 });
    assert.deepEqual(
      [...plain.times],
      frames.map((_, i) => i / 2),
    );
    assert.equal(plain.duration, 5);
    const fast = await encoder.encode(
      timed(
        frames,
        frames.map((_, i) => 3 + i * 0.4),
      ),
      { fps: 1 },
    );
    assert.deepEqual([...fast.times], [0, 1, 2, 3]);
    const picked = await encoder.encode([0, 2, 5, 7].map((i) => frames[i]));
    assert.deepEqual(fast.codes, picked.codes);
    const still = await encoder.encode(timed(frames.slice(0, 2), [0, 2.5]), { fps: 1 });
    assert.deepEqual([...still.times], [0, 1, 2]);
    assert.deepEqual(
      still.codes.subarray(0, still.codes.length / 3),
      still.codes.subarray(still.codes.length / 3, (2 * still.codes.length) / 3),
    );
  });

  test("short videos are sampled more densely, whatever their frames showed at first", async () => {
    const frames = drawn(24, 64, 48);
    for (const [every, fps, samples] of [
      [0.05, 8, 10],
      [0.12, 8, 23],
      [0.2, 8, 37],
      [0.4, 4, 37],
      [0.75, 2, 35],
      [3, 1, 70],
    ]) {
      const video = timed(
        frames,
        frames.map((_, i) => 3 + i * every),
      );
      const steps = [];
      const [auto, exact] = [
        await encoder.encode(video, { onProgress: ({ done }) => steps.push(done) }),
        await encoder.encode(video, { fps }),
      ];
      assert.equal(auto.frames, samples, `every ${every} s`);
      assert.deepEqual(auto.toBytes(), exact.toBytes(), `every ${every} s`);
      assert.ok(
        steps.every((done, k) => k === 0 || done >= steps[k - 1]),
        `${steps}`,
      );
    }
    await assert.rejects(encoder.encode(frames, { fps: "often" }), code("bad-argument"));
  });

  test("progress and abort", async () => {
    const steps = [];
    await encoder.encode(drawn(3, 64, 48), { onProgress: (p) => steps.push(p.done) });
    assert.deepEqual(steps, [1, 2, 3]);
    const controller = new AbortController();
    let given = 0;
    async function* endless() {
      for (const frame of drawn(1, 64, 48))
        for (;;) {
          given++;
          yield frame;
        }
    }
    const ended = encoder.encode(endless(), {
      signal: controller.signal,
      onProgress: ({ done }) => done === 5 && controller.abort(),
    });
    await assert.rejects(ended, { name: "AbortError" });
    assert.ok(given <= 6, `${given} frames were taken`);
    await assert.rejects(encoder.encode([], { signal: AbortSignal.abort() }), { name: "AbortError" });
    // It goes on working.
    assert.equal((await encoder.encode(drawn(1, 64, 48))).frames, 1);
  });

  test("what cannot be encoded is refused with a code", async () => {
    await assert.rejects(encoder.encode([]), code("bad-video"));
    await assert.rejects(encoder.encode([{ width: 4, height: 4, data: new Uint8ClampedArray(3) }]), code("bad-frame"));
    await assert.rejects(encoder.encode([{ width: 0, height: 4, data: new Uint8ClampedArray(0) }]), code("bad-frame"));
    await assert.rejects(encoder.encode([1]), code("bad-frame"));
    const [frame] = drawn(1, 16, 16);
    await assert.rejects(encoder.encode([frame, { image: frame, time: 1 }]), code("bad-video"));
    await assert.rejects(encoder.encode(timed([frame, frame], [1, 0])), code("bad-video"));
    await assert.rejects(encoder.encode([frame], { fps: 0 }), code("bad-argument"));
    await assert.rejects(encoder.encode(7), code("bad-argument"));
    // What a file holds is read before a decoder is looked for, which Node does not have.
    await assert.rejects(encoder.encode(new Blob(["x"])), code("unreadable"));
  });

  test("models are checked", async () => {
    const bytes = await readFile(new URL("../dist/model/default.safetensors", import.meta.url));
    await assert.rejects(Encoder.load({ model: bytes, sha256: "0".repeat(64) }), code("integrity"));
    await assert.rejects(Encoder.load({ sha256: "0".repeat(64) }), code("integrity"));
    await assert.rejects(Encoder.load({ sha256: "x" }), code("bad-argument"));
    await assert.rejects(Encoder.load({ model: bytes.subarray(0, 5000) }), code("bad-model"));
    await assert.rejects(Encoder.load({ model: `${url}/nothing` }), code("network"));
    await assert.rejects(Encoder.load({ model: "http://127.0.0.1:9/x" }), code("network"));
    await assert.rejects(Encoder.load({ signal: AbortSignal.abort() }), { name: "AbortError" });
    const steps = [];
    const model = await new SearchClient(url).modelSource();
    const other = await Encoder.load({ model, onProgress: (p) => steps.push(p) });
    assert.equal(other.model.id, model.sha256);
    assert.deepEqual(steps.at(-2), { phase: "download", done: bytes.length, total: bytes.length });
    other.dispose();
    other.dispose();
    await assert.rejects(other.encode(drawn(1, 16, 16)), code("disposed"));
    assert.equal((await encoder.encode(drawn(1, 64, 48))).frames, 1);
    assert.throws(() => configure({ worker: false }), code("bad-argument"));
  });
});

describe("records", () => {
  test("there and back", async () => {
    const video = await encoder.encode(drawn(3, 64, 48));
    const again = await EncodedVideo.fromBytes(video.toBytes());
    assert.deepEqual(again.toBytes(), video.toBytes());
    assert.deepEqual(again.global, video.global);
    assert.equal(again.codes.length, (3 * again.regions * again.bits) / 8);
    assert.ok(Math.abs(Math.hypot(...again.global) - 1) < 1e-3);
    assert.deepEqual([...again.weights], [...video.weights]);
    assert.ok(again.informative && again.weights.length === 3 && again.weights.every((weight) => weight > 0));
  });

  test("frames that show nothing weigh nothing", async () => {
    const flat = { width: 64, height: 48, data: new Uint8ClampedArray(64 * 48 * 4).fill(130) };
    const [shown] = drawn(1, 64, 48);
    const mixed = await encoder.encode([flat, shown, flat]);
    assert.deepEqual(
      [...mixed.weights].map((weight) => weight > 0),
      [false, true, false],
    );
    const nothing = await encoder.encode([flat, flat]);
    assert.ok(!nothing.informative && nothing.weights.every((weight) => weight === 0));
    const index = await LocalIndex.open("nothing");
    await index.add("shown", await encoder.encode([shown]));
    await index.add("nothing", nothing);
    const pages = async (video) => {
      const all = [];
      for await (const page of index.search(video, { budget: "all" })) all.push(page);
      return all;
    };
    for (const { hits, warnings } of await pages(mixed)) {
      assert.deepEqual([hits[0].id, hits[1].id, hits[1].score, warnings], ["shown", "nothing", 0, undefined]);
    }
    for (const { hits, warnings } of await pages(nothing)) {
      assert.ok(hits.every((hit) => hit.score === 0) && warnings.length === 1);
    }
    index.dispose();
  });

  test("records of other versions are refused by name", async () => {
    const bytes = (await encoder.encode(drawn(1, 64, 48))).toBytes();
    const old = bytes.slice();
    old[8] = 1;
    const refused = (e) => e.code === "other-version" && /version 1.*index the video again/.test(e.message);
    await assert.rejects(EncodedVideo.fromBytes(old), refused);
    const index = await LocalIndex.open("old");
    await assert.rejects(index.add("a", old), refused);
    index.dispose();
  });

  test("damage of any byte is refused", async () => {
    const bytes = (await encoder.encode(drawn(1, 64, 48))).toBytes();
    for (let at = 0; at < bytes.length; at += 53) {
      const damaged = bytes.slice();
      damaged[at] ^= 0x10;
      await assert.rejects(EncodedVideo.fromBytes(damaged), code("bad-record"), `byte ${at}`);
    }
    await assert.rejects(EncodedVideo.fromBytes(bytes.subarray(1)), code("bad-record"));
    await assert.rejects(EncodedVideo.fromBytes(new Uint8Array()), code("bad-record"));
  });
});

describe("LocalIndex", () => {
  test("finds copies as the server does", async (t) => {
    const client = new SearchClient(url);
    const index = await LocalIndex.open("copies");
    t.after(() => index.dispose());
    const ids = [];
    for await (const { id } of client.list()) ids.push(id);
    assert.equal(ids.length, 24);
    for (const id of ids) assert.equal(await index.add(id, await client.get(id)), false);
    assert.equal(await index.add(ids[0], await client.get(ids[0])), true);
    assert.deepEqual((await index.ids()).sort(), ids.sort());
    const query = await client.get("copies/granite-excerpt.mp4");
    for (const budget of ["auto", "none", "3pairs", "p>0.5", "50%", "all"]) {
      const options = { top: 5, budget, explain: true };
      const [mine, theirs] = [[], []];
      for await (const page of index.search(query, options)) mine.push(page);
      for await (const page of client.search(query, options)) theirs.push(page);
      assert.equal(mine.length, theirs.length, budget);
      for (const [i, page] of mine.entries()) {
        const { page: kind, last, model, videos, selected, reranked, missing, degraded } = theirs[i];
        assert.deepEqual(
          {
            kind: page.page,
            last: page.last,
            model: page.model,
            videos: page.videos,
            selected: page.selected,
            reranked: page.reranked,
            missing: page.missing,
            degraded: page.degraded,
          },
          { kind, last, model, videos, selected, reranked, missing, degraded },
        );
        const told = ({ id, stage, relation, coverage, untold, segments }) => [
          id,
          stage,
          relation,
          coverage,
          untold,
          segments.map(({ at }) => at),
        ];
        assert.deepEqual(page.hits.map(told), theirs[i].hits.map(told), budget);
        assert.ok(
          page.hits.every((h) => (h.stage === "fine") === (h.relation !== null)),
          budget,
        );
        for (const [j, hit] of page.hits.entries()) {
          assert.ok(Math.abs(hit.score - theirs[i].hits[j].score) < 1e-4);
          assert.ok(Math.abs(hit.explain.coarse_cosine - theirs[i].hits[j].explain.coarse_cosine) < 1e-5);
        }
      }
    }
    const best = [];
    for await (const page of index.search(await client.get("originals/amber.mp4"), { top: 3 }))
      best.push(page.hits.map((h) => h.id));
    assert.deepEqual(best.at(-1).sort(), ["copies/amber-crop.mp4", "copies/amber-excerpt.mp4", "originals/amber.mp4"]);
    assert.equal(await index.remove("originals/granite.mp4"), true);
    assert.equal(await index.remove("originals/granite.mp4"), false);
    assert.equal(await index.get("originals/granite.mp4"), null);
    assert.equal((await index.get("originals/amber.mp4")).bundle, query.bundle);
    // Leaving the loop and aborting end a search.
    for await (const page of index.search(query)) {
      assert.equal(page.page, "coarse");
      break;
    }
    const controller = new AbortController();
    await assert.rejects(
      async () => {
        for await (const _ of index.search(query, { signal: controller.signal })) controller.abort();
      },
      { name: "AbortError" },
    );
    await index.clear();
    assert.deepEqual(await index.ids(), []);
    for await (const page of index.search(query)) assert.deepEqual(page.hits, []);
  });

  test("goes into a file and comes back", async (t) => {
    const [one, two] = [await LocalIndex.open("one"), await LocalIndex.open("two")];
    t.after(() => [one, two].forEach((index) => index.dispose()));
    const videos = new Map();
    for (const [i, id] of ["a", "ä/b", "c".repeat(512)].entries()) {
      videos.set(id, await encoder.encode(drawn(i + 1, 64, 48, i)));
      await one.add(id, videos.get(id));
    }
    const file = await one.export();
    assert.equal(await two.import(file), 3);
    assert.deepEqual(await two.ids(), [...videos.keys()]);
    for (const [id, video] of videos) assert.deepEqual((await two.get(id)).toBytes(), video.toBytes());
    const bytes = new Uint8Array(await file.arrayBuffer());
    for (const damaged of [
      bytes.subarray(1),
      bytes.subarray(0, -1),
      bytes.subarray(0, 20),
      new Uint8Array(),
      new Uint8Array(50),
    ]) {
      await assert.rejects(two.import(new Blob([damaged])), code("bad-record"));
    }
    const longer = bytes.slice();
    longer.fill(255, 8, 16);
    await assert.rejects(two.import(new Blob([longer])), code("bad-record"));
    assert.equal(await two.import(await (await LocalIndex.open("three")).export()), 0);
  });

  test("what does not fit is refused", async (t) => {
    const index = await LocalIndex.open("refusals");
    t.after(() => index.dispose());
    const bytes = (await encoder.encode(drawn(1, 64, 48))).toBytes();
    await assert.rejects(index.add("", bytes), code("bad-argument"));
    await assert.rejects(index.add("a\nb", bytes), code("bad-argument"));
    await assert.rejects(index.add("a", bytes.subarray(3)), code("bad-record"));
    await assert.rejects(index.add("a", "text"), code("bad-argument"));
    await assert.rejects(async () => {
      for await (const _ of index.search(bytes, { budget: "lots" }));
    }, code("bad-argument"));
    assert.throws(() => index.search(bytes, { top: 0 }), code("bad-argument"));
    index.dispose();
    await assert.rejects(index.ids(), code("disposed"));
  });
});

describe("compare", () => {
  test("an excerpt, its segment and the matrix", async () => {
    const frames = drawn(20, 160, 90, 5);
    const whole = await encoder.encode(frames);
    const part = await encoder.encode(frames.slice(6, 14));
    const { matrix, segments, paths, score, relation, coverage } = await compare(part, whole);
    assert.ok(score > 0.5, `score ${score}`);
    assert.equal(relation, "excerpt");
    assert.ok(coverage.query.share > 0.9 && Math.abs(coverage.target.share - 0.4) < 0.1, JSON.stringify(coverage));
    assert.deepEqual(segments[0].at, ["whole", "middle"]);
    assert.equal((await compare(whole, part)).relation, "contains");
    assert.deepEqual([matrix.height, matrix.width, matrix.stride], [8, 20, 1]);
    assert.equal(matrix.image.data.length, 4 * 8 * 20);
    assert.equal(matrix.values[6], 1);
    assert.ok(Math.abs(segments[0].target[0] - segments[0].query[0] - 6) < 1e-9, JSON.stringify(segments));
    assert.ok(paths[0].every(([a, b]) => b === a + 6));
    const small = await compare(part, whole, { side: 4 });
    assert.equal(small.matrix.stride, 5);
    assert.equal((await compare(part, whole, { matrix: false })).matrix, undefined);
    await assert.rejects(compare(part, whole, { side: 0 }), code("bad-argument"));
  });
});

describe("SearchClient", () => {
  test("adds, reads, removes", async () => {
    const client = new SearchClient(url);
    const video = await encoder.encode(drawn(2, 64, 48));
    assert.equal(await client.put("new/ä ?.mp4", video), "added");
    assert.equal(await client.put("new/ä ?.mp4", video), "unchanged");
    assert.deepEqual((await client.get("new/ä ?.mp4")).toBytes(), video.toBytes());
    assert.equal(await client.remove("new/ä ?.mp4"), true);
    assert.equal(await client.remove("new/ä ?.mp4"), false);
    assert.equal(await client.get("new/ä ?.mp4"), null);
    assert.equal((await client.model()).bundle, encoder.model.id);
  });

  test("errors of a server and of the way to it", async () => {
    const client = new SearchClient(url);
    await assert.rejects(
      client.put("a", new Uint8Array(9)),
      (e) => e instanceof HttpError && e.status === 422 && e.problem === "bad-body",
    );
    await assert.rejects(new SearchClient("http://127.0.0.1:9").model(), code("network"));
    assert.throws(() => new SearchClient("nowhere"), code("bad-argument"));
    await assert.rejects(client.model({ signal: AbortSignal.abort() }), { name: "AbortError" });
  });

  test("a server that is asked too often is asked again later", async (t) => {
    const slow = await serve(t, await native.copy(), "--rate", "2", "--burst", "1");
    const patient = new SearchClient(slow, { retries: 6, backoff: 10 });
    const answers = await Promise.all([1, 2, 3].map(() => patient.model()));
    assert.equal(new Set(answers.map((a) => a.bundle)).size, 1);
    const hasty = new SearchClient(slow, { retries: 0 });
    const all = await Promise.allSettled([1, 2, 3].map(() => hasty.model()));
    const refused = all.filter((a) => a.status === "rejected");
    assert.ok(refused.length >= 1);
    assert.ok(
      refused.every(
        ({ reason }) => reason instanceof HttpError && reason.status === 429 && reason.problem === "too-many-requests",
      ),
    );
    const controller = new AbortController();
    const waiting = Promise.all([1, 2, 3].map(() => patient.model({ signal: controller.signal })));
    controller.abort();
    await assert.rejects(waiting, { name: "AbortError" });
  });

  test("tokens", async (t) => {
    const file = join(native.path, "tokens");
    const { writeFile } = await import("node:fs/promises");
    await writeFile(file, "reader:search:0123456789abcdef-read\nwriter:search,write:0123456789abcdef-write\n");
    const closed = await serve(t, await native.copy(), "--token-file", file);
    await assert.rejects(new SearchClient(closed).model(), (e) => e.status === 401 && e.problem === "unauthorized");
    const reader = new SearchClient(closed, { token: "0123456789abcdef-read" });
    assert.equal((await reader.model()).bundle, encoder.model.id);
    await assert.rejects(reader.remove("a"), (e) => e.status === 403);
  });
});

describe("the slim entry", () => {
  test("searches and compares without an encoder", async (t) => {
    const model = await slim.loadModel();
    t.after(() => model.dispose());
    const bytes = (await encoder.encode(drawn(2, 64, 48))).toBytes();
    const index = await slim.LocalIndex.open("slim");
    t.after(() => index.dispose());
    await index.add("a", bytes);
    for await (const { hits } of index.search(bytes)) assert.equal(hits[0].id, "a");
    assert.ok((await slim.compare(bytes, bytes)).score > 0.5);
    assert.equal("Encoder" in slim, false);
  });

  test("a model is needed", async () => {
    const model = await loadModel();
    model.dispose();
    const fresh = await import("../dist/slim.js?fresh");
    await assert.rejects(fresh.LocalIndex.open("none"), (e) => e.code === "no-model");
    const bytes = (await encoder.encode(drawn(1, 64, 48))).toBytes();
    await assert.rejects(fresh.compare(bytes, bytes), (e) => e.code === "no-model");
  });
});

test("sizes", async () => {
  const sizes = JSON.parse(await readFile(new URL("../build/sizes.json", import.meta.url)));
  const gzip = (...files) => files.reduce((sum, file) => sum + sizes[file].gzip, 0);
  assert.ok(gzip("wasm/full.wasm", "worker.js", "index.js", "media.js") <= 2_000_000);
  assert.ok(gzip("wasm/slim.wasm") <= 320_000, `${gzip("wasm/slim.wasm")} bytes`);
  assert.ok(gzip("wasm/full.wasm", "worker.js", "index.js", "media.js", "model/default.safetensors") <= 5_000_000);
});
