/** Lists copies and excerpts among several videos. */

import { describe, type Coverage, type DuplicateReport, type Relation } from "vidsieve";

import { byId, make } from "./dom.js";
import { count, covered, percent } from "./text.js";

/** Maximum number of other pairs in the list. */
const MOST_RELATED = 50;

/** Shows why two videos match. */
export type Explain = (a: string, b: string) => void;

/** Describes the relation of a pair without known segments. */
function words(relation: Relation, coverage: Coverage, score: number): string {
  return describe({ relation, coverage, score, coarse: score, fine: score, doubt: null, segments: [], paths: [] });
}

function entry(text: string, note: string, why: () => void, names: [string, string]): HTMLLIElement {
  const button = make("button", { type: "button", className: "quiet" }, "Why");
  button.setAttribute("aria-label", `Why ${names[0]} and ${names[1]} match`);
  button.addEventListener("click", why);
  return make("li", {}, make("span", {}, text, make("span", { className: "facts" }, note)), button);
}

function group(title: string, note: string, entries: HTMLLIElement[]): HTMLLIElement {
  return make("li", {}, make("p", { className: "name" }, title), make("p", { className: "facts" }, note), make("ul", {}, ...entries));
}

/** Shows a report; `kept` is the reason for keeping a video, in words. */
export function showDuplicates(report: DuplicateReport, kept: string, explain: Explain): string {
  const { groups, excerpts, related, videos, compared, missing } = report;
  const copies = groups.map(({ keep, copies }) =>
    group(
      keep,
      `${kept}; ${count(copies.length, "copy", "copies")}:`,
      copies.map(({ id, score, coverage }) => entry(id, `${percent(score)}, ${covered(coverage, "it", "the first one")}`, () => explain(id, keep), [id, keep])),
    ),
  );
  const holders = [...new Set(excerpts.map(({ of }) => of))];
  const parts = holders.map((of) => {
    const held = excerpts.filter((excerpt) => excerpt.of === of);
    const entries = held.map(({ id, score, coverage }) => entry(id, `${percent(score)}, ${words("excerpt", coverage, score)}`, () => explain(id, of), [id, of]));
    return group(of, `holds ${count(held.length, "excerpt")}:`, entries);
  });
  const others = related.slice(0, MOST_RELATED).map(({ a, b, relation, score, coverage }) => entry(`${a} and ${b}`, words(relation, coverage, score), () => explain(a, b), [a, b]));
  const list = [...copies, ...parts];
  if (others.length > 0) list.push(group("Other pairs that have something in common", related.length > MOST_RELATED ? `the first ${MOST_RELATED} of ${related.length}` : "", others));
  byId("ul", "duplicates-list").replaceChildren(...list);
  byId("div", "duplicates").hidden = false;
  const copied = groups.reduce((sum, { copies }) => sum + copies.length, 0);
  const found = copied + excerpts.length > 0 ? `${count(copied, "copy", "copies")} and ${count(excerpts.length, "excerpt")}` : "no copies and no excerpts";
  const lost = missing.length > 0 ? ` ${count(missing.length, "record")} could not be read.` : "";
  const text = `${count(videos, "video")}, ${count(compared, "pair")} compared frame by frame: ${found}.${lost} Nothing is removed.`;
  byId("p", "duplicates-summary").textContent = text;
  return text;
}
