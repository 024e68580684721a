/// <reference lib="esnext.disposable" preserve="true" />
import { VidsieveError, asError } from "../data/errors.js";
import type {
  Encodable,
  EncodeOptions,
  FrameSource,
  LoadOptions,
  ModelInfo,
  Pixels,
  TimedFrame,
} from "../data/types.js";
import type { Backend, Encoded, Loaded } from "../engine/methods.js";
import { elementFrames } from "../sources/element.js";
import type { Frame } from "../sources/pixels.js";
import { Sampler, leaveOut, rateOf, type Rate } from "../sources/sampling.js";
import { streamFrames } from "../sources/stream.js";
import { release, workersOf } from "../worker/backend.js";
import { encodeAll, type EncodeAllOptions, type EncodedItem } from "./encode-all.js";
import { encodeFile } from "./encode-file.js";
import { load } from "./model.js";
import { SOURCES, blobOf, isBytes, isFrames, sourceOf, type ByteSource } from "./sources-of.js";
import { EncodedVideo } from "./video.js";

/**
 * Input of {@link Encoder.encode}. A URL is downloaded completely. Of a `<video>`, the source is
 * opened again, or its `MediaStream` is encoded in real time.
 */
export type VideoSource = ByteSource | HTMLVideoElement | MediaStream | FrameSource;

type AnyFrame = ImageData | VideoFrame | Pixels | TimedFrame;

const isVideoFrame = (frame: unknown): frame is VideoFrame =>
  typeof VideoFrame !== "undefined" && frame instanceof VideoFrame;

function isPixels(frame: unknown): frame is Pixels {
  const { width, height, data } = (frame ?? {}) as Partial<Pixels>;
  return typeof width === "number" && typeof height === "number" && data instanceof Uint8ClampedArray;
}

/** A frame, and its time if it has one. */
function timed(frame: AnyFrame): { image: VideoFrame | Pixels; time: number | undefined } {
  if (isVideoFrame(frame)) return { image: frame, time: frame.timestamp / 1e6 };
  if (isPixels(frame)) return { image: frame, time: undefined };
  if (
    frame &&
    typeof frame === "object" &&
    "image" in frame &&
    typeof frame.time === "number" &&
    Number.isFinite(frame.time)
  ) {
    const image: unknown = frame.image;
    if (isVideoFrame(image) || isPixels(image)) return { image, time: frame.time };
  }
  throw new VidsieveError("bad-frame", "a frame is an ImageData, a VideoFrame, or { image, time }");
}

/** Copies a frame until the next one arrives: the caller may close or overwrite its own. */
function kept(image: VideoFrame | Pixels): Frame {
  if (isVideoFrame(image)) return image.clone();
  const { width, height, data } = image;
  if (data.length !== 4 * width * height) {
    throw new VidsieveError(
      "bad-frame",
      `a frame of ${width}x${height} pixels needs ${4 * width * height} bytes, got ${data.length}`,
    );
  }
  return { width, height, data: new Uint8ClampedArray(data) };
}

function close(frame: Frame | null): void {
  if (frame && "close" in frame) frame.close();
}

/** Encodes videos into records of about a kilobyte a second. */
export class Encoder {
  /** The loaded model. */
  readonly model: ModelInfo;
  readonly #loaded: Loaded;
  #backend: Backend | null;

  private constructor(backend: Backend, loaded: Loaded) {
    this.#backend = backend;
    this.#loaded = loaded;
    const { frameSide: _side, maxFrames: _frames, ...info } = loaded;
    this.model = info;
  }

  /**
   * Loads a model, by default the packaged one. The download is checked by its SHA-256 and cached
   * where the browser has a cache, so that later loads need no network.
   */
  static async load(options: LoadOptions = {}): Promise<Encoder> {
    const { backend, info } = await load(options, true);
    return new Encoder(backend, info);
  }

  #use(): Backend {
    if (this.#backend) return this.#backend;
    throw new VidsieveError("disposed", "this encoder was disposed of: load another with Encoder.load");
  }

  /**
   * Encodes a file, a URL, the source of a `<video>`, a stream until it ends, or frames. Aborting the
   * signal stops the call within one frame.
   */
  async encode(source: VideoSource, options: EncodeOptions = {}): Promise<EncodedVideo> {
    const { fps = "auto", signal } = options;
    if (fps !== "auto" && !(Number.isFinite(fps) && fps > 0 && fps <= 1000)) {
      throw new VidsieveError("bad-argument", `fps is ${fps}, must be "auto" or above 0 and at most 1000`);
    }
    signal?.throwIfAborted();
    this.#use();
    if (isBytes(source)) return this.#file(await blobOf(source, options), fps, options);
    const opened =
      typeof HTMLVideoElement !== "undefined" && source instanceof HTMLVideoElement ? sourceOf(source) : source;
    if (opened instanceof Blob) return this.#file(opened, fps, options);
    if (typeof opened === "string") return this.#element(opened, fps, options);
    if (typeof MediaStream !== "undefined" && opened instanceof MediaStream) return this.#stream(opened, fps, options);
    if (isFrames(opened)) return this.#frames(opened, fps, options);
    throw new VidsieveError("bad-argument", `this source cannot be encoded: pass ${SOURCES}`);
  }

  /**
   * Predicts from a file's headers whether {@link Encoder.encode} can encode it, what decodes it, and
   * how many frames it samples. Fails only if it is aborted or the download of a URL fails.
   */
  async canEncode(source: ByteSource, options: EncodeOptions = {}): Promise<Encodable> {
    const { fps = "auto", signal } = options;
    signal?.throwIfAborted();
    if (!isBytes(source))
      throw new VidsieveError(
        "bad-argument",
        "canEncode takes files only: pass a File, a Blob, a URL, a Response or bytes",
      );
    const file = await blobOf(source, options);
    const facts = await this.#use().call("fileFacts", { file, fps }, { signal });
    if (facts.reason === null) return { ...facts, encodable: true, by: "webcodecs" };
    if (typeof document === "undefined" || file.size === 0) return { ...facts, encodable: false, by: null };
    const url = URL.createObjectURL(file);
    try {
      const { duration, width, height, close } = await elementFrames(url, fps, signal);
      close();
      return { ...facts, duration: facts.duration ?? duration, width, height, encodable: true, by: "video" };
    } catch {
      signal?.throwIfAborted();
      return { ...facts, encodable: false, by: null };
    } finally {
      URL.revokeObjectURL(url);
    }
  }

  /**
   * Encodes many sources and yields the video or the error of each as soon as it is ready.
   *
   * `concurrency` sources are encoded at a time (default: 1). A failed source does not affect the
   * others. Leaving the loop cancels the rest.
   */
  encodeAll<T extends VideoSource>(
    sources: Iterable<T> | AsyncIterable<T>,
    options: EncodeAllOptions<T> = {},
  ): AsyncGenerator<EncodedItem<T>, void, undefined> {
    return encodeAll((source, each) => this.encode(source, each), sources, options);
  }

  #video({ bytes, info, warnings }: Encoded): EncodedVideo {
    return new EncodedVideo(bytes, info, warnings);
  }

  async #file(file: Blob, fps: Rate, options: EncodeOptions): Promise<EncodedVideo> {
    const { signal, onProgress } = options;
    if (file.size === 0) throw new VidsieveError("unreadable", "the file is empty");
    try {
      const workers = this.model.threads > 1 ? 1 : workersOf();
      const job = { model: this.model.id, file, fps, maxFrames: this.#loaded.maxFrames, workers };
      return this.#video(await encodeFile(this.#use(), job, { signal, onProgress }));
    } catch (thrown) {
      signal?.throwIfAborted();
      const error = asError(thrown);
      if (typeof document === "undefined" || !["unsupported", "unreadable"].includes(error.code)) throw error;
      // A <video> may decode what WebCodecs cannot.
      const url = URL.createObjectURL(file);
      try {
        return await this.#element(url, fps, options);
      } catch (second) {
        signal?.throwIfAborted();
        throw asError(second).code === "unreadable" ? error : second;
      } finally {
        URL.revokeObjectURL(url);
      }
    }
  }

  async #element(url: string, fps: Rate, options: EncodeOptions): Promise<EncodedVideo> {
    const reader = await elementFrames(url, fps, options.signal);
    try {
      return await this.#frames(reader.frames(), reader.fps, { ...options, duration: reader.duration });
    } finally {
      reader.close();
    }
  }

  async #stream(stream: MediaStream, fps: Rate, options: EncodeOptions): Promise<EncodedVideo> {
    const { duration, until, ...rest } = options;
    if (duration !== undefined && !(Number.isFinite(duration) && duration > 0)) {
      throw new VidsieveError("bad-argument", `duration is ${duration}, must be above 0`);
    }
    // A stream that ends earlier has its own length.
    return this.#frames(streamFrames(stream, { fps, duration, until, signal: options.signal }), fps, rest, true);
  }

  /** `live`: the time of the last frame is the length of the video. */
  async #frames(source: FrameSource, fps: Rate, options: EncodeOptions, live = false): Promise<EncodedVideo> {
    const { signal, onProgress, duration } = options;
    const backend = this.#use();
    signal?.throwIfAborted();
    // Not aborted: the session's id is needed to drop it below.
    const session = await backend.call("begin", { model: this.model.id });
    let times: number[] = [];
    const sampler = new Sampler(fps);
    let { rate } = sampler;
    const untimedRate = fps === "auto" ? 1 : fps;
    let done = 0;
    let first: number | undefined;
    let last = 0;
    let untimed = 0;
    let held: Frame | null = null;
    const push = async (frame: Frame, samples: number[]): Promise<void> => {
      const transfer: Transferable[] = "close" in frame ? [frame] : [frame.data.buffer as ArrayBuffer];
      try {
        await backend.call("push", { session, frame, samples: samples.length }, { signal, transfer });
      } finally {
        // A transferred frame belongs to the Worker.
        close(frame);
      }
      times.push(...samples);
      const expected = untimed > 0 ? untimedRate : rateOf(fps, duration ?? 0);
      const total =
        duration === undefined ? undefined : Math.min(Math.floor(duration * expected) + 1, this.#loaded.maxFrames);
      // Progress counts samples that are dropped later.
      done = Math.max(done, Math.min(times.length, total ?? Infinity));
      onProgress?.({
        phase: "encode",
        done,
        total,
        seconds: times.at(-1) ?? 0,
        ...(duration === undefined ? {} : { duration }),
      });
    };
    try {
      signal?.throwIfAborted();
      for await (const frame of source) {
        signal?.throwIfAborted();
        const { image, time } = timed(frame);
        if (time === undefined) {
          if (first !== undefined) throw new VidsieveError("bad-video", "either all frames have a time or none");
          await push(kept(image), [untimed++ / untimedRate]);
          continue;
        }
        if (untimed > 0) throw new VidsieveError("bad-video", "either all frames have a time or none");
        first ??= time;
        if (time - first < last) throw new VidsieveError("bad-video", `the frame at ${time} s comes after a later one`);
        last = time - first;
        const samples = sampler.push(last);
        for (; rate > sampler.rate; rate /= 2) {
          await backend.call("halve", { session }, { signal });
          times = leaveOut(times);
        }
        const before: Frame | null = held;
        held = kept(image);
        if (before && samples.length > 0) await push(before, samples);
        else close(before);
      }
      const rest: Frame | null = held;
      held = null;
      if (rest) {
        const samples = sampler.finish();
        if (samples.length > 0) await push(rest, samples);
        else close(rest);
      }
      signal?.throwIfAborted();
      const promised = duration ?? (untimed > 0 ? untimed / untimedRate : live ? last : Number.NaN);
      return this.#video(
        await backend.call("finish", { session, times: Float64Array.from(times), duration: promised }, { signal }),
      );
    } catch (thrown) {
      close(held);
      backend.call("drop", { session }).catch(() => {});
      throw thrown;
    }
  }

  /** Frees the model, and the Worker if nothing else uses it. */
  dispose(): void {
    const backend = this.#backend;
    if (!backend) return;
    this.#backend = null;
    backend.call("unload", { id: this.model.id }).catch(() => {});
    release();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
