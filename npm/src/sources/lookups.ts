/** The frames of a track's samples, in order, past damage and decoders that the browser takes away. */

import { EncodedPacketSink, type VideoSample } from "mediabunny";

import { VidsieveError } from "../data/errors.js";
import type { Span } from "./span.js";
import { TOLERANCE } from "./sampling.js";
import type { Watch } from "./watched.js";

/** The frame of a sample. */
export interface LookedUp {
  /** Number of the sample. */
  number: number;
  /** Closed by whoever takes it. */
  sample: VideoSample;
  /** Why the frame itself could not be decoded: `sample` is the last one before it that could. */
  damage?: string;
}

/** Times that a decoder is asked for again after the browser took it away without giving a frame. */
const RETRIES = 3;

/** Groups of pictures in a row without one that can be decoded, after which the rest is given up. */
const MOST_LOST = 50;

const isReclaimed = (thrown: unknown): boolean => thrown instanceof Error && thrown.name === "QuotaExceededError";

export const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));

/** Samples of a track by their numbers. */
export class Lookups {
  readonly #packets: EncodedPacketSink;

  constructor(
    readonly watch: Watch,
    readonly span: Span,
    /** Samples a second. */
    readonly fps: number,
    /** Samples that there are. */
    readonly count: number,
  ) {
    this.#packets = new EncodedPacketSink(watch.track);
  }

  /** The time by which the frame of a sample is shown. */
  #due(number: number): number {
    return Math.min(this.span.first + number / this.fps + TOLERANCE, this.span.last);
  }

  /**
   * The samples from number `from` on, up to `to`, which is not included. A sample whose frame is
   * damaged has the last frame before it, if a later one can be decoded; else it ends the samples
   * with `unreadable`.
   */
  async *read(from: number, to: number): AsyncGenerator<LookedUp> {
    const end = Math.min(to, this.count);
    let [next, reclaimed, lost] = [from, 0, 0];
    while (next < end) {
      let reason: unknown;
      try {
        for await (const sample of this.#run(next, end)) {
          [reclaimed, lost] = [0, 0];
          yield { number: next++, sample };
        }
        return;
      } catch (thrown) {
        if (thrown instanceof VidsieveError) throw thrown;
        reason = thrown;
      }
      if (isReclaimed(reason)) {
        if (++reclaimed > RETRIES) throw new VidsieveError("unsupported", "this browser takes its decoder away again and again", { cause: reason });
        continue;
      }
      // Those before the damage were dropped with it: one by one.
      for (let sample = await this.#one(next); sample; sample = next < end ? await this.#one(next) : null) {
        yield { number: next++, sample };
      }
      if (next >= end) return;
      const damage = messageOf(reason);
      const resume = await this.#after(next);
      const last = await this.#lastBefore(next);
      if (resume === null) {
        // The last frame of all may be there, as in a file that was cut within a later one.
        const final = await this.#at(this.span.last);
        if (!final || !last) {
          for (const sample of [final, last]) sample?.close();
          throw new VidsieveError("unreadable", `a frame cannot be decoded: ${damage}`, { cause: reason });
        }
        let shown = next;
        while (shown < end && this.#due(shown) < final.timestamp) shown++;
        yield* this.#repeated(last, next, shown, damage);
        yield* this.#repeated(final, shown, end);
        return;
      }
      if (++lost > MOST_LOST) {
        last?.close();
        throw new VidsieveError("unreadable", `no frame can be decoded any more: ${damage}`, { cause: reason });
      }
      if (last) yield* this.#repeated(last, next, Math.min(resume, end), damage);
      next = Math.max(resume, next + 1);
    }
  }

  /** The same frame for several samples. */
  *#repeated(sample: VideoSample, from: number, to: number, damage?: string): Generator<LookedUp> {
    try {
      for (let number = from; number < to; number++) yield { number, sample: sample.clone(), ...(damage ? { damage } : {}) };
    } finally {
      sample.close();
    }
  }

  /** Samples that are decoded in one go. */
  async *#run(from: number, to: number): AsyncGenerator<VideoSample> {
    const due = this.#due.bind(this);
    function* times(): Generator<number> {
      for (let number = from; number < to; number++) yield due(number);
    }
    const taken = this.watch.sink().samplesAtTimestamps(times());
    try {
      for (let number = from; number < to; number++) {
        const next = await this.watch.wait(taken.next());
        if (next.done || !next.value) throw new Error(`there is no frame at ${(number / this.fps).toFixed(2)} s`);
        yield next.value;
      }
    } finally {
      await taken.return(undefined).catch(() => {});
    }
  }

  /** The frame of a time by a decoder of its own; null if it cannot be decoded. */
  async #at(time: number): Promise<VideoSample | null> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.watch.wait(this.watch.sink().getSample(time));
      } catch (thrown) {
        if (thrown instanceof VidsieveError) throw thrown;
        if (!isReclaimed(thrown) || attempt >= RETRIES) return null;
      }
    }
  }

  #one(number: number): Promise<VideoSample | null> {
    return this.#at(this.#due(number));
  }

  /** The first sample after the group of pictures of a damaged one; null if there is none. */
  async #after(number: number): Promise<number | null> {
    const options = { verifyKeyPackets: true };
    const key = await this.#packets.getKeyPacket(this.#due(number), options);
    const next = key ? await this.#packets.getNextKeyPacket(key, options) : null;
    if (!next) return null;
    let found = Math.max(number + 1, Math.ceil((next.timestamp - this.span.first - TOLERANCE) * this.fps));
    while (found < this.count && this.#due(found) < next.timestamp) found++;
    return found < this.count ? found : null;
  }

  /** The last frame that can be decoded of the group of pictures of a damaged sample, before it. */
  async #lastBefore(number: number): Promise<VideoSample | null> {
    const due = this.#due(number);
    const times: number[] = [];
    const headers = { metadataOnly: true };
    const target = await this.#packets.getPacket(due, headers);
    let packet = await this.#packets.getKeyPacket(due, { verifyKeyPackets: true });
    for (; packet && target && packet.sequenceNumber <= target.sequenceNumber; packet = await this.#packets.getNextPacket(packet, headers)) {
      if (packet.timestamp < target.timestamp && packet.timestamp >= this.span.first) times.push(packet.timestamp);
    }
    times.sort((a, b) => a - b);
    let best: VideoSample | null = null;
    for (let [low, high] = [0, times.length]; low < high; ) {
      const middle = (low + high) >> 1;
      const sample = await this.#at(times[middle] ?? 0);
      if (sample) {
        best?.close();
        [best, low] = [sample, middle + 1];
      } else {
        high = middle;
      }
    }
    return best;
  }
}
