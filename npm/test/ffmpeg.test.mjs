// Files in Node by the commands of FFmpeg, against the native record.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { after, before, test } from "node:test";

import { EncodedVideo, Encoder, LocalIndex, compare, findDuplicates } from "vidsieve";
import { open } from "vidsieve/ffmpeg";

import { sharedBits } from "./frames.mjs";
import { samples, serve, vidsieve } from "./native.mjs";

const cleanups = [];
const suite = { after: (work) => cleanups.push(work) };
let native, url, encoder;

before(async () => {
  native = await samples(suite);
  const clip = join(native.videos, "originals/cobalt.mp4");
  const ffmpeg = (...args) => execFileSync("ffmpeg", ["-v", "error", "-y", "-i", clip, ...args]);
  ffmpeg(
    "-t",
    "5.3",
    "-an",
    "-vf",
    "scale=240:180,setsar=4/3",
    "-c:v",
    "libx264",
    join(native.videos, "anamorphic.mp4"),
  );
  ffmpeg("-ss", "1.7", "-t", "6", "-an", "-c", "copy", join(native.videos, "trimmed.mp4"));
  ffmpeg(
    "-an",
    "-vf",
    "select='not(mod(n,7))+not(mod(n,5))'",
    "-fps_mode",
    "vfr",
    "-c:v",
    "libx264",
    join(native.videos, "uneven.mkv"),
  );
  vidsieve("index", "--index", native.index, native.videos);
  url = await serve(suite, native.index);
  encoder = await Encoder.load();
});

after(async () => {
  encoder?.dispose();
  for (const work of cleanups.reverse()) await work();
});

async function read(name, options) {
  const clip = await open(join(native.videos, name), options);
  return encoder.encode(clip.frames(), clip);
}

for (const name of ["originals/amber.mp4", "copies/amber-crop.mp4", "anamorphic.mp4", "trimmed.mp4", "uneven.mkv"]) {
  test(`${name}: the record is the native one`, async (t) => {
    const mine = await read(name);
    const response = await fetch(`${url}/v1/videos/${encodeURIComponent(name)}`);
    const theirs = await EncodedVideo.fromBytes(await response.arrayBuffer());
    assert.deepEqual([...mine.times], [...theirs.times]);
    assert.ok(Math.abs(mine.duration - theirs.duration) < 0.1, `${mine.duration} and ${theirs.duration}`);
    const bits = sharedBits(mine.codes, theirs.codes);
    t.diagnostic(`${(100 * bits).toFixed(2)} % of the bits are the native ones`);
    assert.ok(bits >= 0.98, `${bits} of the bits`);
    assert.ok((await compare(mine, theirs, { matrix: false })).score >= 0.99);
  });
}

test("what cannot be read is refused with a code, and an abort ends it", async () => {
  const text = join(native.path, "text.mp4");
  await writeFile(text, "these are notes");
  await assert.rejects(open(text), { code: "unreadable" });
  await assert.rejects(open(join(native.path, "none.mp4")), { code: "unreadable" });
  await assert.rejects(open(text, { ffprobe: "no-such-command" }), { code: "unsupported" });
  const file = pathToFileURL(join(native.videos, "originals/amber.mp4"));
  await assert.rejects(open(file, { signal: AbortSignal.abort() }), { name: "AbortError" });
  const controller = new AbortController();
  const clip = await open(file, { signal: controller.signal });
  await assert.rejects(
    (async () => {
      for await (const _ of clip.frames()) controller.abort();
    })(),
    { name: "AbortError" },
  );
});

test("copies and excerpts among videos, in an index and without one", async () => {
  const names = ["originals/cobalt.mp4", "uneven.mkv", "trimmed.mp4", "originals/basalt.mp4"];
  const videos = await Promise.all(names.map(async (name) => [name, await read(name)]));
  const steps = [];
  const report = await findDuplicates(videos, { order: ["uneven.mkv"], onProgress: (step) => steps.push(step) });
  assert.deepEqual(
    report.groups.map(({ keep, copies }) => [keep, copies.map(({ id }) => id)]),
    [["uneven.mkv", ["originals/cobalt.mp4"]]],
  );
  assert.deepEqual(
    report.excerpts.map(({ id, of }) => [id, of]),
    [["trimmed.mp4", "uneven.mkv"]],
  );
  assert.ok(report.groups[0].copies[0].coverage.query.share > 0.5);
  assert.deepEqual([report.videos, report.missing], [4, []]);
  assert.deepEqual([...new Set(steps.map(({ phase }) => phase))], ["choose", "compare"]);

  const index = await LocalIndex.open("duplicates");
  for (const [id, video] of videos) await index.add(id, video);
  const again = await index.dedupe({ order: ["uneven.mkv"] });
  assert.deepEqual(again, report);
  const list = await index.list();
  assert.deepEqual(
    list.map(({ id }) => id),
    [...names].sort(),
  );
  assert.ok(
    list.every(
      ({ duration, frames, bytes, added }) => duration > 1 && frames > 1 && bytes > 100 && Date.now() - added < 60_000,
    ),
  );
  index.dispose();
  assert.deepEqual((await findDuplicates([])).groups, []);
  await assert.rejects(findDuplicates([...videos, videos[0]]), { code: "bad-argument" });
  await assert.rejects(findDuplicates(videos, { minScore: 2 }), { code: "bad-argument" });
  await assert.rejects(findDuplicates(videos, { budget: "2s" }), { code: "bad-argument" });
});
