/** Numbers as people read them. */

import type { Coverage } from "vidsieve";

export function bytes(n: number): string {
  if (n < 1000) return `${n} bytes`;
  if (n < 1e6) return `${(n / 1000).toFixed(n < 1e4 ? 1 : 0)} KB`;
  return `${(n / 1e6).toFixed(1)} MB`;
}

export function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  const tenths = Math.floor((seconds - whole) * 10);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}${tenths ? `.${tenths}` : ""}`;
}

export function percent(share: number): string {
  const shown = share * 100;
  // Certainty is not claimed.
  if (share < 1 && shown > 99.9) return "> 99.9 %";
  return `${shown.toFixed(shown < 10 || shown > 99 ? 1 : 0)} %`;
}

export function count(n: number, one: string): string {
  return `${n} ${one}${n === 1 ? "" : "s"}`;
}

export function milliseconds(ms: number): string {
  return ms < 1000 ? `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** How much of both videos matches. */
export function covered({ query, target }: Coverage): string {
  return `${percent(query.share)} of your video, ${percent(target.share)} of it`;
}
