/** An open file, whatever decodes it. Types only. */

/** A frame, and the sample times that it stands for, in seconds from the first frame. */
export interface Sampled {
  /** The caller closes it. */
  frame: VideoFrame;
  samples: number[];
  /** Why these samples could not be decoded: `frame` is the last one before them. */
  damage: string | null;
}

/** An open file. */
export interface Reader {
  /** Samples a second. */
  fps: number;
  /** Seconds from the first frame to the end that the container declares. */
  duration: number;
  /** Number of samples, from the declared length and the size of the file. */
  count: number;
  /** Missing parts that the headers reveal. */
  warnings: string[];
  /** Yields the samples `from..to`, by default all; `to` is exclusive. */
  samples(from?: number, to?: number): AsyncGenerator<Sampled>;
  close(): void;
}
