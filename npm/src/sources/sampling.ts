/**
 * Chooses the sampled frames, by the rule of `crates/video/src/sampling.rs`. Times are relative to the
 * first frame. Sample k is the last frame whose time is at most `k / fps + TOLERANCE`. Samples end with
 * the last frame.
 *
 * `auto` applies this rule at 1, 2, 4 or 8 samples a second: at the lowest rate that gives
 * `LEAST_SAMPLES` samples, and at 8 if none does. The samples of a rate are every second one of the next
 * higher rate, and the time of the last frame alone determines the rate.
 */

/** Samples a second, or `auto`. */
export type Rate = number | "auto";

/** Seconds by which a frame may be later than its sample. */
export const TOLERANCE = 0.0025;

/** Minimum number of samples for which `auto` lowers the rate. */
export const LEAST_SAMPLES = 31;

/** The highest rate of `auto`. */
const HIGHEST_RATE = 8;

/** Returns whether half of a rate gives enough samples, with a frame `last` seconds after the first. */
function canHalve(rate: number, last: number): boolean {
  return rate > 1 && (LEAST_SAMPLES - 1) / (rate / 2) <= last + TOLERANCE;
}

/** Returns the samples a second of a video whose last frame is `last` seconds after the first. */
export function rateOf(rate: Rate, last: number): number {
  if (rate !== "auto") return rate;
  let found = HIGHEST_RATE;
  while (canHalve(found, last)) found /= 2;
  return found;
}

/** Yields the times of the samples from number `from`, of a video whose last frame is `last` seconds after the first. */
export function* sampleTimes(last: number, fps: number, from = 0): Generator<number> {
  for (let k = from; k / fps <= last + TOLERANCE; k++) yield k / fps;
}

/** Returns the number of these samples, off by at most one through rounding. */
export function sampleCount(last: number, fps: number): number {
  return Math.floor((last + TOLERANCE) * fps) + 1;
}

/**
 * Applies the rule to frames as they arrive. `auto` begins with the highest rate, and halves it as soon
 * as a frame shows that half gives enough samples: it then drops every second sample so far, at most 60
 * ({@link leaveOut}).
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

  /** Current samples a second. */
  get rate(): number {
    return this.#rate;
  }

  /** Takes the time of the next frame, and returns the samples that the frame before it stands for. */
  push(time: number): number[] {
    while (this.#auto && canHalve(this.#rate, time)) {
      this.#rate /= 2;
      this.#next = Math.ceil(this.#next / 2);
    }
    const samples: number[] = [];
    while (this.#held !== undefined && this.#next / this.#rate + TOLERANCE < time)
      samples.push(this.#next++ / this.#rate);
    this.#held = time;
    return samples;
  }

  /** Ends the frames, and returns the samples that the last one stands for. */
  finish(): number[] {
    const samples: number[] = [];
    while (this.#held !== undefined && this.#next / this.#rate <= this.#held + TOLERANCE)
      samples.push(this.#next++ / this.#rate);
    return samples;
  }
}

/** Drops every second sample, beginning with the second. */
export function leaveOut<T>(samples: T[]): T[] {
  return samples.filter((_, k) => k % 2 === 0);
}
