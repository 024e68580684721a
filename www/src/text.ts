/** Formats numbers. */

import type { Coverage } from "vidsieve";

export function bytes(n: number): string {
  if (n < 1000) return `${n} bytes`;
  if (n < 1e6) return `${(n / 1000).toFixed(n < 1e4 ? 1 : 0)} KB`;
  if (n < 1e9) return `${(n / 1e6).toFixed(1)} MB`;
  return n < 1e12 ? `${(n / 1e9).toFixed(1)} GB` : `${(n / 1e12).toFixed(1)} TB`;
}

/** Formats a time: "1:02:03", "2:03.5". */
export function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  const tenths = Math.floor((seconds - whole) * 10);
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return `${hours ? `${hours}:${String(minutes).padStart(2, "0")}` : minutes}:${String(whole % 60).padStart(2, "0")}${tenths ? `.${tenths}` : ""}`;
}

export function percent(share: number): string {
  const shown = share * 100;
  // The page never claims certainty.
  if (share < 1 && shown > 99.9) return "> 99.9 %";
  return `${shown.toFixed(shown < 10 || shown > 99 ? 1 : 0)} %`;
}

export function count(n: number, one: string, several = `${one}s`): string {
  return `${n} ${n === 1 ? one : several}`;
}

export function milliseconds(ms: number): string {
  return ms < 1000 ? `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** Describes how much of both videos matches. */
export function covered({ query, target }: Coverage, first: string, second: string): string {
  return `${percent(query.share)} of ${first}, ${percent(target.share)} of ${second}`;
}

/** Formats a remaining time: "about 2 min left". */
export function left(seconds: number): string {
  if (seconds < 50) return `about ${Math.max(5, Math.round(seconds / 5) * 5)} s left`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `about ${minutes} min left` : `about ${(minutes / 60).toFixed(1)} h left`;
}

/** Formats a day in the browser's language. */
export function day(date: Date): string {
  return date.toLocaleDateString(undefined, { dateStyle: "medium" });
}
