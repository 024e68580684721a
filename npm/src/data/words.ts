/** Describes the relation of two videos in words, like the command. */

import type { Comparison, Coverage, Hit, Relation, Segment, SegmentPlace, Untold } from "./wire.js";

/** Minimum score at which a pair that was not compared is called likely. */
const LIKELY = 0.5;

const UNTOLD: Record<Untold, string> = {
  "nothing-in-query": "the query shows nothing that could be compared: its frames are black, flat or faded",
  "nothing-in-target": "the video shows nothing that could be compared: its frames are black, flat or faded",
  "nothing-changes": "same scene; nothing changes in one of the videos: a copy and another take cannot be told apart",
};

/**
 * Describes the relation of a pair in words, such as "an excerpt of it: 4.0 s at its end, 12 %", where
 * "it" is the target.
 *
 * For a hit that was not compared it returns "likely; not compared", "likely, near 12:40; not
 * compared", the reason why no relation can be determined, or null.
 */
export function describe(pair: Comparison): string;
export function describe(pair: Hit | Comparison): string | null;
export function describe(pair: Hit | Comparison): string | null {
  const { relation, coverage, untold, segments, score } = pair;
  if (relation && coverage) return untold ? UNTOLD[untold] : related(relation, coverage, segments);
  const near = "near" in pair ? pair.near : undefined;
  if (score >= LIKELY) return near ? `likely, near ${clock(near)}; not compared` : "likely; not compared";
  return untold ? UNTOLD[untold] : null;
}

/** Formats the middle of an interval like a player: "12:40", "1:02:05". */
function clock([from, to]: [number, number]): string {
  const whole = Math.floor(Math.max(0, (from + to) / 2));
  const [hours, minutes, seconds] = [
    Math.floor(whole / 3600),
    Math.floor(whole / 60) % 60,
    String(whole % 60).padStart(2, "0"),
  ];
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${seconds}` : `${minutes}:${seconds}`;
}

function related(relation: Relation, { query, target }: Coverage, segments: Segment[]): string {
  const [ofQuery, ofTarget] = [place(segments, 0), place(segments, 1)];
  switch (relation) {
    case "copy":
      return "the same footage";
    case "excerpt":
      return `an excerpt of it: ${seconds(target.seconds)}${inWords(ofTarget, segments, "its")}, ${percent(target.share)}`;
    case "contains":
      return `contains it: ${seconds(query.seconds)}${inWords(ofQuery, segments, "the query's")}, ${percent(query.share)} of the query`;
    case "shares-part": {
      const shared = `shares ${seconds(query.seconds)}`;
      const differ = ofQuery && ofTarget && ofQuery !== ofTarget && ofQuery !== "whole" && ofTarget !== "whole";
      return differ
        ? `${shared}: the query's ${ofQuery} ${preposition(ofTarget)} its ${ofTarget}`
        : shared + inWords(ofTarget, segments, "its");
    }
    case "same-scene":
      return "same scene, other recording";
    case "different":
      return "different footage";
  }
}

/** Returns the place that all segments share in one of the videos. */
function place(segments: Segment[], side: 0 | 1): SegmentPlace | undefined {
  const first = segments[0]?.at[side];
  return segments.every((segment) => segment.at[side] === first) ? first : undefined;
}

const preposition = (place: SegmentPlace): string => (place === "middle" ? "in" : "at");

/** Describes where segments are in the video of `whose`: " at its end", " in 2 parts", or nothing. */
function inWords(place: SegmentPlace | undefined, segments: Segment[], whose: string): string {
  if (place) return place === "whole" ? "" : ` ${preposition(place)} ${whose} ${place}`;
  return segments.length > 1 ? ` in ${segments.length} parts` : "";
}

/** Formats a length: "4.0 s", "2 min 5 s", "1 h 2 min". */
function seconds(seconds: number): string {
  const tenths = Math.round(Math.max(0, seconds) * 10);
  if (tenths < 600) return `${(tenths / 10).toFixed(1)} s`;
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours} h ${minutes} min` : `${minutes} min ${whole % 60} s`;
}

/** Formats a share: "12 %", "0.3 %", "under 0.1 %". */
function percent(share: number): string {
  const tenths = Math.round(share * 1000);
  if (tenths < 1) return "under 0.1 %";
  return tenths < 10 ? `${(tenths / 10).toFixed(1)} %` : `${Math.round(share * 100)} %`;
}
