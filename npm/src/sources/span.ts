/** Determines which part of a file's video is presented, and how much of it the file holds. */

import { EncodedPacketSink, IsobmffInputFormat, type Input, type InputVideoTrack } from "mediabunny";

import { presented } from "./edit-list.js";

/** The part of a track to read, in seconds of the track. */
export interface Span {
  /** Time of the first presented frame. */
  first: number;
  /** Time of the last presented frame that the file holds. */
  last: number;
  /** Declared end of the video, after its last frame. */
  end: number;
  /** What is missing or left out. */
  warnings: string[];
}

/** Number of packets within which decoding order and presentation order differ. */
const REORDERED = 32;

/** Seconds beyond a sample that a file may lack without a warning, as in the native command. */
const SLACK = 0.5;

const HEADERS = { metadataOnly: true } as const;

/** Returns the time of the first frame at or after a time, among the packets around it. */
async function firstFrom(packets: EncodedPacketSink, start: number): Promise<number | null> {
  let packet = (await packets.getKeyPacket(start, HEADERS)) ?? (await packets.getFirstPacket(HEADERS));
  let found: number | null = null;
  for (let after = 0; packet && after < REORDERED; packet = await packets.getNextPacket(packet, HEADERS)) {
    if (packet.timestamp >= start && (found === null || packet.timestamp < found)) found = packet.timestamp;
    if (found !== null) after++;
  }
  return found;
}

/** Returns the time of the last frame that a truncated file holds. */
async function lastWithin(packets: EncodedPacketSink, first: number, last: number): Promise<number | null> {
  let [low, high] = [first, last];
  let packet = await packets.getPacket(low);
  if (!packet) return null;
  while (high - low > 0.25) {
    const middle = (low + high) / 2;
    const there = await packets.getPacket(middle);
    if (there) [low, packet] = [middle, there];
    else high = middle;
  }
  let found = packet.timestamp;
  for (let next = await packets.getNextPacket(packet); next; next = await packets.getNextPacket(next)) {
    found = Math.max(found, next.timestamp);
  }
  return found;
}

/** Returns the part of a file's track to read, or null if it has no frame. `cut`: whether the file is known to end within a frame. */
export async function spanOf(input: Input, track: InputVideoTrack, file: Blob, cut: boolean): Promise<Span | null> {
  const packets = new EncodedPacketSink(track);
  const format = await input.getFormat();
  const edit = format instanceof IsobmffInputFormat ? await presented(file, track.id) : null;
  const half = 0.5 / (await track.getTimeResolution());
  const warnings: string[] = [];
  if (edit && edit.edits > 1)
    warnings.push(`the file is put together of ${edit.edits} edits, and only the first one was read`);

  const final = await packets.getPacket(edit ? edit.end - 2 * half : Infinity, HEADERS);
  if (!final) return null;
  const first = edit ? await firstFrom(packets, edit.start - half) : await track.getFirstTimestamp();
  // The edit shows no frame.
  if (first === null || first > final.timestamp) return null;
  const length = await track.computeDuration();
  const end = edit ? Math.min(edit.end, length) : length;
  const span = await bounded(packets, { first, last: final.timestamp, end, warnings });
  const promised = span && (await lost(input, track, span, edit !== null));
  if (promised) {
    warnings.push(
      `the file is cut off: only the first ${(span.last - first).toFixed(1)} of ${promised.toFixed(1)} s could be read`,
    );
  } else if (cut) {
    warnings.push("the file is cut off: its last frames are missing");
  }
  return span;
}

/** Ends a span at the last frame that the file holds. */
async function bounded(packets: EncodedPacketSink, span: Span): Promise<Span | null> {
  if (await packets.getPacket(span.last)) return span;
  const last = await lastWithin(packets, span.first, span.last);
  return last === null ? null : { ...span, last };
}

/**
 * Returns the declared length in seconds if the file ends well before it. If only the whole file
 * declares a length, sound until then counts too.
 */
async function lost(
  input: Input,
  track: InputVideoTrack,
  { first, last, end }: Span,
  edited: boolean,
): Promise<number | null> {
  const missing = (promised: number | null): number | null =>
    promised !== null && promised - (last - first) > 1 + SLACK ? promised : null;
  const ofTrack = missing(end - first) ?? (edited ? null : missing(await track.getDurationFromMetadata()));
  if (ofTrack !== null || edited) return ofTrack;
  const ofFile = missing(await input.getDurationFromMetadata());
  return ofFile !== null && ofFile - (await input.computeDuration()) > 1 + SLACK ? ofFile : null;
}
