// The rule of crates/video/src/sampling.rs, by the cases of its tests.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as esbuild from "esbuild";

const built = await esbuild.build({ entryPoints: [new URL("../src/sources/sampling.ts", import.meta.url).pathname], bundle: true, format: "esm", write: false });
const { Sampler, TOLERANCE, sampleTimes } = await import(`data:text/javascript;base64,${Buffer.from(built.outputFiles[0].text).toString("base64")}`);

/** The frames that a stream of times gives samples of. */
function streamed(times, fps) {
  const sampler = new Sampler(fps);
  const taken = [];
  times.forEach((time, i) => taken.push(...sampler.push(time - times[0]).map(() => i - 1)));
  taken.push(...sampler.finish().map(() => times.length - 1));
  return taken;
}

/** The same by looking up each time: the way of files. */
function lookedUp(times, fps) {
  if (times.length === 0) return [];
  return [...sampleTimes(times.at(-1) - times[0], fps)].map((t) => times.findLastIndex((time) => time - times[0] <= t + TOLERANCE));
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
