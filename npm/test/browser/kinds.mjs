// Files of many kinds, made by FFmpeg in the current folder.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";

const X264 = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p"];

const ffmpeg = (...args) => execFileSync("ffmpeg", ["-v", "error", "-nostdin", "-y", ...args]);

/** Puts a number into a box of an MP4, `skip` bytes after its name. */
async function patch(path, box, skip, write) {
  const bytes = await readFile(path);
  const at = bytes.indexOf(box);
  assert.ok(at > 0, `${path} has no ${box}`);
  write(bytes, at + 4 + skip);
  await writeFile(path, bytes);
}

/** The matrix of the track's header that turns the picture by quarters. */
const turned = (quarters) => (bytes, at) => {
  const [a, b, c, d] = [
    [1, 0, 0, 1],
    [0, 1, -1, 0],
    [-1, 0, 0, -1],
    [0, -1, 1, 0],
  ][quarters];
  [a, b, 0, c, d, 0].forEach((v, i) => bytes.writeInt32BE(v * 0x10000, at + 4 * i));
};
const turn = (quarters) => ({
  from: ["-i", "clip.mp4", "-c", "copy"],
  then: (path) => patch(path, "tkhd", 40, turned(quarters)),
});
const cut = (share) => async (path) => {
  const bytes = await readFile(path);
  await writeFile(path, bytes.subarray(0, Math.floor(bytes.length * share)));
};

const REALTIME = ["-deadline", "realtime", "-cpu-used", "8", "-b:v", "1M"];
const LIVE = ["-i", "clip.mp4", "-an", "-t", "5", "-c:v", "libvpx", ...REALTIME, "-f", "webm", "-live", "1"];

/** Sets the delays of a GIF's frames, in hundredths of a second. */
const delays = (delayOf) => async (path) => {
  const bytes = await readFile(path);
  const found = [];
  for (let at = bytes.indexOf(CONTROL); at >= 0; at = bytes.indexOf(CONTROL, at + 1)) {
    if (bytes[at + 7] === 0 && bytes[at + 8] === 0x2c) found.push(at + 4);
  }
  assert.ok(found.length > 10, `${path} has ${found.length} frames`);
  found.forEach((at, k) => bytes.writeUInt16LE(delayOf(k, found.length), at));
  await writeFile(path, bytes);
};
/** How the description of a GIF's frame begins. */
const CONTROL = Buffer.from([0x21, 0xf9, 4]);
const GIF = ["-i", "clip.mp4", "-an", "-t", "4", "-vf", "fps=10"];
const HALF = "format=rgba,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='255*lt(X,W/2)'";
/** Decoders of pictures give the same pixels, and the length is that of the delays. */
const PICTURE = { bits: 0.98, seconds: 0.05 };
/** One frame is less evidence: a picture beside itself has a score of .93. */
const ONE = { ...PICTURE, enough: 0.93 };

/**
 * How each file is made of `clip.mp4`, which has key frames 4 s apart, B-frames and sound. `may`: where the browser cannot decode it, it
 * is refused by name. `enough`: the least score beside the native record, where it is not .99: low bitrates of VP8 differ more between
 * decoders. `bits`: the least share of equal bits, `seconds`: by how much the lengths may differ.
 */
export const FILES = {
  "faststart.mp4": { from: ["-i", "clip.mp4", "-c", "copy", "-movflags", "faststart"] },
  "index-at-the-end.mp4": { from: ["-i", "clip.mp4", "-c", "copy"] },
  "cut-faststart.mp4": {
    from: ["-i", "clip.mp4", "-c", "copy", "-movflags", "faststart"],
    then: cut(0.6),
    warns: /cut off: only the first/,
  },
  "cut-index-at-the-end.mp4": { from: ["-i", "clip.mp4", "-c", "copy"], then: cut(0.6), refused: "unreadable" },
  "cut.webm": {
    from: ["-i", "clip.mp4", "-an", "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "1M"],
    then: cut(0.6),
    warns: /cut off: only the first/,
  },
  "trimmed.mp4": { from: ["-ss", "2.3", "-i", "clip.mp4", "-t", "6", "-an", "-c", "copy"] },
  "trimmed-sound.mp4": { from: ["-ss", "2.3", "-i", "clip.mp4", "-t", "6", "-c", "copy"] },
  // As phones trim: the frames after the end stay in the file. The edit's length is in ticks of 1/1000 s.
  "trimmed-both.mp4": {
    from: ["-ss", "2.3", "-i", "clip.mp4", "-an", "-c", "copy"],
    then: (path) => patch(path, "elst", 8, (bytes, at) => bytes.writeUInt32BE(5500, at)),
  },
  "delayed.mp4": {
    from: ["-itsoffset", "1.5", "-i", "clip.mp4", "-i", "clip.mp4", "-map", "0:v", "-map", "1:a", "-c", "copy"],
  },
  "fragmented.mp4": { from: ["-i", "clip.mp4", "-c", "copy", "-movflags", "frag_keyframe+empty_moov"] },
  "ten-bits.mp4": {
    from: ["-i", "clip.mp4", "-an", "-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p10le"],
    may: true,
  },
  "full-chroma.mp4": {
    from: ["-i", "clip.mp4", "-an", "-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv444p"],
    may: true,
  },
  "anamorphic.mp4": { from: ["-i", "clip.mp4", "-an", "-vf", "scale=240:180,setsar=4/3", ...X264] },
  "turned-90.mp4": turn(1),
  "turned-180.mp4": turn(2),
  "turned-270.mp4": turn(3),
  "uneven.mp4": {
    from: ["-i", "clip.mp4", "-an", "-vf", "select='not(mod(n,7))+not(mod(n,5))'", "-fps_mode", "vfr", ...X264],
  },
  "uneven.webm": {
    from: [
      "-i",
      "clip.mp4",
      "-an",
      "-vf",
      "select='not(mod(n,7))+not(mod(n,5))'",
      "-fps_mode",
      "vfr",
      "-c:v",
      "libvpx",
      "-deadline",
      "realtime",
      "-cpu-used",
      "8",
      "-b:v",
      "2M",
    ],
  },
  "vp9.webm": {
    from: ["-i", "clip.mp4", "-an", "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "2M"],
  },
  "av1.mp4": {
    from: ["-i", "clip.mp4", "-an", "-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime", "-b:v", "2M"],
  },
  "hevc.mp4": {
    from: [
      "-i",
      "clip.mp4",
      "-an",
      "-c:v",
      "libx265",
      "-preset",
      "ultrafast",
      "-x265-params",
      "log-level=none",
      "-tag:v",
      "hvc1",
    ],
    may: true,
    named: /HEVC \(H\.265\)/,
  },
  "prores.mov": { from: ["-i", "clip.mp4", "-an", "-c:v", "prores_ks", "-profile:v", "0"], may: true, named: /ProRes/ },
  "long-sound.mp4": {
    from: [
      "-f",
      "lavfi",
      "-i",
      "sine=d=20",
      "-i",
      "clip.mp4",
      "-map",
      "1:v",
      "-map",
      "0:a",
      "-c:v",
      "copy",
      "-c:a",
      "aac",
    ],
  },
  // Clusters of five seconds at most, most of them without a key frame.
  "no-length.webm": { from: LIVE, enough: 0.985 },
  "cut-no-length.webm": { from: LIVE, enough: 0.985, then: cut(0.6), warns: /cut off: its last frames/ },
  "clip.avi": { from: ["-i", "clip.mp4", "-an", "-c:v", "mpeg4", "-q:v", "3"], may: true },
  "clip.gif": { from: ["-i", "clip.mp4", "-an", "-t", "4", "-vf", "fps=10"], ...PICTURE },
  "uneven.gif": {
    from: ["-i", "clip.mp4", "-an", "-vf", "fps=10,select='not(mod(n,7))+not(mod(n,5))'", "-fps_mode", "vfr"],
    ...PICTURE,
  },
  "no-delays.gif": { from: GIF, then: delays((k) => k % 2), ...PICTURE },
  // The last frame stays for five seconds; a record of the package ends half a second after its last sample.
  "stays.gif": { from: GIF, then: delays((k, count) => (k === count - 1 ? 500 : 10)), ...PICTURE, seconds: 4.6 },
  // The right half is transparent, over black.
  "transparent.gif": {
    from: ["-i", "clip.mp4", "-an", "-t", "4", "-vf", `fps=5,${HALF},split[a][b];[a]palettegen[p];[b][p]paletteuse`],
    ...PICTURE,
  },
  // Natively the half of the last frame counts.
  "cut.gif": { from: GIF, then: cut(0.6), ...PICTURE, seconds: 0.15, warns: /damaged.*only the first 2\.\d s/ },
  "one.gif": { from: [...GIF, "-frames:v", "1"], ...ONE },
  "no-frames.gif": { bytes: "GIF89a\x10\0\x10\0\0\0\0;", refused: "unreadable", named: /GIF/ },
  "broken.gif": { bytes: "GIF89a these are notes\n", refused: "unreadable", named: /GIF/ },
  "moving.webp": { from: [...GIF, "-c:v", "libwebp_anim", "-lossless", "1", "-loop", "0"], ...PICTURE },
  "moving.png": { from: ["-i", "clip.mp4", "-an", "-t", "4", "-vf", "fps=30", "-f", "apng"], ...PICTURE },
  "moving.avif": {
    from: [...GIF, "-pix_fmt", "yuv420p", "-c:v", "libaom-av1", "-cpu-used", "8", "-crf", "10", "-f", "avif"],
    ...PICTURE,
    // Lossy: the conversion from YCbCr is the browser's.
    bits: 0.97,
    named: /AV1/,
  },
  "still.png": { from: [...GIF, "-frames:v", "1", "-update", "1"], ...ONE },
  "still.webp": { from: [...GIF, "-frames:v", "1", "-c:v", "libwebp", "-lossless", "1"], ...ONE },
  "sound.m4a": { from: ["-i", "clip.mp4", "-vn", "-c", "copy"], refused: "unreadable" },
  "empty.mp4": { bytes: "", refused: "unreadable" },
  "text.mp4": { bytes: "these are notes\n", refused: "unreadable" },
};

/** Files that a browser decodes otherwise than by WebCodecs: by a `<video>`, or not at all. */
const EXCEPTIONS = {
  firefox: {
    "ten-bits.mp4": "video",
    "full-chroma.mp4": "video",
    "hevc.mp4": "video",
    "prores.mov": "refused",
    "clip.avi": "refused",
  },
  webkit: {
    "prores.mov": "video",
    "clip.avi": "video",
    "clip.gif": "refused",
  },
};

/**
 * What decodes a file in a browser: `webcodecs`, `video` or `refused`. Null where it depends on the build: that of
 * Chromium decides about codecs that need a licence.
 */
export function decoderOf(browser, name) {
  const { refused, may } = FILES[name];
  if (refused) return "refused";
  if (!EXCEPTIONS[browser]) return may ? null : "webcodecs";
  return EXCEPTIONS[browser][name] ?? "webcodecs";
}

/** Makes all of them of a video: its first 12 seconds, with a key frame every 4, B-frames and sound. */
export async function makeFiles(video) {
  const coding = [...X264, "-bf", "3", "-g", "100", "-keyint_min", "100", "-sc_threshold", "0", "-c:a", "aac"];
  ffmpeg(
    "-i",
    video,
    "-f",
    "lavfi",
    "-i",
    "sine=d=12",
    "-map",
    "0:v",
    "-map",
    "1:a",
    "-t",
    "12",
    "-r",
    "25",
    "-vf",
    "scale=320:180",
    ...coding,
    "clip.mp4",
  );
  for (const [name, { from, bytes, then }] of Object.entries(FILES)) {
    if (from) ffmpeg(...from, name);
    else await writeFile(name, bytes);
    await then?.(name);
  }
}
