/** Matroska and WebM files that end within a cluster. */

const EBML = 0x1a45dfa3;
const SEGMENT = 0x18538067;
const CLUSTER = 0x1f43b675;

/** Bytes of the longest header of an element: four of its id, eight of its size. */
const HEADER = 12;

/** Most elements of a segment, and of a cluster, that are looked at: clusters of a day, blocks of minutes. */
const MOST = 100_000;

/** An element: what it is, and where its content is. */
interface Element {
  id: number;
  /** Where the bytes of its size begin. */
  size: number;
  /** Where its content begins. */
  start: number;
  /** Where its content ends; null if the file does not say. */
  end: number | null;
}

/** Bytes of a number whose first byte is this one: as many as there are zeros before its first one, and one more. */
const bytesOf = (first: number): number => Math.clz32(first) - 23;

/** Reads an element's header; null if there is none. */
async function elementAt(file: Blob, position: number): Promise<Element | null> {
  const bytes = new Uint8Array(await file.slice(position, position + HEADER).arrayBuffer());
  const idBytes = bytesOf(bytes[0] ?? 0);
  const sizeBytes = bytesOf(bytes[idBytes] ?? 0);
  if (idBytes > 4 || sizeBytes > 8 || idBytes + sizeBytes > bytes.length) return null;
  const id = bytes.subarray(0, idBytes).reduce((value, byte) => 256 * value + byte, 0);
  const size = bytes.subarray(idBytes, idBytes + sizeBytes);
  const first = (size[0] ?? 0) & ((1 << (8 - sizeBytes)) - 1);
  const open = first === (1 << (8 - sizeBytes)) - 1 && size.subarray(1).every((byte) => byte === 255);
  const start = position + idBytes + sizeBytes;
  const length = size.subarray(1).reduce((value, byte) => 256 * value + byte, first);
  return { id, size: position + idBytes, start, end: open ? null : start + length };
}

/** The end of a cluster's last element that is there as a whole. */
async function lastWhole(file: Blob, { start }: Element): Promise<number> {
  let end = start;
  for (let i = 0; i < MOST; i++) {
    const element = await elementAt(file, end);
    if (!element || element.end === null || element.end > file.size) break;
    end = element.end;
  }
  return end;
}

/** A number in a given count of bytes, as a size. */
function sizeOf(value: number, count: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(count);
  for (let i = count - 1, rest = value; i >= 0; i--, rest = Math.floor(rest / 256)) bytes[i] = rest % 256;
  bytes[0] = (bytes[0] ?? 0) | (1 << (8 - count));
  return bytes;
}

/**
 * The file, or, if it is Matroska that ends within a cluster, the same with that cluster ending after
 * its last whole block: mediabunny leaves a cluster out that is not whole.
 */
export async function withWholeCluster(file: Blob): Promise<Blob> {
  const header = await elementAt(file, 0);
  if (header?.id !== EBML || header.end === null) return file;
  const segment = await elementAt(file, header.end);
  if (segment?.id !== SEGMENT || (segment.end !== null && segment.end <= file.size)) return file;
  let position = segment.start;
  for (let i = 0; i < MOST; i++) {
    const element = await elementAt(file, position);
    if (!element || element.end === null) return file;
    if (element.end > file.size) {
      if (element.id !== CLUSTER) return file;
      const end = await lastWhole(file, element);
      const size = sizeOf(end - element.start, element.start - element.size);
      return new Blob([file.slice(0, element.size), size, file.slice(element.start, end)]);
    }
    position = element.end;
  }
  return file;
}
