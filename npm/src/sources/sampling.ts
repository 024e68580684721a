/**
 * Which frames are taken: the rule of `crates/video/src/sampling.rs`. Times are relative to the first frame. Sample k is taken at
 * `k / fps`; it is the last frame whose time is at most `k / fps + TOLERANCE`. Samples end with the last frame.
 */

/** Seconds by which a frame may be late for its sample. */
export const TOLERANCE = 0.0025;

/** The times of the samples from number `from` on, of a video whose last frame is shown `last` seconds after its first. */
export function* sampleTimes(last: number, fps: number, from = 0): Generator<number> {
  for (let k = from; k / fps <= last + TOLERANCE; k++) yield k / fps;
}

/** How many samples that is, give or take one by rounding. */
export function sampleCount(last: number, fps: number): number {
  return Math.floor((last + TOLERANCE) * fps) + 1;
}

/** Applies the rule to frames as they arrive. */
export class Sampler {
  #next = 0;
  #held: number | undefined;

  constructor(readonly fps: number) {}

  /** Takes the time of the next frame; gives the samples that the frame before it is taken for. */
  push(time: number): number[] {
    const samples: number[] = [];
    while (this.#held !== undefined && this.#next / this.fps + TOLERANCE < time) samples.push(this.#next++ / this.fps);
    this.#held = time;
    return samples;
  }

  /** No more frames; gives the samples that the last one is taken for. */
  finish(): number[] {
    const samples: number[] = [];
    while (this.#held !== undefined && this.#next / this.fps <= this.#held + TOLERANCE) samples.push(this.#next++ / this.fps);
    return samples;
  }
}
