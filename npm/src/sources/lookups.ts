/** The frames of a track's samples, in order, past damage and decoders that the browser takes away. */

import type { VideoSample } from "mediabunny";

import { VidsieveError } from "../data/errors.js";
import type { Span } from "./span.js";
import { RETRIES, isReclaimed, messageOf, reclaimed } from "./reading.js";
import { TOLERANCE } from "./sampling.js";
import type { Watch } from "./watched.js";

/** The frame of a sample. */
export interface LookedUp {
  /** Number of the sample. */
  number: number;
  /** The caller closes it. */
  sample: VideoSample;
  /** Why the frame itself could not be decoded: `sample` is the last one before it that could. */
  damage?: string;
}

/** Samples that cannot be decoded: their numbers, and the last frame before them, if there is one. */
interface Gap {
  sample: VideoSample | null;
  from: number;
  to: number;
  damage: string;
}

/** The same frame for all samples of a gap. */
function* repeated({ sample, from, to, damage }: Gap): Generator<LookedUp> {
  try {
    for (let number = from; sample && number < to; number++) yield { number, sample: sample.clone(), damage };
  } finally {
    sample?.close();
  }
}

/** Groups of pictures in a row without one that can be decoded, after which the rest is given up. */
const MOST_LOST = 50;

/** Samples of a track by their numbers. */
export class Lookups {
  constructor(
    readonly watch: Watch,
    readonly span: Span,
    /** Samples a second. */
    readonly fps: number,
    /** Samples that there are. */
    readonly count: number,
  ) {}

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
    const gaps: Gap[] = [];
    let [next, attempts] = [from, 0];
    try {
      while (next < end) {
        let reason: unknown;
        try {
          for await (const sample of this.#run(next, end)) {
            attempts = 0;
            yield* this.#good(gaps, sample, next++);
          }
          return;
        } catch (thrown) {
          if (thrown instanceof VidsieveError) throw thrown;
          reason = thrown;
        }
        if (isReclaimed(reason)) {
          if (++attempts > RETRIES) throw reclaimed(reason);
          continue;
        }
        // Those before the damage were dropped with it: one by one.
        for (let sample = await this.#one(next); sample; sample = next < end ? await this.#one(next) : null) {
          yield* this.#good(gaps, sample, next++);
        }
        if (next >= end) return;
        const gap = await this.#gap(next, end, messageOf(reason));
        if (gap) gaps.push(gap);
        if (!gap || gaps.length > MOST_LOST) {
          throw new VidsieveError("unreadable", `a frame cannot be decoded: ${messageOf(reason)}`, { cause: reason });
        }
        next = gap.to;
      }
      // A range of samples ends within the damage: whether something follows is seen there.
      for (const gap of gaps.splice(0)) yield* repeated(gap);
    } finally {
      for (const { sample } of gaps) sample?.close();
    }
  }

  /** A sample that could be decoded, after the damaged ones before it. */
  *#good(gaps: Gap[], sample: VideoSample, number: number): Generator<LookedUp> {
    for (const gap of gaps.splice(0)) yield* repeated(gap);
    yield { number, sample };
  }

  /** The damaged samples from a number on; null if nothing after them can be decoded. */
  async #gap(from: number, end: number, damage: string): Promise<Gap | null> {
    const resume = await this.#after(from);
    if (resume !== null) return { sample: await this.#lastBefore(from), from, to: Math.min(resume, end), damage };
    // The last frame of all may be there, as in a file that was cut within a later one.
    const final = await this.#at(this.span.last);
    if (!final) return null;
    let to = from + 1;
    while (to < end && this.#due(to) < final.timestamp) to++;
    final.close();
    return { sample: await this.#lastBefore(from), from, to, damage };
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
        const next = await this.watch.wait(taken.next(), ({ value }) => value?.close());
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
        return await this.watch.wait(this.watch.sink().getSample(time), (sample) => sample?.close());
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
    const key = await this.watch.packets.getKeyPacket(this.#due(number), options);
    const next = key ? await this.watch.packets.getNextKeyPacket(key, options) : null;
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
    const target = await this.watch.packets.getPacket(due, headers);
    let packet = await this.watch.packets.getKeyPacket(due, { verifyKeyPackets: true });
    for (
      ;
      packet && target && packet.sequenceNumber <= target.sequenceNumber;
      packet = await this.watch.packets.getNextPacket(packet, headers)
    ) {
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
