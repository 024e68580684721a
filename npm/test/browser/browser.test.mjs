// The package in a browser: files, frames, searches, aborts, damage, crashes.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { EncodedVideo, Encoder, compare } from "vidsieve";

import { drawn, sharedBits } from "../frames.mjs";
import { samples, serve, vidsieve } from "../native.mjs";
import { BROWSER, has, launch, onlyChromium, open, plainly, site } from "./browser.mjs";

const cleanups = [];
const suite = { after: (work) => cleanups.push(work) };
let browser, url, www, native, context, page, problems;

/** The same footage in other codecs and containers. */
const OTHERS = {
  "vp9.webm": ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "1M"],
  "av1.mp4": ["-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime", "-b:v", "1M"],
  "h264.mkv": ["-c:v", "libx264", "-bf", "2", "-g", "40", "-crf", "20"],
  "turned.mp4": ["-c:v", "libx264", "-crf", "20"],
  "ntsc.mov": ["-r", "30000/1001", "-c:v", "libx264", "-bf", "3", "-crf", "20"],
};

/** Turns an MP4 by a quarter through the matrix of its track header: the picture is stored on its side. */
async function turn(path) {
  const bytes = await readFile(path);
  const matrix = bytes.indexOf("tkhd") + 4 + 40;
  [0, 0x10000, 0, -0x10000, 0, 0].forEach((v, i) => bytes.writeInt32BE(v, matrix + 4 * i));
  await writeFile(path, bytes);
}

before(async () => {
  native = await samples(suite);
  const clip = join(native.videos, "originals/cobalt.mp4");
  const ffmpeg = (...args) => execFileSync("ffmpeg", ["-v", "error", "-y", ...args]);
  for (const [name, options] of Object.entries(OTHERS))
    ffmpeg("-i", clip, "-t", "6", ...options, join(native.videos, name));
  await turn(join(native.videos, "turned.mp4"));
  ffmpeg(
    "-f",
    "lavfi",
    "-i",
    "testsrc2=s=640x360:r=30:d=60",
    "-c:v",
    "libx264",
    "-preset",
    "veryfast",
    "-pix_fmt",
    "yuv420p",
    "-g",
    "60",
    "-movflags",
    "faststart",
    join(native.videos, "minute.mp4"),
  );
  vidsieve("index", "--index", native.index, native.videos);
  www = await site(native.path);
  url = await serve(suite, native.index, "--www", www, "--media", native.videos);
  browser = await launch(suite);
  context = await browser.newContext();
  suite.after(() => context.close());
  ({ page, problems } = await open(browser, url, suite, context));
  await page.evaluate(async () => {
    window.fileOf = async (name) => {
      const response = await fetch(`/media/${name}`);
      if (!response.ok) throw new Error(`${name}: ${response.status}`);
      return new File([await response.arrayBuffer()], name);
    };
    window.encoder = await vidsieve.Encoder.load();
  });
});

after(async () => {
  for (const work of cleanups.reverse()) await work();
});

const record = async (bytes) => EncodedVideo.fromBytes(Uint8Array.from(bytes));

/** A file of the samples, encoded in the page. */
async function encoded(name) {
  const bytes = await page.evaluate(async (name) => [...(await encoder.encode(await fileOf(name))).toBytes()], name);
  return record(bytes);
}

async function nativeRecord(name) {
  return record(new Uint8Array(await (await fetch(`${url}/v1/videos/${encodeURIComponent(name)}`)).arrayBuffer()));
}

test("the page is isolated, and its policy allows nothing of elsewhere", async () => {
  assert.equal(await page.evaluate(() => crossOriginIsolated), true);
  assert.match((await fetch(url)).headers.get("content-security-policy"), /default-src 'none'/);
});

for (const name of ["originals/amber.mp4", "copies/dune-blurred-fill.mp4", "minute.mp4", ...Object.keys(OTHERS)]) {
  test(`${name}: the record is as good as the native one`, async (t) => {
    const [mine, theirs] = [await encoded(name), await nativeRecord(name)];
    assert.deepEqual([...mine.times], [...theirs.times]);
    assert.ok(Math.abs(mine.duration - theirs.duration) <= 0.1, `${mine.duration} s and ${theirs.duration} s`);
    assert.deepEqual([...mine.warnings], []);
    const local = await Encoder.load();
    try {
      for (const [a, b] of [
        [mine, theirs],
        [theirs, mine],
      ]) {
        const { score } = await compare(a, b, { matrix: false });
        // The cosine itself: its probability says how much one vector can tell, which is less than that it is the same.
        const cosine = a.global.reduce((sum, v, i) => sum + v * b.global[i], 0);
        assert.ok(score >= 0.98 && cosine >= 0.95, `fine ${score}, cosine ${cosine}`);
      }
    } finally {
      local.dispose();
    }
    t.diagnostic(`${(100 * sharedBits(mine.codes, theirs.codes)).toFixed(2)} % of the bits are the native ones`);
  });
}

test("the same frames give the same codes as in Node", async () => {
  const frames = drawn(4, 160, 90, 7);
  const plain = frames.map(({ width, height, data }) => ({ width, height, data: [...data] }));
  const bytes = await page.evaluate(async (plain) => {
    const images = plain.map(({ width, height, data }) => new ImageData(new Uint8ClampedArray(data), width, height));
    return [...(await encoder.encode(images)).toBytes()];
  }, plain);
  const mine = await record(bytes);
  const local = await Encoder.load();
  const theirs = await local.encode(frames);
  local.dispose();
  assert.ok(sharedBits(mine.codes, theirs.codes) >= 0.999);
  assert.ok(mine.global.every((v, i) => Math.abs(v - theirs.global[i]) <= 1e-3));
});

test("VideoFrames are sampled by their times and stay the caller's", async (t) => {
  if (!(await has(t, page, "VideoFrame"))) return;
  const got = await page.evaluate(async () => {
    const canvas = new OffscreenCanvas(64, 48);
    const draw = canvas.getContext("2d");
    const frames = [];
    for (let i = 0; i < 30; i++) {
      draw.fillStyle = `hsl(${i * 12} 80% 50%)`;
      draw.fillRect(0, 0, 64, 48);
      draw.fillStyle = "black";
      draw.fillRect(i * 2, 10, 8, 8);
      frames.push(new VideoFrame(canvas, { timestamp: i * 100_000 }));
    }
    const video = await encoder.encode(frames);
    const open = frames.every((frame) => frame.format !== null);
    frames.forEach((frame) => frame.close());
    return { times: [...video.times], open };
  });
  assert.deepEqual(got, { times: Array.from({ length: 24 }, (_, k) => k / 8), open: true });
});

test("a <video>'s source is encoded by seeking", async () => {
  const bytes = await page.evaluate(async () => {
    const video = document.createElement("video");
    video.src = "/media/originals/amber.mp4";
    await new Promise((resolve, reject) => {
      video.onloadeddata = resolve;
      video.onerror = () => reject(new Error("the video does not load"));
    });
    return [...(await encoder.encode(video)).toBytes()];
  });
  const [mine, theirs] = [await record(bytes), await nativeRecord("originals/amber.mp4")];
  assert.deepEqual([...mine.times], [...theirs.times]);
  const local = await Encoder.load();
  const { score } = await compare(mine, theirs);
  local.dispose();
  assert.ok(score >= 0.99, `score ${score}`);
});

test("progress of every frame, and the page goes on meanwhile", async (t) => {
  const got = await page.evaluate(async () => {
    const file = await fileOf("minute.mp4");
    const steps = [];
    let ticks = 0;
    let longest = 0;
    let last = performance.now();
    const timer = setInterval(() => {
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
      ticks++;
    }, 5);
    const long = [];
    const observer = new PerformanceObserver((list) => long.push(...list.getEntries().map((e) => e.duration)));
    observer.observe({ type: "longtask" });
    const start = performance.now();
    const video = await encoder.encode(file, { onProgress: (p) => steps.push(p) });
    const wall = performance.now() - start;
    clearInterval(timer);
    observer.disconnect();
    return { frames: video.frames, steps: steps.map((s) => s.done), last: steps.at(-1), ticks, longest, long, wall };
  });
  assert.equal(got.frames, 60);
  assert.deepEqual(
    got.steps,
    Array.from({ length: 60 }, (_, i) => i + 1),
  );
  assert.deepEqual([got.last.phase, got.last.total, got.last.seconds], ["encode", 60, 59]);
  t.diagnostic(
    `60 s of 640x360 in ${(got.wall / 1000).toFixed(2)} s; longest wait of the page ${got.longest.toFixed(0)} ms; long tasks: ${got.long.length}`,
  );
  assert.ok(got.ticks >= 20, `${got.ticks} ticks`);
  // Twice what is aimed at: the machine may be busy with other things.
  assert.ok(
    got.long.every((ms) => ms <= 100),
    `tasks of ${got.long.map(Math.round)} ms`,
  );
});

test("an aborted call stops at once, and the next one works", async () => {
  const got = await page.evaluate(async () => {
    const file = await fileOf("minute.mp4");
    const controller = new AbortController();
    let at = 0;
    let seen = 0;
    const onProgress = () => {
      if (++seen === 3) {
        at = performance.now();
        controller.abort();
      }
    };
    const error = await encoder.encode(file, { signal: controller.signal, onProgress }).catch((e) => e);
    const took = performance.now() - at;
    const { times } = await encoder.encode(await fileOf("originals/amber.mp4"));
    return { name: error.name, took, seen, frames: times.length };
  });
  assert.equal(got.name, "AbortError");
  assert.ok(got.took < 100 && got.seen === 3, JSON.stringify(got));
  assert.equal(got.frames, 48);
});

test("broken files are refused with a code, or read as far as they go", async () => {
  const got = await page.evaluate(async () => {
    const attempt = async (file) => {
      try {
        const { frames, warnings } = await encoder.encode(file);
        return { frames, warnings: [...warnings] };
      } catch (error) {
        return { typed: error instanceof vidsieve.VidsieveError, code: error.code };
      }
    };
    const whole = new Uint8Array(await (await fileOf("minute.mp4")).arrayBuffer());
    const holed = whole.slice();
    crypto.getRandomValues(holed.subarray(60_000, 61_000));
    return {
      text: await attempt(new Blob(["this is no video"])),
      empty: await attempt(new Blob([])),
      noise: await attempt(new Blob([crypto.getRandomValues(new Uint8Array(5000))])),
      head: await attempt(new Blob([whole.subarray(0, 900)])),
      cut: await attempt(new Blob([whole.subarray(0, whole.length / 2)])),
      holed: await attempt(new Blob([holed])),
    };
  });
  for (const kind of ["text", "empty", "noise", "head"])
    assert.deepEqual(got[kind], { typed: true, code: "unreadable" }, kind);
  // Half of a minute, which has two samples a second if it is a little less.
  assert.ok(got.cut.frames > 10 && got.cut.frames < 70 && got.cut.warnings.length === 1, JSON.stringify(got.cut));
  assert.ok(got.holed.frames > 0 || got.holed.typed, JSON.stringify(got.holed));
});

test("a local index finds copies and outlives the page", async () => {
  const names = ["originals/amber.mp4", "originals/basalt.mp4", "copies/amber-crop.mp4"];
  await page.evaluate(async (names) => {
    const index = await vidsieve.LocalIndex.open("tests");
    for (const name of names) await index.add(name, await encoder.encode(await fileOf(name)));
    index.dispose();
  }, names);
  const other = await open(browser, url, suite, context);
  const got = await other.page.evaluate(async () => {
    const model = await vidsieve.loadModel();
    const index = await vidsieve.LocalIndex.open("tests");
    const pages = [];
    for await (const page of index.search(await index.get("copies/amber-crop.mp4"), { top: 2 })) pages.push(page);
    const answer = { ids: (await index.ids()).sort(), pages, cached: model.info.cached };
    await index.clear();
    index.dispose();
    model.dispose();
    return answer;
  });
  assert.deepEqual(got.ids, [...names].sort());
  assert.deepEqual(
    got.pages.map((p) => p.page),
    ["coarse", "refined"],
  );
  assert.deepEqual(got.pages[1].hits.map((h) => h.id).sort(), ["copies/amber-crop.mp4", "originals/amber.mp4"]);
  assert.ok(got.pages[1].hits[0].segments.length > 0);
  assert.equal(got.cached, true);
  assert.deepEqual(other.problems, []);
  await other.page.close();
});

test("a local index of an older version is refused by name, with the remedy", async () => {
  const message = await page.evaluate(async () => {
    const index = await vidsieve.LocalIndex.open("older");
    await index.add("a", await encoder.encode(await fileOf("originals/amber.mp4")));
    index.dispose();
    const done = (request) =>
      new Promise((resolve, reject) =>
        Object.assign(request, { onsuccess: () => resolve(request.result), onerror: reject }),
      );
    const database = await done(indexedDB.open("vidsieve:older"));
    const records = () => database.transaction("records", "readwrite").objectStore("records");
    const record = await done(records().get("a"));
    record[8] = 1;
    await done(records().put(record, "a"));
    database.close();
    const refused = await vidsieve.LocalIndex.open("older").then(
      () => null,
      (error) => error,
    );
    await done(indexedDB.deleteDatabase("vidsieve:older"));
    const fresh = await vidsieve.LocalIndex.open("older");
    const ids = await fresh.ids();
    fresh.dispose();
    return { code: refused?.code, message: refused?.message, ids };
  });
  assert.equal(message.code, "other-version");
  assert.match(message.message, /older.*version 1.*index the video again.*deleteDatabase/);
  assert.deepEqual(message.ids, []);
});

test("a server is searched, and gets a record alone", async () => {
  const sent = [];
  const listen = (request) => request.method() === "POST" && sent.push(request.postDataBuffer().length);
  page.on("request", listen);
  const got = await page.evaluate(async () => {
    const video = await encoder.encode(await fileOf("copies/amber-crop.mp4"));
    const pages = [];
    for await (const page of new vidsieve.SearchClient("/").search(video, { top: 3 }))
      pages.push({ page: page.page, ids: page.hits.map((h) => h.id) });
    return { pages, bytes: video.toBytes().length };
  });
  page.off("request", listen);
  assert.deepEqual(
    got.pages.map((p) => p.page),
    ["coarse", "refined"],
  );
  assert.ok(got.pages[1].ids.includes("originals/amber.mp4"), JSON.stringify(got));
  if (BROWSER === "chromium") assert.deepEqual(sent, [got.bytes]);
});

test("the similarity matrix is an ImageData", async () => {
  const got = await page.evaluate(async () => {
    const video = await encoder.encode(await fileOf("originals/amber.mp4"));
    const { matrix } = await vidsieve.compare(video, video);
    return {
      image: matrix.image instanceof ImageData,
      width: matrix.image.width,
      bright: [...matrix.image.data.subarray(0, 4)],
    };
  });
  assert.deepEqual(got, { image: true, width: 48, bright: [253, 231, 37, 255] });
});

test(
  "a Worker that crashes fails its calls and is replaced",
  onlyChromium("its driver does not reach into Workers"),
  async () => {
    const before = problems.length;
    const worker = page.workers()[0];
    const got = page.evaluate(async () => {
      const ended = encoder.encode(await fileOf("minute.mp4"), { onProgress: ({ done }) => (window.begun = done > 0) });
      const error = await ended.catch((e) => e);
      const again = await encoder.encode(await fileOf("originals/amber.mp4"));
      return { typed: error instanceof vidsieve.VidsieveError, code: error.code, frames: again.frames };
    });
    await page.waitForFunction(() => window.begun);
    await worker.evaluate(
      () =>
        void setTimeout(() => {
          throw new Error("an accident");
        }),
    );
    assert.deepEqual(await got, { typed: true, code: "crashed", frames: 48 });
    // The accident itself is the only complaint.
    problems.splice(before);
  },
);

test("offline, the model comes from the cache", onlyChromium("its driver does not answer requests"), async () => {
  const other = await open(browser, url, suite, context);
  await other.page.route("**/model/**", (route) => route.abort());
  const cached = await other.page.evaluate(async () => (await vidsieve.Encoder.load()).model.cached);
  assert.equal(cached, true);
  await other.page.close();
});

test("without a Worker, and the slim entry", async () => {
  const { page: other, problems: complaints } = await open(browser, url, suite);
  const got = await other.evaluate(async () => {
    vidsieve.configure({ worker: false });
    const encoder = await vidsieve.Encoder.load();
    const file = new File([await (await fetch("/media/originals/amber.mp4")).arrayBuffer()], "amber.mp4");
    const video = await encoder.encode(file);
    const model = await slim.loadModel();
    const { score } = await slim.compare(video.toBytes(), video.toBytes());
    return { frames: video.frames, score, instructions: model.info.instructions };
  });
  assert.equal(got.frames, 48);
  assert.ok(got.score > 0.9);
  assert.deepEqual(complaints, []);
});

test("on a page that is not isolated", async (t) => {
  const { page: other, problems: complaints } = await open(browser, await plainly(www, t), t);
  const clip = [...(await readFile(join(native.videos, "originals/amber.mp4")))];
  const got = await other.evaluate(async (clip) => {
    const encoder = await vidsieve.Encoder.load();
    const video = await encoder.encode(new Blob([Uint8Array.from(clip)]));
    return { isolated: crossOriginIsolated, frames: video.frames };
  }, clip);
  assert.deepEqual(got, { isolated: false, frames: 48 });
  assert.deepEqual(complaints, []);
});

const MEMORY = { timeout: 600_000, ...onlyChromium("it does not measure the memory of a page") };
test("frames a second, and fifty videos leave no memory behind", MEMORY, async (t) => {
  const got = await page.evaluate(async () => {
    const used = async () => (await performance.measureUserAgentSpecificMemory()).bytes;
    const file = await fileOf("originals/cobalt.mp4");
    const images = Array.from({ length: 40 }, () => {
      const image = new ImageData(448, 252);
      crypto.getRandomValues(image.data.subarray(0, 60_000));
      return image;
    });
    let best = Infinity;
    for (let round = 0; round < 3; round++) {
      const start = performance.now();
      await encoder.encode(images);
      best = Math.min(best, performance.now() - start);
    }
    // Few frames of each: what a video leaves behind does not depend on their number.
    for (let i = 0; i < 10; i++) await encoder.encode(file, { fps: 0.5 });
    const before = await used();
    for (let i = 0; i < 50; i++) await encoder.encode(file, { fps: 0.5 });
    return { rate: (1000 * images.length) / best, before, after: await used() };
  });
  const mb = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
  t.diagnostic(
    `${got.rate.toFixed(0)} frames of 448x252 a second; memory ${mb(got.before)}, fifty videos later ${mb(got.after)}`,
  );
  assert.ok(got.after - got.before < 8e6, `${mb(got.before)} became ${mb(got.after)}`);
});

test(
  "what is disposed of is gone: its Worker, its memory",
  onlyChromium("its driver does not list Workers"),
  async () => {
    const { page: other } = await open(browser, url, suite);
    const during = await other.evaluate(async () => {
      window.encoder = await vidsieve.Encoder.load();
      window.index = await vidsieve.LocalIndex.open("gone");
      return encoder.model.threads;
    });
    // Its threads are Workers as well, if it has some.
    assert.equal(other.workers().length, during > 1 ? 1 + during : 1);
    const left = await other.evaluate(async () => {
      encoder.dispose();
      index.dispose();
      return (await encoder.encode([]).catch((e) => e)).code;
    });
    assert.equal(left, "disposed");
    await assert.doesNotReject(async () => {
      for (let i = 0; i < 50 && other.workers().length > 0; i++)
        await new Promise((resolve) => setTimeout(resolve, 100));
      assert.equal(other.workers().length, 0);
    });
  },
);

test("the page complained about nothing", () => {
  assert.deepEqual(problems, []);
});
