/** Lists the hits of a search. */

import { describe, type Hit, type SearchPage } from "vidsieve";

import { byId, make } from "./dom.js";
import { clock, count, covered, milliseconds, percent } from "./text.js";

/** Minimum score of certain hits. */
const SURE = 0.9;
/** Minimum score of listed hits. */
const LEAST = 0.1;

/** Returns whether a hit is certain. A query that contains the target has a low score. */
const isSure = (hit: Hit): boolean => hit.score >= SURE || hit.relation === "contains";
/** Returns whether a hit is listed. */
const isAnswer = (hit: Hit): boolean => isSure(hit) || hit.score >= LEAST || hit.relation === "shares-part";

/** Empties the list when a search begins. */
export function clearResults(): void {
  const section = byId("section", "found");
  section.hidden = false;
  byId("ol", "hits").replaceChildren();
  byId("details", "unsure").hidden = true;
  delete section.dataset.page;
  byId("p", "nothing").hidden = true;
  byId("p", "summary").textContent = "Searching…";
}

/** Shows that a search was interrupted. */
export function endResults(text: string): void {
  const summary = byId("p", "summary");
  if (!byId("section", "found").dataset.page) summary.textContent = text;
  else if (summary.textContent.includes("…")) summary.textContent = `${text} These are the first results.`;
}

/** Shows a page of a search; `where` names what was searched, `elapsed` is in milliseconds. */
export function showPage(page: SearchPage, where: string, elapsed: number, open: (hit: Hit) => void): void {
  const first = `${count(page.videos, "video")} of ${where}, searched by their vectors in ${milliseconds(page.timings_ms.scan + page.timings_ms.select)}`;
  const again = page.page === "refined" ? `; ${count(page.reranked, "pair")} compared frame by frame in ${milliseconds(page.timings_ms.compare)}` : "; comparing frame by frame…";
  byId("p", "summary").textContent = `${first}${page.last && page.page === "coarse" ? "" : again}. The answer took ${milliseconds(elapsed)}.${(page.warnings ?? []).map((warning) => ` Note: ${warning}.`).join("")}`;
  const likely = page.hits.filter(isAnswer);
  const [sure, unsure] = [likely.filter(isSure), likely.filter((hit) => !isSure(hit))];
  const list = (hits: Hit[]) => hits.map((hit) => make("li", {}, card(hit, open)));
  byId("ol", "hits").replaceChildren(...list(sure));
  byId("ol", "unsure-hits").replaceChildren(...list(unsure));
  byId("span", "unsure-count").textContent = `${unsure.length} more: shared parts, other recordings of a scene, or less sure`;
  const less = byId("details", "unsure");
  less.hidden = unsure.length === 0;
  less.open = sure.length === 0;
  byId("section", "found").dataset.page = page.page;
  const nothing = byId("p", "nothing");
  nothing.hidden = likely.length > 0 || !page.last;
  nothing.textContent = page.videos === 0 ? "The archive is empty: add this video to it, then choose another one." : "No video that shows this footage.";
}

function note(hit: Hit): string {
  const parts = [describe(hit) ?? "not compared"];
  if (hit.coverage && hit.segments.length) parts.push(covered(hit.coverage, "your video", "it"));
  parts.push(...hit.segments.slice(0, 3).map(({ query: [a, b], target: [c, d] }) => `${clock(a)}–${clock(b)} is ${clock(c)}–${clock(d)}`));
  if (hit.segments.length > 3) parts.push(`and ${hit.segments.length - 3} more`);
  // Comparing a pair settles its doubt.
  if (hit.stage === "coarse" && hit.doubt !== null && hit.doubt > 0.5) parts.push(`its score is uncertain (doubt ${percent(hit.doubt)})`);
  if (hit.unavailable) parts.push(hit.unavailable);
  return parts.join(", ");
}

function card(hit: Hit, open: (hit: Hit) => void): HTMLButtonElement {
  const fine = hit.stage === "fine";
  const button = make(
    "button",
    { type: "button", className: "hit" },
    make("span", { className: "score" }, percent(hit.score)),
    make("span", { className: "id" }, hit.id),
    make("span", { className: fine ? "badge fine" : "badge" }, fine ? "frame by frame" : "not compared"),
    make("span", { className: "note" }, note(hit)),
  );
  button.addEventListener("click", () => {
    for (const other of document.querySelectorAll(".hit[aria-current]")) other.removeAttribute("aria-current");
    button.setAttribute("aria-current", "true");
    open(hit);
  });
  return button;
}
