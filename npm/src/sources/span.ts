/** From where to where a file's video is shown, and how much of that the file has. */

import { EncodedPacketSink, IsobmffInputFormat, type Input, type InputVideoTrack } from "mediabunny";

import { presented } from "./edit-list.js";

/** The part of a track that is read. Times are those of the track, in seconds. */
export interface Span {
  /** Of the first frame that is shown. */
  first: number;
  /** Of the last frame that is shown and whose bytes are there. */
  last: number;
  /** The end of the video, as the file says: after its last frame. */
  end: number;
  /** What was lost or left out. */
  warnings: string[];
}

/** Packets in decoding order within which frames are put in the order in which they are shown. */
const REORDERED = 32;

/** Seconds beyond a sample that a file may lack without a warning, as natively. */
const SLACK = 0.5;

const HEADERS = { metadataOnly: true } as const;

/** The first time of a frame at or after a time, among the packets around it. */
async function firstFrom(packets: EncodedPacketSink, start: number): Promise<number | null> {
  let packet = (await packets.getKeyPacket(start, HEADERS)) ?? (await packets.getFirstPacket(HEADERS));
  let found: number | null = null;
  for (let after = 0; packet && after < REORDERED; packet = await packets.getNextPacket(packet, HEADERS)) {
    if (packet.timestamp >= start && (found === null || packet.timestamp < found)) found = packet.timestamp;
    if (found !== null) after++;
  }
  return found;
}

/** The time of the last frame whose bytes are in the file, which ends before its last packet. */
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

/** What is read of a file's track; null if it has no frame. */
export async function spanOf(input: Input, track: InputVideoTrack, file: Blob): Promise<Span | null> {
  const packets = new EncodedPacketSink(track);
  const format = await input.getFormat();
  const edit = format instanceof IsobmffInputFormat ? await presented(file, track.id) : null;
  const half = 0.5 / (await track.getTimeResolution());
  const warnings: string[] = [];
  if (edit && edit.edits > 1) warnings.push(`the file is put together of ${edit.edits} edits, and only the first one was read`);

  const final = await packets.getPacket(edit ? edit.end - 2 * half : Infinity, HEADERS);
  if (!final) return null;
  const first = edit ? await firstFrom(packets, edit.start - half) : await track.getFirstTimestamp();
  // An edit that shows no frame.
  if (first === null || first > final.timestamp) return null;
  const length = await track.computeDuration();
  const end = edit ? Math.min(edit.end, length) : length;
  const span = await bounded(packets, { first, last: final.timestamp, end, warnings });
  const promised = span && (await lost(input, track, span, edit !== null));
  if (promised) {
    warnings.push(`the file is cut off: only the first ${(span.last - first).toFixed(1)} of ${promised.toFixed(1)} s could be read`);
  }
  return span;
}

/** Ends a span with the last frame whose bytes are there. */
async function bounded(packets: EncodedPacketSink, span: Span): Promise<Span | null> {
  if (await packets.getPacket(span.last)) return span;
  const last = await lastWithin(packets, span.first, span.last);
  return last === null ? null : { ...span, last };
}

/**
 * The seconds that the file promises, if it ends well before them. What is promised of the file as
 * a whole counts as kept if its sound goes on until then.
 */
async function lost(input: Input, track: InputVideoTrack, { first, last, end }: Span, edited: boolean): Promise<number | null> {
  const missing = (promised: number | null): number | null => (promised !== null && promised - (last - first) > 1 + SLACK ? promised : null);
  const ofTrack = missing(end - first) ?? (edited ? null : missing(await track.getDurationFromMetadata()));
  if (ofTrack !== null || edited) return ofTrack;
  const ofFile = missing(await input.getDurationFromMetadata());
  return ofFile !== null && ofFile - (await input.computeDuration()) > 1 + SLACK ? ofFile : null;
}
