import { VidsieveError } from "../data/errors.js";
import type { RecordInfo } from "../data/wire.js";
import { backendOf } from "../worker/backend.js";

/** A video as it is indexed and searched with: a vector, a scalar, and binary codes of its frames. */
export class EncodedVideo {
  readonly #bytes: Uint8Array;
  /** SHA-256 of the bundle that made it; videos of different bundles cannot be compared. */
  readonly bundle: string;
  /** Seconds. */
  readonly duration: number;
  /** The selector's scalar. */
  readonly selfSimilarity: number;
  /** The video as one vector of unit length. */
  readonly global: Float32Array;
  /** When the sampled frames are shown, in seconds from the first. */
  readonly times: Float64Array;
  /**
   * How much each frame shows: 0 for one that says nothing (black, flat, faded out), 255 for ordinary footage; a view, not to be
   * written to.
   */
  readonly weights: Uint8Array;
  /** Whether any frame shows anything. A video of which this is false is found by none and finds none. */
  readonly informative: boolean;
  /** Sampled frames. */
  readonly frames: number;
  /** Regions of a frame. */
  readonly regions: number;
  /** Bits of a region. */
  readonly bits: number;
  /** Codes [frames][regions][bits / 8]; a view, not to be written to. */
  readonly codes: Uint8Array;
  /** What was lost on the way: a file that is damaged at its end, a video that was cut. */
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
    this.times = Float64Array.from({ length: info.frames }, (_, i) => view.getUint32(info.timesAt + 4 * i, true) / 1000);
    this.weights = bytes.subarray(info.weightsAt, info.weightsAt + info.frames);
    this.informative = info.informative;
    this.codes = bytes.subarray(info.codesAt);
    this.warnings = warnings;
  }

  /** The record: what an index, a server and every other host of Vidsieve read. */
  toBytes(): Uint8Array {
    return this.#bytes.slice();
  }

  /** The record without a copy. @internal */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Checks a record's bytes and reads them. Fails with `bad-record` for anything that is not a sound record. */
  static async fromBytes(bytes: Uint8Array | ArrayBuffer, options: { signal?: AbortSignal } = {}): Promise<EncodedVideo> {
    const own = new Uint8Array(bytes).slice();
    const info = await backendOf().call("inspect", { bytes: own }, options);
    return new EncodedVideo(own, info);
  }
}

/** A record's bytes of whatever stands for one. @internal */
export function recordBytes(video: EncodedVideo | Uint8Array): Uint8Array {
  if (video instanceof EncodedVideo) return video.bytes;
  if (video instanceof Uint8Array) return video;
  throw new VidsieveError("bad-argument", "an EncodedVideo or the bytes of a record is needed");
}
