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

/**
 * How each file is made of `clip.mp4`, which has key frames 4 s apart, B-frames and sound. `may`: where the browser cannot decode it, it
 * is refused by name. `enough`: the least score beside the native record, where it is not .99: low bitrates of VP8 differ more between
 * decoders.
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
  "clip.gif": { from: ["-i", "clip.mp4", "-an", "-t", "4", "-vf", "fps=10"], may: true },
  "sound.m4a": { from: ["-i", "clip.mp4", "-vn", "-c", "copy"], refused: "unreadable" },
  "empty.mp4": { bytes: "", refused: "unreadable" },
  "text.mp4": { bytes: "these are notes\n", refused: "unreadable" },
};

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
