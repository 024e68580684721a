/** The open files, by the numbers that the page chose. */

import { VidsieveError } from "../data/errors.js";
import type { FileFacts } from "../data/types.js";
import type { Reader } from "../sources/reader.js";
import type { Rate } from "../sources/sampling.js";

interface OpenFile {
  reader: Reader;
  /** Number of running calls that read the file. */
  users: number;
  closed: boolean;
}

/** Opens each file once for all calls that read it. */
export class OpenFiles {
  readonly #files = new Map<number, OpenFile>();

  /** Opens a file under an unused number; fails with `unreadable` or `unsupported`. */
  async open(id: number, file: Blob, fps: Rate, signal: AbortSignal): Promise<Reader> {
    const { frames } = await import("../sources/media.js");
    const reader = await frames(file, fps, signal);
    this.#files.set(id, { reader, users: 0, closed: false });
    return reader;
  }

  /** Reads a file's headers without keeping it open. */
  async facts(file: Blob, fps: Rate, signal: AbortSignal): Promise<FileFacts> {
    const { factsOf } = await import("../sources/media.js");
    return factsOf(file, fps, signal);
  }

  /** Reads an open file. */
  async read<T>(id: number, work: (reader: Reader) => Promise<T>): Promise<T> {
    const file = this.#files.get(id);
    if (!file) throw new VidsieveError("disposed", "the file was closed before it was read");
    file.users++;
    try {
      return await work(file.reader);
    } finally {
      file.users--;
      if (file.closed && file.users === 0) file.reader.close();
    }
  }

  /** Closes a file once all calls that read it have ended. */
  close(id: number): void {
    const file = this.#files.get(id);
    if (!file) return;
    this.#files.delete(id);
    file.closed = true;
    if (file.users === 0) file.reader.close();
  }
}
