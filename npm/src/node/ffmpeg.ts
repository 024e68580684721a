/**
 * Decodes files in Node by the commands `ffprobe` and `ffmpeg`. Frames are sampled by the same rule as
 * in browsers and by the native command.
 */

import { spawn, type ChildProcessByStdio } from "node:child_process";
import type { Readable } from "node:stream";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { VidsieveError } from "../data/errors.js";
import type { Pixels, TimedFrame } from "../data/types.js";
import { TOLERANCE, rateOf, sampleCount, type Rate } from "../sources/sampling.js";

/** Options of {@link open}. */
export interface FfmpegOptions {
  /** Frames sampled a second, as in the options of `encode`. Default: `auto`. */
  fps?: Rate;
  /** Path of the command `ffmpeg`, if it is not in `PATH`. */
  ffmpeg?: string;
  /** Path of the command `ffprobe`, if it is not in `PATH`. */
  ffprobe?: string;
  /** Longer side of the decoded frames in pixels; larger frames are reduced. Default: 448. */
  side?: number;
  signal?: AbortSignal;
}

/** An open file. Pass its frames to `encode`, with itself as the options (`fps`, `duration`). */
export interface FfmpegVideo {
  /** Samples a second. */
  fps: number;
  /** Length in seconds. */
  duration: number;
  /** Width of the frames, upright and with square pixels. */
  width: number;
  height: number;
  /** Decodes and yields the sampled frames. Each call starts from the beginning. */
  frames(): AsyncGenerator<TimedFrame, void, undefined>;
}

/** Output of `ffprobe` for a stream. */
interface Stream {
  index: number;
  width?: number;
  height?: number;
  duration?: string;
  sample_aspect_ratio?: string;
  pix_fmt?: string;
  color_space?: string;
  disposition?: { default?: number; attached_pic?: number; timed_thumbnails?: number };
  side_data_list?: { rotation?: number }[];
}
interface Probed {
  streams?: Stream[];
  format?: { duration?: string };
  packets?: { pts_time?: string; flags?: string }[];
}

type Child = ChildProcessByStdio<null, Readable, Readable>;

/** Starts a command, and keeps the end of its standard error for messages. */
function start(
  command: string,
  args: string[],
  signal: AbortSignal | undefined,
): { child: Child; ended: Promise<void> } {
  signal?.throwIfAborted();
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  child.stderr.on("data", (piece: Buffer) => (log = (log + piece.toString()).slice(-2000)));
  const abort = () => child.kill("SIGKILL");
  signal?.addEventListener("abort", abort, { once: true });
  const ended = new Promise<void>((done, fail) => {
    child.on("error", (cause) => {
      fail(
        new VidsieveError(
          "unsupported",
          `${command} cannot be started: install FFmpeg, or pass its path in the options`,
          { cause },
        ),
      );
    });
    child.on("close", (code) => {
      signal?.removeEventListener("abort", abort);
      if (code === 0) done();
      else
        fail(
          new VidsieveError(
            "unreadable",
            `${command}: ${log.trim().split("\n").slice(-3).join("; ") || `it ended with ${code}`}`,
          ),
        );
    });
  });
  ended.catch(() => {});
  return { child, ended };
}

async function ask(command: string, args: string[], signal: AbortSignal | undefined): Promise<Probed> {
  const { child, ended } = start(command, ["-v", "error", "-of", "json=compact=1", ...args], signal);
  const pieces: Buffer[] = [];
  for await (const piece of child.stdout) pieces.push(piece as Buffer);
  await ended.catch((thrown) => {
    signal?.throwIfAborted();
    throw thrown;
  });
  return JSON.parse(Buffer.concat(pieces).toString()) as Probed;
}

/** Chooses the video stream: the default one, then the largest picture, then the first. */
function videoOf(streams: Stream[]): Stream | undefined {
  const still = ({ disposition }: Stream) => disposition?.attached_pic === 1 || disposition?.timed_thumbnails === 1;
  const pixels = ({ width = 0, height = 0 }: Stream) => width * height;
  const first = ({ disposition }: Stream) => disposition?.default ?? 0;
  return streams.filter((stream) => !still(stream)).sort((a, b) => first(b) - first(a) || pixels(b) - pixels(a))[0];
}

/** Returns the displayed size, upright and in square pixels. */
function shown({ width = 0, height = 0, sample_aspect_ratio = "1:1", side_data_list = [] }: Stream): [number, number] {
  const [across = 1, down = 1] = sample_aspect_ratio.split(":").map(Number);
  const ratio = across / down;
  const plausible = ratio >= 1 / 8 && ratio <= 8;
  const [w, h] =
    plausible && ratio > 1 ? [width * ratio, height] : plausible ? [width, height / ratio] : [width, height];
  const turned = Math.abs(side_data_list.find((data) => data.rotation !== undefined)?.rotation ?? 0) % 180 === 90;
  return turned ? [h, w] : [w, h];
}

/**
 * Returns the length in seconds of a video whose frames have these times, by the rule of
 * `crates/video/src/delivery.rs`: the declared length counts if the frames are consistent with it;
 * otherwise the last frame lasts as long as the one before.
 */
function lengthOf(times: number[], ofStream: number, ofFile: number): number {
  const sorted = [...new Set(times)].sort((a, b) => a - b);
  const gaps = sorted.slice(1).map((time, i) => time - (sorted[i] ?? time));
  const [last, gap] = [(sorted.at(-1) ?? 0) - (sorted[0] ?? 0), gaps.at(-1) ?? 0];
  const longest = gaps.reduce((most, one) => Math.max(most, one), 0);
  const end = last + gap;
  if (ofStream >= last && ofStream <= 2 * last + 10 * longest + 60) return ofStream;
  if (Number.isNaN(ofStream) && ofFile >= last && ofFile <= end + 2 * gap + 0.5) return ofFile;
  return end;
}

/**
 * Opens a video file. Fails with `unsupported` if FFmpeg is not installed, and with `unreadable` if the
 * file is not a video.
 */
export async function open(file: string | URL, options: FfmpegOptions = {}): Promise<FfmpegVideo> {
  const { fps: wanted = "auto", ffmpeg = "ffmpeg", ffprobe = "ffprobe", side = 448, signal } = options;
  // FFmpeg must not take a path for an option or for another protocol.
  const input = `file:${resolve(file instanceof URL ? fileURLToPath(file) : file)}`;
  const entries =
    "stream=index,width,height,duration,sample_aspect_ratio,pix_fmt,color_space:stream_disposition=default,attached_pic,timed_thumbnails:stream_side_data=rotation:format=duration";
  const { streams = [], format } = await ask(
    ffprobe,
    ["-select_streams", "v", "-show_entries", entries, input],
    signal,
  );
  const stream = videoOf(streams);
  if (!stream?.width || !stream.height) throw new VidsieveError("unreadable", `${input.slice(5)} has no video`);
  const { packets = [] } = await ask(
    ffprobe,
    ["-select_streams", String(stream.index), "-show_entries", "packet=pts_time,flags", input],
    signal,
  );
  const times = packets
    .filter(({ flags }) => !flags?.includes("D"))
    .map(({ pts_time }) => Number(pts_time))
    .filter(Number.isFinite);
  if (times.length === 0) throw new VidsieveError("unreadable", `${input.slice(5)} has no frames`);
  const [first, final] = times.reduce(
    ([low, high], time) => [Math.min(low, time), Math.max(high, time)] as [number, number],
    [Infinity, -Infinity],
  );
  const last = final - first;
  const fps = rateOf(wanted, last);
  const [w, h] = shown(stream);
  const scale = Math.min(1, side / Math.max(w, h));
  const [width, height] = [Math.max(1, Math.round(w * scale)), Math.max(1, Math.round(h * scale))];
  const duration = lengthOf(times, Number(stream.duration), Number(format?.duration));
  const ycbcr = /^(yuv|nv|p0)/.test(stream.pix_fmt ?? "");
  const large = stream.width >= 1280 || stream.height > 576;
  const matrix =
    ycbcr && large && !/^(?!unknown|unspecified|reserved)./.test(stream.color_space ?? "")
      ? ":in_color_matrix=bt709"
      : "";
  // Takes the last frame at or before each sample: times are rounded up to samples, and the last frame of each counts.
  const rule = `settb=1/1000000,setpts=PTS-STARTPTS-${TOLERANCE * 1e6},fps=${fps}:round=up:start_time=0`;
  const graph = `${rule},scale=${width}:${height}:flags=area+accurate_rnd+full_chroma_int${matrix},format=rgba`;
  const args = [
    "-v",
    "error",
    "-nostdin",
    "-protocol_whitelist",
    "file",
    "-i",
    input,
    "-map",
    `0:${stream.index}`,
    "-an",
    "-sn",
    "-dn",
    "-vf",
    graph,
  ];
  const output = ["-frames:v", String(sampleCount(last, fps)), "-f", "rawvideo", "-pix_fmt", "rgba", "pipe:1"];
  const frames = () => read(ffmpeg, [...args, ...output], { width, height }, fps, signal);
  return { fps, duration, width, height, frames };
}

/** Yields the frames that FFmpeg writes. */
async function* read(
  command: string,
  args: string[],
  { width, height }: Omit<Pixels, "data">,
  fps: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<TimedFrame, void, undefined> {
  const { child, ended } = start(command, args, signal);
  const bytes = 4 * width * height;
  let [frame, filled, count] = [new Uint8ClampedArray(bytes), 0, 0];
  try {
    for await (const piece of child.stdout as AsyncIterable<Buffer>) {
      for (let at = 0; at < piece.length; ) {
        const part = piece.subarray(at, at + bytes - filled);
        frame.set(part, filled);
        at += part.length;
        filled += part.length;
        if (filled < bytes) continue;
        yield { image: { width, height, data: frame }, time: count++ / fps };
        [frame, filled] = [new Uint8ClampedArray(bytes), 0];
      }
    }
    signal?.throwIfAborted();
    try {
      await ended;
    } catch (thrown) {
      signal?.throwIfAborted();
      // The frames before the damage count.
      if (count === 0) throw thrown;
    }
    if (count === 0) throw new VidsieveError("unreadable", "no frame could be decoded");
  } finally {
    child.kill("SIGKILL");
  }
}
