// Streams, of a canvas and of a camera that draws its own picture.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { folder } from "../native.mjs";
import { has, launch, open, plainly, site } from "./browser.mjs";

const cleanups = [];
const suite = { after: (work) => cleanups.push(work) };
let browser, page, problems;

before(async () => {
  const www = await site(await folder(suite));
  browser = await launch(suite, ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]);
  ({ page, problems } = await open(browser, await plainly(www, suite), suite));
  await page.evaluate(async () => {
    window.encoder = await vidsieve.Encoder.load();
    /** A canvas on which a disc moves, as a stream. */
    window.drawing = ({ still = false } = {}) => {
      const canvas = Object.assign(document.createElement("canvas"), { width: 192, height: 108 });
      const context = canvas.getContext("2d");
      let t = 0;
      const draw = () => {
        context.fillStyle = `hsl(${t * 7} 70% 50%)`;
        context.fillRect(0, 0, 192, 108);
        context.fillStyle = "black";
        context.beginPath();
        context.arc(20 + (t % 150), 50, 15, 0, 7);
        context.fill();
        t++;
      };
      draw();
      const stream = canvas.captureStream(still ? 0 : 20);
      const timer = setInterval(still ? () => {} : draw, 50);
      if (still) setTimeout(() => (draw(), stream.getTracks()[0].requestFrame()), 100);
      return { stream, stop: () => (clearInterval(timer), stream.getTracks().forEach((track) => track.stop())) };
    };
  });
});

after(async () => {
  for (const work of cleanups.reverse()) await work();
});

/** The interface that a way of reading streams needs. */
const NEEDS = { MediaStreamTrackProcessor: "MediaStreamTrackProcessor", "a <video>": "MediaStream" };

for (const how of ["MediaStreamTrackProcessor", "a <video>"]) {
  test(`a stream of a canvas for a while, by ${how}`, async (t) => {
    if (!(await has(t, page, NEEDS[how]))) return;
    const got = await page.evaluate(async (how) => {
      const Processor = window.MediaStreamTrackProcessor;
      if (how === "a <video>") delete window.MediaStreamTrackProcessor;
      const { stream, stop } = drawing();
      const start = performance.now();
      const video = await encoder.encode(stream, { fps: 2, duration: 2 });
      const wall = performance.now() - start;
      const live = stream.getTracks()[0].readyState;
      stop();
      window.MediaStreamTrackProcessor = Processor;
      return { times: [...video.times], wall, live, duration: video.duration };
    }, how);
    assert.deepEqual(got.times, [0, 0.5, 1, 1.5]);
    assert.ok(got.wall >= 1900, `${got.wall} ms`);
    // The stream is the caller's: it goes on.
    assert.equal(got.live, "live");
    assert.ok(got.duration > 1.5 && got.duration <= 2.6, `${got.duration} s`);
  });

  test(`a short stream is sampled more densely, by ${how}`, async (t) => {
    if (!(await has(t, page, NEEDS[how]))) return;
    const times = await page.evaluate(async (how) => {
      const Processor = window.MediaStreamTrackProcessor;
      if (how === "a <video>") delete window.MediaStreamTrackProcessor;
      const { stream, stop } = drawing();
      // The rate is halved on the way.
      const video = await encoder.encode(stream, { duration: 8 });
      stop();
      window.MediaStreamTrackProcessor = Processor;
      return [...video.times];
    }, how);
    assert.deepEqual(
      times,
      Array.from({ length: 32 }, (_, k) => k / 4),
    );
  });

  test(`it ends when it is told to, or with its track, by ${how}`, async (t) => {
    if (!(await has(t, page, NEEDS[how]))) return;
    const got = await page.evaluate(async (how) => {
      const Processor = window.MediaStreamTrackProcessor;
      if (how === "a <video>") delete window.MediaStreamTrackProcessor;
      const until = new AbortController();
      const one = drawing();
      setTimeout(() => until.abort(), 1300);
      const told = await encoder.encode(one.stream, { fps: 1, until: until.signal });
      one.stop();
      const two = drawing();
      setTimeout(() => {
        two.stop();
        // Whoever stops a track is not told of it.
        two.stream.getTracks()[0].dispatchEvent(new Event("ended"));
      }, 1300);
      const ended = await encoder.encode(two.stream, { fps: 1 });
      const three = drawing();
      const aborted = await encoder.encode(three.stream, { signal: AbortSignal.timeout(300) }).catch((e) => e);
      three.stop();
      window.MediaStreamTrackProcessor = Processor;
      return { told: told.frames, ended: ended.frames, aborted: aborted.name };
    }, how);
    assert.deepEqual(got, { told: 2, ended: 2, aborted: "TimeoutError" });
  });
}

test("a frame that was on its way at the end is closed", async (t) => {
  if (!(await has(t, page, "VideoFrame"))) return;
  const open = await page.evaluate(async () => {
    const Processor = window.MediaStreamTrackProcessor;
    const frames = [];
    // As Chromium's: a frame is made in one task, and put into the stream in a later one.
    window.MediaStreamTrackProcessor = class {
      readable = new ReadableStream(
        {
          async pull(controller) {
            const canvas = new OffscreenCanvas(64, 64);
            canvas.getContext("2d").fillRect(0, 0, 64, 64);
            const frame = new VideoFrame(canvas, { timestamp: frames.length * 50_000 });
            frames.push(frame);
            await new Promise((resolve) => setTimeout(resolve, 50));
            controller.enqueue(frame);
          },
        },
        { highWaterMark: 0 },
      );
    };
    try {
      for (const after of [20, 120, 160]) {
        const { stream, stop } = drawing();
        await encoder.encode(stream, { signal: AbortSignal.timeout(after) }).catch(() => {});
        stop();
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    } finally {
      window.MediaStreamTrackProcessor = Processor;
    }
    // A frame that was closed has no format.
    return { all: frames.length, open: frames.filter(({ format }) => format !== null).length };
  });
  assert.ok(open.all >= 3, `${open.all} frames`);
  assert.equal(open.open, 0);
});

test("a picture that stays counts for as long as it stays", async (t) => {
  if (!(await has(t, page, "MediaStream"))) return;
  const frames = await page.evaluate(async () => {
    const { stream, stop } = drawing({ still: true });
    const video = await encoder.encode(stream, { duration: 3 });
    stop();
    return video.frames;
  });
  assert.equal(frames, 24);
});

test("a camera is found again in its own recording", async (t) => {
  if (!(await has(t, page, "MediaRecorder"))) return;
  const got = await page.evaluate(async () => {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 320, height: 240 } });
    const recorder = new MediaRecorder(stream);
    const pieces = [];
    recorder.ondataavailable = ({ data }) => pieces.push(data);
    const stopped = new Promise((resolve) => (recorder.onstop = resolve));
    recorder.start();
    const live = await encoder.encode(stream, { duration: 4 });
    recorder.stop();
    await stopped;
    stream.getTracks().forEach((track) => track.stop());
    const file = await encoder.encode(new Blob(pieces));
    const { score } = await vidsieve.compare(live, file, { matrix: false });
    return { frames: live.frames, score };
  });
  assert.equal(got.frames, 32);
  assert.ok(got.score > 0.5, `score ${got.score}`);
});

test("a stream without a picture is refused", async (t) => {
  if (!(await has(t, page, "MediaStream"))) return;
  const code = await page.evaluate(async () => (await encoder.encode(new MediaStream()).catch((e) => e)).code);
  assert.equal(code, "bad-argument");
});

test("the page complained about nothing", () => {
  assert.deepEqual(problems, []);
});
