// Files of many kinds in a browser: by WebCodecs, by a <video>, or refused, each against the native record.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { EncodedVideo, Encoder, compare } from "vidsieve";

import { sharedBits } from "../frames.mjs";
import { folder, serve, vidsieve } from "../native.mjs";
import { BROWSER, has, launch, open, plainly, site } from "./browser.mjs";
import { FILES, decoderOf, makeFiles } from "./kinds.mjs";

const cleanups = [];
const suite = { after: (work) => cleanups.push(work) };
let www, url, browser, page, problems, native, local;

before(async () => {
  const path = await folder(suite);
  www = await site(path);
  process.chdir(www);
  vidsieve("samples", "--out", join(path, "samples"), "--seed", "1");
  await makeFiles(join(path, "samples/originals/cobalt.mp4"));
  // The native records, of those that can be read natively.
  const index = join(path, "index");
  try {
    vidsieve("index", "--index", index, ...Object.keys(FILES));
  } catch {
    // Some are refused, as they are meant to be.
  }
  const server = await serve(suite, index);
  native = async (name) => {
    const response = await fetch(`${server}/v1/videos/${encodeURIComponent(name)}`);
    return response.ok ? EncodedVideo.fromBytes(new Uint8Array(await response.arrayBuffer())) : null;
  };
  local = await Encoder.load();
  url = await plainly(www, suite);
  browser = await launch(suite);
  console.log(`# ${BROWSER} ${browser.version()}`);
  ({ page, problems } = await open(browser, url, suite));
  await page.evaluate(async () => {
    window.fileOf = async (name) => new File([await (await fetch(`/${name}`)).arrayBuffer()], name);
    window.attempt = async (encoder, name) => {
      const file = await fileOf(name);
      const can = await encoder.canEncode(file);
      try {
        const video = await encoder.encode(file);
        return { can, bytes: [...video.toBytes()], warnings: [...video.warnings] };
      } catch (error) {
        return { can, code: error.code, message: error.message };
      }
    };
    window.encoder = await vidsieve.Encoder.load();
  });
});

after(async () => {
  local?.dispose();
  process.chdir("/");
  for (const work of cleanups.reverse()) await work();
});

/** Compares a record of the page with the native one. */
async function agrees(t, name, bytes, enough = 0.99, seconds = 1) {
  const [mine, theirs] = [await EncodedVideo.fromBytes(Uint8Array.from(bytes)), await native(name)];
  assert.ok(theirs, `${name} is refused natively`);
  const facts = `${mine.frames} frames, natively ${theirs.frames}; ${mine.duration} s, natively ${theirs.duration} s`;
  assert.ok(Math.abs(mine.frames - theirs.frames) <= 1, facts);
  assert.equal(mine.times[1], theirs.times[1], `the rate: ${facts}`);
  assert.ok(Math.abs(mine.duration - theirs.duration) <= seconds, facts);
  const [{ score }, { score: turned }] = [
    await compare(mine, theirs, { matrix: false }),
    await compare(theirs, mine, { matrix: false }),
  ];
  const least = Math.min(mine.codes.length, theirs.codes.length);
  const bits = sharedBits(mine.codes.subarray(0, least), theirs.codes.subarray(0, least));
  t.diagnostic(`${name}: ${facts}; ${(100 * bits).toFixed(1)} % of the bits, score ${score.toFixed(4)}`);
  assert.ok(score >= enough && turned >= enough, `score ${score}, ${turned}`);
  return bits;
}

for (const [name, { refused, warns, named, enough, bits: equal, seconds }] of Object.entries(FILES)) {
  const decoder = decoderOf(BROWSER, name);
  const how =
    { webcodecs: "by WebCodecs", video: "by a <video>", refused: "is refused" }[decoder] ?? "if it is decoded";
  test(`${name} ${how}`, { timeout: 120_000 }, async (t) => {
    const got = await page.evaluate((name) => attempt(encoder, name), name);
    if (named) assert.match(`${got.can.codec}`, named);
    assert.equal(got.can.encodable, got.bytes !== undefined, JSON.stringify(got));
    assert.equal(got.can.by ?? "refused", decoder ?? got.can.by ?? "refused", JSON.stringify(got.can));
    if (!got.bytes) {
      t.diagnostic(`${name}: ${got.code}: ${got.message}`);
      assert.equal(got.code, refused ?? got.code);
      assert.ok(["unreadable", "unsupported"].includes(got.code), got.message);
      if (named && !got.bytes) assert.match(got.message, named);
      return;
    }
    assert.ok(got.bytes, got.message);
    if (warns) assert.match(got.warnings.join(), warns);
    else assert.deepEqual(got.warnings, []);
    const bits = await agrees(t, name, got.bytes, enough, seconds);
    assert.ok(bits >= (equal ?? (enough ? 0.93 : 0.95)), `${bits} of the bits`);
    if (!seconds) return;
    assert.equal(got.can.by, "webcodecs");
    const { frames, duration } = await EncodedVideo.fromBytes(Uint8Array.from(got.bytes));
    assert.ok(
      Math.abs(got.can.frames - frames) <= 1 && Math.abs(got.can.duration - duration) <= Math.max(1, seconds),
      JSON.stringify(got.can),
    );
  });
}

/** A page whose own thread works, without a part of the browser. */
async function lacking(t, change) {
  const { page: other } = await open(browser, url, t);
  await other.evaluate(`(${change})()`);
  await other.evaluate(async () => {
    vidsieve.configure({ worker: false });
    window.encoder = await vidsieve.Encoder.load();
    window.fileOf = async (name) => new File([await (await fetch(`/${name}`)).arrayBuffer()], name);
  });
  return other;
}

const encoded = (other, name) =>
  other.evaluate(async (name) => {
    const video = await encoder.encode(await fileOf(name));
    return { bytes: [...video.toBytes()], warnings: [...video.warnings], frames: video.frames };
  }, name);

for (const name of ["faststart.mp4", "long-sound.mp4", "trimmed.mp4", "no-length.webm"]) {
  test(`${name} without WebCodecs`, { timeout: 120_000 }, async (t) => {
    const other = await lacking(t, () => delete window.VideoDecoder);
    if (name === "no-length.webm") {
      const told = await other.evaluate(async (name) => {
        const video = Object.assign(document.createElement("video"), { src: `/${name}` });
        await new Promise((resolve) => (video.onloadedmetadata = resolve));
        return video.duration === Infinity;
      }, name);
      assert.ok(told, "the browser knows its length");
    }
    await agrees(t, name, (await encoded(other, name)).bytes, FILES[name].enough);
  });
}

test("a decoder that gives nothing is given up, and a <video> takes its place", { timeout: 120_000 }, async (t) => {
  if (!(await has(t, page, "VideoDecoder"))) return;
  const silent = () => {
    // Time runs twenty times as fast for the watch.
    const interval = window.setInterval.bind(window);
    window.setInterval = (work, ms) => interval(work, ms / 20);
    const Decoder = window.VideoDecoder;
    window.VideoDecoder = class {
      static isConfigSupported = (config) => Decoder.isConfigSupported(config);
      state = "configured";
      decodeQueueSize = 0;
      configure() {}
      decode() {}
      flush() {
        return new Promise((_, reject) => (this.end = reject));
      }
      close() {
        this.state = "closed";
        window.decoderClosed = true;
        this.end?.(new DOMException("closed", "AbortError"));
      }
    };
  };
  const other = await lacking(t, silent);
  await agrees(t, "faststart.mp4", (await encoded(other, "faststart.mp4")).bytes);
  assert.equal(await other.evaluate(() => window.decoderClosed), true);
  // Where there is no <video>, as in a Worker, it is an error.
  const error = await other.evaluate(async () => {
    const create = document.createElement.bind(document);
    document.createElement = (name) => {
      if (name === "video") throw new vidsieve.VidsieveError("unreadable", "no <video>");
      return create(name);
    };
    return encoder.encode(await fileOf("faststart.mp4")).then(
      () => null,
      ({ code, message }) => ({ code, message }),
    );
  });
  assert.deepEqual(error, { code: "unsupported", message: "this browser's decoder gives no frames" });
});

test("a decoder that is slow is waited for", { timeout: 120_000 }, async (t) => {
  if (!(await has(t, page, "VideoDecoder"))) return;
  // A frame every 60 ms is 1.2 s for the watch; a sample takes 25 frames: 30 s, more than its patience.
  const slow = () => {
    const interval = window.setInterval.bind(window);
    window.setInterval = (work, ms) => interval(work, ms / 20);
    const Decoder = window.VideoDecoder;
    window.VideoDecoder = class extends Decoder {
      constructor({ output, error }) {
        let last = Promise.resolve();
        const late = (frame) =>
          (last = last.then(() => new Promise((resolve) => setTimeout(resolve, 60))).then(() => output(frame)));
        super({ output: late, error });
        this.late = () => last;
      }
      async flush() {
        await super.flush();
        await this.late();
      }
    };
  };
  const other = await lacking(t, slow);
  const frames = await other.evaluate(
    async () => (await encoder.encode(await fileOf("faststart.mp4"), { fps: 0.5 })).frames,
  );
  assert.equal(frames, 6);
});

test("a decoder that the browser takes away is asked for again", { timeout: 120_000 }, async (t) => {
  if (!(await has(t, page, "VideoDecoder"))) return;
  const taken = () => {
    const Decoder = window.VideoDecoder;
    window.reclaimed = 0;
    window.VideoDecoder = class extends Decoder {
      constructor({ output, error }) {
        let given = 0;
        super({
          error,
          output: (frame) => {
            // Not before some frames, so that there is progress.
            if (++given === 60 && window.reclaimed < 3) {
              window.reclaimed++;
              frame.close();
              error(new DOMException("Codec reclaimed due to inactivity.", "QuotaExceededError"));
            } else if (given < 60 || window.reclaimed >= 3) output(frame);
            else frame.close();
          },
        });
      }
    };
  };
  const other = await lacking(t, taken);
  const { bytes, warnings } = await encoded(other, "faststart.mp4");
  assert.ok((await other.evaluate(() => window.reclaimed)) >= 2);
  assert.deepEqual(warnings, []);
  await agrees(t, "faststart.mp4", bytes);
});

test("damage: frames before and after it count, and the warning says the same as the record", {
  timeout: 120_000,
}, async (t) => {
  if (!(await has(t, page, "VideoDecoder"))) return;
  // The decoder fails at frames between 5 s and 6 s, as at bytes that make no sense.
  const damaged = (until) => `() => {
    const Decoder = window.VideoDecoder;
    window.VideoDecoder = class extends Decoder {
      constructor(init) { super(init); this.fail = init.error; }
      decode(chunk) {
        const at = chunk.timestamp / 1e6;
        if (at >= 5.1 && at < ${until}) { this.fail(new DOMException("Decoding error.", "EncodingError")); return; }
        super.decode(chunk);
      }
    };
  }`;
  const whole = await native("faststart.mp4");
  const middle = await encoded(await lacking(t, damaged(6)), "faststart.mp4");
  const mine = await EncodedVideo.fromBytes(Uint8Array.from(middle.bytes));
  assert.deepEqual([...mine.times], [...whole.times]);
  assert.equal(middle.warnings.length, 1);
  assert.match(middle.warnings[0], /^the file is damaged in places/);
  // Four frames a second; the group of pictures from 4 s to 8 s ends at 5.1 s.
  const code = (video, k) =>
    video.codes.subarray((k * video.codes.length) / video.frames, ((k + 1) * video.codes.length) / video.frames);
  for (const k of [0, 8, 18, 20, 32, 40]) assert.ok(sharedBits(code(mine, k), code(whole, k)) > 0.85, `sample ${k}`);
  assert.ok(sharedBits(code(mine, 24), code(mine, 22)) === 1, "the last good frame stays");

  const rest = await encoded(await lacking(t, damaged(99)), "faststart.mp4");
  const begun = await EncodedVideo.fromBytes(Uint8Array.from(rest.bytes));
  // The frame at 5 s may need the one at 5.1 s.
  const end = begun.times.at(-1);
  assert.ok(end >= 4.5 && end <= 5, `${end}`);
  assert.deepEqual(
    [...begun.times],
    [...whole.times].filter((time) => time <= end),
  );
  assert.equal(rest.warnings.length, 1);
  assert.match(rest.warnings[0], new RegExp(`only the first ${begun.times.at(-1).toFixed(1)} of 11\\.3 s`));
});

test("frames of a picture are closed, whether it ends, is aborted or loses its decoder", {
  timeout: 120_000,
}, async (t) => {
  const counted = () => {
    const decode = ImageDecoder.prototype.decode;
    window.given = [];
    window.opened = new Set();
    window.lose = () => false;
    ImageDecoder.prototype.decode = async function (options) {
      window.opened.add(this);
      if (window.lose()) throw new DOMException("Image decoder reclaimed due to inactivity.", "QuotaExceededError");
      const result = await decode.call(this, options);
      window.given.push(result.image);
      return result;
    };
  };
  const other = await lacking(t, counted);
  const left = () => other.evaluate(() => window.given.filter(({ format }) => format !== null).length);
  const { bytes } = await encoded(other, "clip.gif");
  await agrees(t, "clip.gif", bytes);
  assert.ok((await other.evaluate(() => window.given.length)) >= 70, "40 frames, of which 32 are samples");
  assert.equal(await left(), 0);

  for (const at of [3, 50]) {
    const name = await other.evaluate(async (at) => {
      window.given = [];
      const controller = new AbortController();
      window.lose = () => void (window.given.length === at && controller.abort());
      const ended = encoder.encode(await fileOf("clip.gif"), { signal: controller.signal });
      return ended.then(
        () => "",
        (error) => error.name,
      );
    }, at);
    assert.equal(name, "AbortError");
    const given = await other.evaluate(() => window.given.length);
    assert.ok(given <= at + 2, `${given} frames after an abort at ${at}`);
    // A frame that was asked for before the abort comes after it.
    await other.waitForFunction(() => window.given.every(({ format }) => format === null));
  }

  const lost = await other.evaluate(async () => {
    window.opened.clear();
    window.given = [];
    let times = 0;
    window.lose = () => window.given.length % 20 === 19 && times++ % 2 === 0;
    const video = await encoder.encode(await fileOf("clip.gif"));
    return { bytes: [...video.toBytes()], warnings: [...video.warnings], decoders: window.opened.size };
  });
  assert.ok(lost.decoders >= 3, `${lost.decoders} decoders`);
  assert.deepEqual(lost.warnings, []);
  assert.deepEqual(lost.bytes, bytes);
  assert.equal(await left(), 0);
  const error = await other.evaluate(async () => {
    window.lose = () => true;
    return encoder.encode(await fileOf("clip.gif")).catch(({ code, message }) => ({ code, message }));
  });
  assert.equal(error.code, "unsupported");
  assert.match(error.message, /reclaimed the decoder repeatedly/);
});

test("a browser without ImageDecoder refuses a GIF by name", { timeout: 120_000 }, async (t) => {
  const other = await lacking(t, () => delete window.ImageDecoder);
  const [can, error] = await other.evaluate(async () => {
    const file = await fileOf("clip.gif");
    return [
      await encoder.canEncode(file),
      await encoder.encode(file).catch(({ code, message }) => ({ code, message })),
    ];
  });
  assert.deepEqual([can.encodable, can.container], [false, "GIF"]);
  assert.deepEqual(error, { code: "unsupported", message: "this host has no ImageDecoder, which decodes GIF" });
});

test("`src` that was set a moment ago, <source>, and a file that plays", { timeout: 120_000 }, async () => {
  const got = await page.evaluate(async () => {
    const video = document.createElement("video");
    video.src = "/vp9.webm";
    const first = (await encoder.encode(video)).frames;
    video.src = "/trimmed.mp4";
    const second = (await encoder.encode(video)).frames;
    const other = document.createElement("video");
    other.append(
      Object.assign(document.createElement("source"), { src: "/none.xyz", type: "video/none" }),
      Object.assign(document.createElement("source"), { src: "/trimmed.mp4", type: "video/mp4" }),
    );
    const third = (await encoder.encode(other)).frames;
    const none = await encoder.encode(document.createElement("video")).catch((error) => error.code);
    return [first, second, third, none];
  });
  const [vp9, trimmed] = await Promise.all(["vp9.webm", "trimmed.mp4"].map(native));
  assert.deepEqual(got, [vp9.frames, trimmed.frames, trimmed.frames, "bad-argument"]);
});

test("a URL, a Response, bytes; what cannot be had says why", { timeout: 120_000 }, async (t) => {
  const foreign = await plainly(www, t);
  const before = problems.length;
  const got = await page.evaluate(async (foreign) => {
    const bytes = await (await fetch("/trimmed.mp4")).arrayBuffer();
    const phases = new Set();
    const onProgress = ({ phase }) => phases.add(phase);
    const frames = [];
    for (const source of [
      "/trimmed.mp4",
      new URL("/trimmed.mp4", location.href),
      await fetch("/trimmed.mp4"),
      bytes,
      new Uint8Array(bytes),
    ]) {
      frames.push((await encoder.encode(source, { onProgress })).frames);
    }
    const fails = async (source) =>
      encoder.encode(source).then(
        () => null,
        ({ code, message, cause }) => ({ code, message, cause: cause?.name ?? null }),
      );
    return {
      frames,
      phases: [...phases],
      missing: await fails("/none.mp4"),
      foreign: await fails(`${foreign}trimmed.mp4`),
      opaque: await fails(await fetch(`${foreign}trimmed.mp4`, { mode: "no-cors" })),
      odd: await fails(7),
    };
  }, foreign);
  problems.splice(before);
  assert.equal(new Set(got.frames).size, 1);
  assert.deepEqual(got.phases, ["download", "encode"]);
  assert.match(got.missing.message, /none\.mp4: HTTP 404/);
  assert.deepEqual([got.foreign.code, got.foreign.cause], ["network", "TypeError"]);
  assert.match(got.foreign.message, /Access-Control-Allow-Origin/);
  assert.match(got.opaque.message, /CORS/);
  assert.equal(got.odd.code, "bad-argument");
});

test("many files: each with its video or its error, and leaving ends all", { timeout: 120_000 }, async () => {
  const got = await page.evaluate(async () => {
    const names = ["faststart.mp4", "text.mp4", "trimmed.mp4", "vp9.webm"];
    const files = await Promise.all(names.map(fileOf));
    const seen = new Set();
    const items = [];
    for await (const { source, index, video, error } of encoder.encodeAll(files, {
      concurrency: 2,
      onProgress: ({ source }) => seen.add(source.name),
    })) {
      items.push([source.name, index, video?.frames ?? error.code]);
    }
    let first = 0;
    for await (const _ of encoder.encodeAll(files)) {
      first++;
      break;
    }
    const controller = new AbortController();
    const stopped = [];
    try {
      for await (const item of encoder.encodeAll(files, { signal: controller.signal })) {
        stopped.push(item.source.name);
        controller.abort();
      }
    } catch (error) {
      stopped.push(error.name);
    }
    const records = await Promise.all(
      files.filter(({ name }) => name !== "text.mp4").map(async (file) => [file.name, await encoder.encode(file)]),
    );
    const report = await vidsieve.findDuplicates(records, { order: ["vp9.webm"] });
    return { items, seen: [...seen].sort(), first, stopped, report };
  });
  assert.deepEqual(got.items.map(([name, index]) => [index, name]).sort(), [
    [0, "faststart.mp4"],
    [1, "text.mp4"],
    [2, "trimmed.mp4"],
    [3, "vp9.webm"],
  ]);
  assert.equal(got.items.find(([name]) => name === "text.mp4")[2], "unreadable");
  assert.deepEqual(got.seen, ["faststart.mp4", "trimmed.mp4", "vp9.webm"]);
  assert.equal(got.first, 1);
  assert.deepEqual(got.stopped, ["faststart.mp4", "AbortError"]);
  const { groups, excerpts } = got.report;
  assert.deepEqual(
    groups.map(({ keep, copies }) => [keep, copies.map(({ id }) => id)]),
    [["vp9.webm", ["faststart.mp4"]]],
  );
  assert.deepEqual(
    excerpts.map(({ id, of }) => [id, of]),
    [["trimmed.mp4", "vp9.webm"]],
  );
});

test("the page complained about nothing", () => {
  assert.deepEqual(
    problems.filter((text) => !/404/.test(text)),
    [],
  );
});
