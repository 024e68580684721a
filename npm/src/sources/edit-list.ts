/** Reads the edit list of an MP4 or QuickTime track: which part is presented. */

/** The presented part of a track. */
export interface Presented {
  /** Start and end of the track's first edit, in seconds of the presentation. */
  start: number;
  end: number;
  /** Number of edits that show a part of the track; only the first is used. */
  edits: number;
}

/** Maximum bytes read of an edit list: some thousand edits. */
const LONGEST = 1 << 16;

/** Maximum number of boxes read on one level: a damaged file may declare any number. */
const MOST_BOXES = 10_000;

/** A box: its kind, and the byte range of its contents. */
interface Box {
  kind: string;
  from: number;
  to: number;
}

async function view(file: Blob, from: number, to: number): Promise<DataView> {
  return new DataView(await file.slice(from, to).arrayBuffer());
}

/** Yields the boxes in a byte range of a file, up to the first truncated one. */
async function* boxes(file: Blob, from: number, to: number): AsyncGenerator<Box> {
  let at = from;
  for (let count = 0; count < MOST_BOXES && at + 8 <= to; count++) {
    const head = await view(file, at, Math.min(at + 16, to));
    if (head.byteLength < 8) return;
    const kind = String.fromCharCode(...new Uint8Array(head.buffer, 4, 4));
    const short = head.getUint32(0);
    let [size, header] = [short, 8];
    if (short === 0) size = to - at;
    if (short === 1) {
      if (head.byteLength < 16) return;
      [size, header] = [Number(head.getBigUint64(8)), 16];
    }
    if (size < header) return;
    yield { kind, from: at + header, to: Math.min(at + size, to) };
    at += size;
  }
}

/** Returns the first box at a path of kinds. */
async function find(file: Blob, within: { from: number; to: number }, ...path: string[]): Promise<Box | null> {
  const [kind, ...rest] = path;
  for await (const box of boxes(file, within.from, within.to)) {
    if (box.kind === kind) return rest.length > 0 ? find(file, box, ...rest) : box;
  }
  return null;
}

/** Reads the number after the two times of a header, which have 4 or 8 bytes depending on its version. */
async function afterTimes(file: Blob, box: Box): Promise<number> {
  const head = await view(file, box.from, Math.min(box.from + 24, box.to));
  return head.getUint32(head.getUint8(0) === 1 ? 20 : 12);
}

/** Reads the entries of an edit list: length in movie ticks, and start in the media. */
async function entries(file: Blob, list: Box): Promise<{ lasts: number; from: number }[]> {
  const bytes = await view(file, list.from, Math.min(list.to, list.from + LONGEST));
  const long = bytes.getUint8(0) === 1;
  const size = long ? 20 : 12;
  const count = Math.min(bytes.getUint32(4), Math.floor((bytes.byteLength - 8) / size));
  return Array.from({ length: count }, (_, i) => {
    const at = 8 + i * size;
    return long
      ? { lasts: Number(bytes.getBigUint64(at)), from: Number(bytes.getBigInt64(at + 8)) }
      : { lasts: bytes.getUint32(at), from: bytes.getInt32(at + 4) };
  });
}

/**
 * Returns the part of a track that its edit list presents, or null if it has none or the boxes cannot
 * be read. An edit of length 0 extends to the end of the track.
 */
export async function presented(file: Blob, track: number): Promise<Presented | null> {
  try {
    const movie = await find(file, { from: 0, to: file.size }, "moov");
    const header = movie && (await find(file, movie, "mvhd"));
    if (!movie || !header) return null;
    const scale = await afterTimes(file, header);
    if (scale === 0) return null;
    for await (const box of boxes(file, movie.from, movie.to)) {
      if (box.kind !== "trak") continue;
      const own = await find(file, box, "tkhd");
      if (!own || (await afterTimes(file, own)) !== track) continue;
      const list = await find(file, box, "edts", "elst");
      const edits = list ? await entries(file, list) : [];
      const shown = edits.findIndex(({ from }) => from >= 0);
      const edit = edits[shown];
      if (!edit) return null;
      const start = edits.slice(0, shown).reduce((sum, { lasts }) => sum + lasts, 0) / scale;
      const end = edit.lasts > 0 ? start + edit.lasts / scale : Infinity;
      return { start, end, edits: edits.filter(({ from }) => from >= 0).length };
    }
  } catch (thrown) {
    // The boxes are truncated or the file has changed: decoding the frames will show it.
    if (!(thrown instanceof RangeError || thrown instanceof DOMException)) throw thrown;
  }
  return null;
}
