/** Watches decoders: one that hangs is an error instead of an endless wait. */

import { VideoSampleSink, type InputVideoTrack, type VideoSample } from "mediabunny";

import { VidsieveError } from "../data/errors.js";
import { Packets } from "./packets.js";

/** Milliseconds of a tick. */
const TICK = 500;

/**
 * Ticks without a frame after which a decoder has failed: 20 s. They are counted, as a clock would
 * count the time for which the machine slept.
 */
const PATIENCE = 40;

/** What is used of mediabunny's own: the packets and the decoder of a sink, and what it gives out. */
interface Decoder {
  close(): void;
}
interface Internals {
  _createPacketSink(): Packets;
  _createDecoder(onSample: (sample: VideoSample) => unknown, onError: (error: unknown) => unknown): Promise<Decoder>;
}

/** The decoders of a track. */
export class Watch {
  /** Where packets are looked up. */
  readonly packets: Packets;
  #given = 0;
  readonly #track: InputVideoTrack;
  readonly #decoders: Decoder[] = [];

  constructor(track: InputVideoTrack) {
    this.#track = track;
    this.packets = new Packets(track);
  }

  /** A sink whose decoders are watched. */
  sink(): VideoSampleSink {
    const sink = new VideoSampleSink(this.#track);
    const inner = sink as unknown as Internals;
    inner._createPacketSink = () => this.packets;
    const create = inner._createDecoder.bind(sink);
    inner._createDecoder = async (onSample, onError) => {
      const counted = (sample: VideoSample) => {
        this.#given++;
        onSample(sample);
      };
      const decoder = await create(counted, onError);
      this.#decoders.push(decoder);
      return decoder;
    };
    return sink;
  }

  /**
   * Waits for something that decoders do. Fails with `unsupported` once they have given no frame
   * for too long, and closes them; `late` takes what comes after all.
   */
  async wait<T>(work: Promise<T>, late: (result: T) => void): Promise<T> {
    let timer: ReturnType<typeof setInterval> | undefined;
    const silence = new Promise<never>((_, reject) => {
      let [given, ticks] = [this.#given, 0];
      timer = setInterval(() => {
        if (this.#given > given) [given, ticks] = [this.#given, 0];
        else if (++ticks >= PATIENCE)
          reject(new VidsieveError("unsupported", "this browser's decoder gives no frames"));
      }, TICK);
    });
    try {
      return await Promise.race([work, silence]);
    } catch (thrown) {
      work.then(late).catch(() => {});
      throw thrown;
    } finally {
      clearInterval(timer);
    }
  }

  /** Closes all decoders: a call of one that hangs ends thereby. */
  close(): void {
    for (const decoder of this.#decoders.splice(0)) {
      try {
        decoder.close();
      } catch {
        // It is closed already.
      }
    }
  }
}
