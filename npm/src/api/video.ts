import { VidsieveError } from "../data/errors.js";
import type { RecordInfo } from "../data/wire.js";
import { backendOf } from "../worker/backend.js";

/** An encoded video: a vector, a scalar for the selector, and binary codes of its frames. */
export class EncodedVideo {
  readonly #bytes: Uint8Array;
  /** SHA-256 of the bundle that made the record. Only videos of one bundle can be compared. */
  readonly bundle: string;
  /** Length in seconds. */
  readonly duration: number;
  /** Self-similarity, the selector's scalar. */
  readonly selfSimilarity: number;
  /** Global vector of S^c, of unit length. */
  readonly global: Float32Array;
  /** Times of the sampled frames, in seconds from the first. */
  readonly times: Float64Array;
  /**
   * Weight of each frame, from 0 for an uninformative one (black, flat, faded out) to 255 for ordinary
   * footage. A view: do not write to it.
   */
  readonly weights: Uint8Array;
  /** Whether any frame is informative. If not, the video neither finds anything nor is found. */
  readonly informative: boolean;
  /** Number of sampled frames. */
  readonly frames: number;
  /** Number of regions of a frame. */
  readonly regions: number;
  /** Bits of the code of a region. */
  readonly bits: number;
  /** Codes, of shape [frames, regions, bits / 8]. A view: do not write to it. */
  readonly codes: Uint8Array;
  /** What the record lacks, such as frames that could not be decoded, in words. */
  readonly warnings: readonly string[];

  /** @internal */
  constructor(bytes: Uint8Array, info: RecordInfo, warnings: readonly string[] = []) {
    this.#bytes = bytes;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.bundle = info.bundle;
    this.duration = info.duration;
    this.selfSimilarity = info.selfSimilarity;
    this.frames = info.frames;
    this.regions = info.regions;
    this.bits = info.bits;
    this.global = Float32Array.from({ length: info.dims }, (_, i) => view.getFloat32(info.globalAt + 4 * i, true));
    this.times = Float64Array.from(
      { length: info.frames },
      (_, i) => view.getUint32(info.timesAt + 4 * i, true) / 1000,
    );
    this.weights = bytes.subarray(info.weightsAt, info.weightsAt + info.frames);
    this.informative = info.informative;
    this.codes = bytes.subarray(info.codesAt);
    this.warnings = warnings;
  }

  /** Returns the record as bytes, which indices, servers and all other hosts read. */
  toBytes(): Uint8Array {
    return this.#bytes.slice();
  }

  /** Returns the record's bytes without a copy. @internal */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Reads and checks a record. Fails with `bad-record` for bytes that are not a valid record. */
  static async fromBytes(
    bytes: Uint8Array | ArrayBuffer,
    options: { signal?: AbortSignal } = {},
  ): Promise<EncodedVideo> {
    const own = new Uint8Array(bytes).slice();
    const info = await backendOf().call("inspect", { bytes: own }, options);
    return new EncodedVideo(own, info);
  }
}

/** Returns the bytes of a record, given as a video or as bytes. @internal */
export function recordBytes(video: EncodedVideo | Uint8Array): Uint8Array {
  if (video instanceof EncodedVideo) return video.bytes;
  if (video instanceof Uint8Array) return video;
  throw new VidsieveError("bad-argument", "this is not a video: pass an EncodedVideo or the bytes of a record");
}
