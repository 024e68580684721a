/**
 * Writes and reads a local index as a file: `VSINDEX1`, then for each video the lengths in bytes of its
 * id and of its record (u32, little-endian), the id in UTF-8, and the record.
 */

import { VidsieveError } from "../data/errors.js";

const MAGIC = new TextEncoder().encode("VSINDEX1");

/** Maximum length of an id in bytes. */
const LONGEST_ID = 512;

/** Returns the pieces of a file. */
export class Writer {
  readonly #pieces: BlobPart[] = [MAGIC];

  add(id: string, record: Uint8Array): void {
    const name = new TextEncoder().encode(id);
    const lengths = new DataView(new ArrayBuffer(8));
    lengths.setUint32(0, name.length, true);
    lengths.setUint32(4, record.length, true);
    // A Blob keeps its own copy outside this thread's memory.
    this.#pieces.push(new Blob([lengths, name, record as Uint8Array<ArrayBuffer>]));
  }

  finish(): Blob {
    return new Blob(this.#pieces, { type: "application/vnd.vidsieve.index" });
  }
}

/** Yields the videos of a file. */
export async function* read(file: Blob): AsyncGenerator<{ id: string; record: Uint8Array }> {
  const part = async (from: number, length: number): Promise<Uint8Array> => {
    if (from + length > file.size)
      throw new VidsieveError("bad-record", "the file of a local index is truncated: export it again");
    return new Uint8Array(await file.slice(from, from + length).arrayBuffer());
  };
  const magic = file.size < MAGIC.length ? new Uint8Array() : await part(0, MAGIC.length);
  if (magic.length === 0 || magic.some((byte, i) => byte !== MAGIC[i]))
    throw new VidsieveError("bad-record", "this is no file of a local index");
  let at = MAGIC.length;
  while (at < file.size) {
    const lengths = new DataView((await part(at, 8)).buffer);
    const [name, record] = [lengths.getUint32(0, true), lengths.getUint32(4, true)];
    if (name === 0 || name > LONGEST_ID)
      throw new VidsieveError("bad-record", "the file of a local index is damaged: export it again");
    at += 8;
    const id = new TextDecoder().decode(await part(at, name));
    yield { id, record: await part(at + name, record) };
    at += name + record;
  }
}
