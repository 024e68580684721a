// The rule of crates/video/src/sampling.rs, by the cases of its tests.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as esbuild from "esbuild";

const built = await esbuild.build({
  entryPoints: [new URL("../src/sources/sampling.ts", import.meta.url).pathname],
  bundle: true,
  format: "esm",
  write: false,
});
const { LEAST_SAMPLES, Sampler, TOLERANCE, leaveOut, rateOf, sampleTimes } = await import(
  `data:text/javascript;base64,${Buffer.from(built.outputFiles[0].text).toString("base64")}`
);

/** The frames that a stream of times gives samples of, as `Encoder` takes them. */
function streamed(times, fps) {
  const sampler = new Sampler(fps);
  let { rate } = sampler;
  let taken = [];
  times.forEach((time, i) => {
    const samples = sampler.push(time - times[0]);
    for (; rate > sampler.rate; rate /= 2) {
      assert.ok(taken.length <= 60, `${taken.length} samples`);
      taken = leaveOut(taken);
    }
    taken.push(...samples.map((sample) => [sample, i - 1]));
  });
  taken.push(...sampler.finish().map((sample) => [sample, times.length - 1]));
  taken.forEach(([sample], k) => assert.equal(sample, k / sampler.rate));
  return taken.map(([, frame]) => frame);
}

/** The same by looking up each time: the way of files. */
function lookedUp(times, fps) {
  if (times.length === 0) return [];
  const last = times.at(-1) - times[0];
  return [...sampleTimes(last, rateOf(fps, last))].map((t) =>
    times.findLastIndex((time) => time - times[0] <= t + TOLERANCE),
  );
}

const rate = (r, n) => Array.from({ length: n }, (_, i) => 7 + i / r);

test("the frame on the screen", () => {
  const ntsc = Array.from({ length: 100 }, (_, i) => (i * 1001) / 24000);
  for (const [times, fps, expected] of [
    [rate(30, 61), 1, [0, 30, 60]],
    [rate(25, 50), 1, [0, 25]],
    [ntsc, 1, [0, 24, 48, 71, 95]],
    [rate(0.5, 3), 1, [0, 0, 1, 1, 2]],
    [[3], 1, [0]],
    [[], 1, []],
    [[0, 0.4, 2.7], 1, [0, 1, 1]],
    [rate(10, 11), 2, [0, 5, 10]],
  ]) {
    assert.deepEqual(streamed(times, fps), expected);
    assert.deepEqual(lookedUp(times, fps), expected);
  }
});

test("a stream gives what looking up gives", () => {
  let state = 3;
  for (let round = 0; round < 200; round++) {
    let micros = 0;
    const times = [0];
    for (let i = 0; i < 60; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      micros += (state >>> 12) % 400000;
      times.push(micros / 1e6);
    }
    for (const fps of [1, 2, 0.7]) assert.deepEqual(streamed(times, fps), lookedUp(times, fps));
  }
});

test("short videos are sampled more densely", () => {
  // Frames at 25 a second: the last one is at (n - 1) / 25 s.
  for (const [frames, fps, samples] of [
    [1, 8, 1],
    [26, 8, 9],
    [94, 8, 30],
    [95, 8, 31],
    [188, 8, 60],
    [189, 4, 31],
    [375, 4, 60],
    [376, 2, 31],
    [750, 2, 60],
    [751, 1, 31],
    [1500, 1, 60],
  ]) {
    const times = rate(25, frames);
    assert.deepEqual(
      [rateOf("auto", times.at(-1) - times[0]), lookedUp(times, "auto").length],
      [fps, samples],
      `${frames} frames`,
    );
  }
  assert.deepEqual(streamed([], "auto"), []);
  // A late last frame counts as in time.
  assert.deepEqual(
    [29.997, 29.998, 14.997, 14.998].map((last) => rateOf("auto", last)),
    [2, 1, 4, 2],
  );
  assert.equal(rateOf(3.7, 100), 3.7);
  // A picture that stays is taken again.
  assert.deepEqual(streamed([0, 2], "auto"), [...Array(16).fill(0), 1]);
});

test("a stream finds the rate that looking up has", () => {
  let state = 5;
  const random = (below) => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 8) % below;
  const seen = new Map();
  for (let round = 0; round < 2000; round++) {
    // From some milliseconds to a minute, with pictures that stay for up to the whole of it.
    const [frames, longest] = [1 + random(120), 1 + random(1_000_000)];
    let micros = 0;
    let list = [0];
    for (let i = 1; i < frames; i++) {
      const pause = random(40) === 0 ? 20 : 1;
      // Whole and half milliseconds meet the edges of the rule more often.
      const step = round % 2 === 0 ? 500 : 1;
      micros += (Math.floor((random(longest) * pause) / step) + 1) * step;
      list.push(micros);
    }
    // The last frame lies on an edge, or a little beside it.
    if (round % 3 === 0) {
      const edge = [3_750_000, 7_500_000, 15_000_000, 30_000_000, 31_000_000][random(5)] + random(9) * 625 - 2500;
      list = [...list.filter((time) => time < edge), edge];
    }
    const times = list.map((time) => time / 1e6);
    assert.deepEqual(streamed(times, "auto"), lookedUp(times, "auto"), `${list}`);
    // It is the lowest rate that gives enough, by counting samples.
    const found = rateOf("auto", times.at(-1));
    assert.equal(found, [1, 2, 4].find((fps) => lookedUp(times, fps).length >= LEAST_SAMPLES) ?? 8, `${list}`);
    seen.set(found, (seen.get(found) ?? 0) + 1);
  }
  for (const fps of [1, 2, 4, 8]) assert.ok(seen.get(fps) >= 100, `${[...seen]}`);
});
