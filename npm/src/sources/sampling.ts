/**
 * Which frames are taken: the rule of `crates/video/src/sampling.rs`. Times are relative to the first frame. Sample k is taken at
 * `k / fps`; it is the last frame whose time is at most `k / fps + TOLERANCE`. Samples end with the last frame.
 *
 * `auto` is the same rule at 1, 2, 4 or 8 samples a second: the lowest of these rates that gives
 * `LEAST_SAMPLES` samples, and 8 where none does. The samples of a rate are every second one of the
 * next higher rate, and the time of the last frame alone decides.
 */

/** Samples a second, or `auto`. */
export type Rate = number | "auto";

/** Seconds by which a frame may be late for its sample. */
export const TOLERANCE = 0.0025;

/** Samples that `auto` takes at least, of a video that is long enough for them. */
export const LEAST_SAMPLES = 31;

/** The highest rate of `auto`. */
const HIGHEST_RATE = 8;

/** Whether half of a rate gives enough samples too, with a frame `last` seconds after the first. */
function canHalve(rate: number, last: number): boolean {
  return rate > 1 && (LEAST_SAMPLES - 1) / (rate / 2) <= last + TOLERANCE;
}

/** The samples a second, of a video whose last frame is shown `last` seconds after its first. */
export function rateOf(rate: Rate, last: number): number {
  if (rate !== "auto") return rate;
  let found = HIGHEST_RATE;
  while (canHalve(found, last)) found /= 2;
  return found;
}

/** The times of the samples from number `from` on, of a video whose last frame is shown `last` seconds after its first. */
export function* sampleTimes(last: number, fps: number, from = 0): Generator<number> {
  for (let k = from; k / fps <= last + TOLERANCE; k++) yield k / fps;
}

/** How many samples that is, give or take one by rounding. */
export function sampleCount(last: number, fps: number): number {
  return Math.floor((last + TOLERANCE) * fps) + 1;
}

/**
 * Applies the rule to frames as they arrive. `auto` begins with the highest rate and goes on with
 * half of it as soon as a frame shows that this gives enough samples: every second one of those
 * before, at most 60, is left out then ({@link leaveOut}).
 */
export class Sampler {
  readonly #auto: boolean;
  #rate: number;
  #next = 0;
  #held: number | undefined;

  constructor(rate: Rate) {
    this.#auto = rate === "auto";
    this.#rate = rateOf(rate, 0);
  }

  /** Samples a second at present. */
  get rate(): number {
    return this.#rate;
  }

  /** Takes the time of the next frame; gives the samples that the frame before it is taken for. */
  push(time: number): number[] {
    while (this.#auto && canHalve(this.#rate, time)) {
      this.#rate /= 2;
      this.#next = Math.ceil(this.#next / 2);
    }
    const samples: number[] = [];
    while (this.#held !== undefined && this.#next / this.#rate + TOLERANCE < time) samples.push(this.#next++ / this.#rate);
    this.#held = time;
    return samples;
  }

  /** No more frames; gives the samples that the last one is taken for. */
  finish(): number[] {
    const samples: number[] = [];
    while (this.#held !== undefined && this.#next / this.#rate <= this.#held + TOLERANCE) samples.push(this.#next++ / this.#rate);
    return samples;
  }
}

/** Leaves out every second one of the samples before, the second first. */
export function leaveOut<T>(samples: T[]): T[] {
  return samples.filter((_, k) => k % 2 === 0);
}
