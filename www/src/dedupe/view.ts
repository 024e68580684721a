/** The view of the duplicates in the server's index: finding, filtering, deciding, writing a plan. It removes nothing. */

import { byId, make } from "../dom.js";
import { bytes, clock, count } from "../text.js";
import { Card, type CardActions, type MemberAction } from "./card.js";
import { ALL, foldersOf, gain, going, itemsOf, keep, matches, nameOf, planRequest, toggle, whyNotKept, whyStays, type ItemKind, type ReviewFilter, type ReviewItem } from "./review.js";
import { decide, findCopies, makePlan, ServerError, useToken } from "./server.js";
import type { DedupeReport, ProgressLine } from "./wire.generated.js";

/** Entries that are shown at once, and that are added on demand. */
const SHOWN = 50;
/** Files that stay which are listed with the reason. */
const HELD = 20;

const section = byId("section", "review");
const status = byId("p", "review-status");
const problem = byId("p", "review-error");
const progress = byId("progress", "review-progress");
const label = byId("label", "review-progress-label");
const list = byId("ol", "review-list");
const find = byId("button", "review-find");
const stop = byId("button", "review-stop");
const write = byId("button", "review-write");

let running = new AbortController();
let minScore = 0.9;
let items: ReviewItem[] = [];
let shown: ReviewItem[] = [];
let cards: Card[] = [];
let current: Card | null = null;
/** What is done again once there is a token. */
let again: () => void = () => {};

function advance({ stage, done, total, unit }: ProgressLine): void {
  label.textContent = `${stage.charAt(0).toUpperCase()}${stage.slice(1)}`;
  if (total) {
    progress.max = total;
    progress.value = done;
  } else {
    progress.removeAttribute("value");
  }
  const amount = (n: number) => (unit === "bytes" ? bytes(n) : unit === "seconds" ? clock(n) : String(Math.round(n)));
  status.textContent = total ? `${amount(done)} of ${amount(total)}${unit === "bytes" || unit === "seconds" ? "" : ` ${unit}`}` : "";
}

/** Shows why something failed and what to do about it. */
function fail(error: unknown): void {
  if (error instanceof DOMException && error.name === "AbortError") return;
  const code = error instanceof ServerError ? error.code : "";
  const message = error instanceof Error ? error.message : String(error);
  const remedies: Record<string, string> = {
    network: " Is it still running? Then try again.",
    busy: " Another request works on the whole index: try again when it is done.",
    "read-only": " Start `vidsieve serve` without --read-only to keep decisions in the index.",
    unauthorized: " Enter a token below.",
    forbidden: " Enter a token with the scopes search and write below.",
    "not-found": " The index has changed: find the duplicates again.",
    internal: " Its log has the reason.",
  };
  problem.textContent = `${message.replace(/\.$/, "")}.${remedies[code] ?? ""}`;
  problem.hidden = false;
  byId("form", "review-token-form").hidden = code !== "unauthorized" && code !== "forbidden";
}

/** Runs what takes long, one at a time: with progress, and until it is stopped. */
async function work<T>(what: string, run: (signal: AbortSignal) => Promise<T>): Promise<T | null> {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  problem.hidden = byId("form", "review-token-form").hidden = true;
  byId("div", "review-progress-box").hidden = false;
  find.disabled = write.disabled = true;
  stop.hidden = false;
  progress.removeAttribute("value");
  label.textContent = what;
  status.textContent = "";
  try {
    return await run(signal);
  } catch (error) {
    status.textContent = signal.aborted ? "Stopped." : "";
    if (!signal.aborted) fail(error);
    return null;
  } finally {
    byId("div", "review-progress-box").hidden = true;
    stop.hidden = true;
    find.disabled = false;
    total();
  }
}

async function findAll(): Promise<void> {
  again = () => void findAll();
  const found = await work("Asking the server", (signal) => findCopies(advance, signal));
  if (!found) return;
  show(found.report, found.leftOut);
}

function show(report: DedupeReport, leftOut: number): void {
  minScore = report.min_score;
  items = itemsOf(report);
  byId("div", "review-plan").hidden = true;
  const parts = [`${count(report.videos, "video")}, ${count(report.compared, "pair")} compared frame by frame in ${report.seconds.toFixed(1)} s`];
  if (leftOut > 0) parts.push(`${leftOut} more groups with less to gain are not shown: decide these first, then find again`);
  if (report.hidden > 0) parts.push(`${report.hidden} that were looked at before are not shown`);
  if (report.linked.length > 0) parts.push(`${count(report.linked.length, "file")} with several names, each one video`);
  if (report.missing.length > 0) parts.push(`${count(report.missing.length, "record")} could not be read: \`vidsieve verify\` names them`);
  status.textContent = `${parts.join(". ")}.`;
  find.textContent = "Find again";
  byId("datalist", "review-folders").replaceChildren(...foldersOf(items).slice(0, 500).map((value) => make("option", { value })));
  byId("div", "review-found").hidden = items.length === 0;
  const nothing = byId("p", "review-nothing");
  nothing.hidden = items.length > 0;
  nothing.textContent = report.videos === 0 ? "The index is empty: `vidsieve index` adds videos to it." : "No copies and no excerpts in this index.";
  filter();
  cards[0]?.element.focus({ preventScroll: true });
}

const number = (id: string): number | null => {
  const { value, valueAsNumber } = byId("input", id);
  return value === "" || !Number.isFinite(valueAsNumber) ? null : Math.max(0, valueAsNumber);
};

function filterOf(): ReviewFilter {
  return {
    bytes: (number("review-bytes") ?? 0) * 1e6,
    seconds: [number("review-least") ?? 0, number("review-most") ?? ALL.seconds[1]],
    folder: byId("input", "review-folder").value,
    kind: byId("select", "review-kind").value as ItemKind | "all",
  };
}

function filter(): void {
  const wanted = filterOf();
  shown = items.filter((item) => matches(item, wanted));
  current?.close();
  current = null;
  cards = [];
  list.replaceChildren();
  more();
  total();
  byId("p", "review-none").hidden = shown.length > 0;
}

/** Shows further entries. */
function more(): void {
  const added = shown.slice(cards.length, cards.length + SHOWN).map((item) => new Card(item, actions));
  cards.push(...added);
  list.append(...added.map(({ element }) => element));
  const rest = shown.length - cards.length;
  const button = byId("button", "review-more");
  button.hidden = rest === 0;
  button.textContent = `Show ${Math.min(rest, SHOWN)} of ${rest} more`;
}

/** What is gained, in the groups that are shown and in those that were decided. */
function total(): void {
  const sum = (some: ReviewItem[]) => bytes(some.reduce((all, item) => all + gain(item), 0));
  const decided = items.filter((item) => item.decided && going(item).length > 0);
  const files = decided.reduce((all, item) => all + going(item).length, 0);
  const of = shown.length === items.length ? "" : ` of ${items.length}`;
  byId("p", "review-total").textContent = `${count(shown.length, "entry", "entries")}${of}, ${sum(shown)} to gain. Decided: ${count(decided.length, "group")}, ${count(files, "file")} may go, ${sum(decided)}.`;
  write.disabled = decided.length === 0 || !stop.hidden;
  write.textContent = decided.length > 0 ? `Write plan of ${count(decided.length, "group")}` : "Write plan";
}

function say(text: string): void {
  byId("p", "review-said").textContent = text;
}

function openCard(card: Card): void {
  if (current === card) {
    card.close();
    current = null;
    return;
  }
  current?.close();
  current = card;
  card.open();
}

function changed(card: Card, text: string): void {
  problem.hidden = byId("form", "review-token-form").hidden = true;
  // A plan that was written is of what was decided before.
  byId("div", "review-plan").hidden = true;
  card.update();
  total();
  say(text);
}

async function differ(card: Card, picked: string): Promise<void> {
  const { item } = card;
  const from = item.keep;
  const others = item.members.filter((member) => member.id !== from);
  // Of two videos it is plain which one is meant.
  const id = picked === from && others.length === 1 ? others[0]?.id : picked;
  if (!id || id === from) return say("Choose the video that is different from the one that is kept.");
  if (item.different.has(id)) return;
  again = () => void differ(card, id);
  try {
    await decide({ kind: "different", ids: [from, id] });
    item.different.set(id, from);
    changed(card, `${nameOf(id)} is marked as different from ${nameOf(from)}: they are not compared again.`);
  } catch (error) {
    fail(error);
  }
}

async function lookAt(card: Card): Promise<void> {
  const { item } = card;
  if (item.reviewed) return;
  again = () => void lookAt(card);
  try {
    await decide({ kind: "reviewed", ids: item.members.map(({ id }) => id) });
    item.reviewed = true;
    item.decided = false;
    changed(card, "All stay, and this is not shown again.");
  } catch (error) {
    fail(error);
  }
}

/** Takes back what was decided about an entry. */
async function undo(card: Card): Promise<void> {
  const { item } = card;
  again = () => void undo(card);
  try {
    if (item.reviewed) await decide({ kind: "reviewed", ids: item.members.map(({ id }) => id), undo: true });
    item.reviewed = false;
    for (const [id, from] of [...item.different]) {
      await decide({ kind: "different", ids: [from, id], undo: true });
      item.different.delete(id);
    }
    item.decided = false;
    item.stays.clear();
    item.keep = item.members[0]?.id ?? item.keep;
    changed(card, "Nothing is decided about this entry.");
  } catch (error) {
    card.update();
    fail(error);
  }
}

const actions: CardActions = {
  open: openCard,
  reviewed: (card) => void lookAt(card),
  undo: (card) => void undo(card),
  act(card: Card, action: MemberAction, id: string) {
    const { item } = card;
    if (action === "pick") return card.pick(id);
    if (action === "different") return void differ(card, id);
    if (item.kind !== "copies") return say(item.kind === "excerpt" ? "An excerpt is no copy: no plan acts on it." : "No file of this group is fit to be kept: all stay.");
    if (item.different.has(id)) return say("It is marked as different: undo that first.");
    const member = item.members.find((one) => one.id === id);
    const why = member && (action === "keep" ? whyNotKept(member) : whyStays(member));
    if (why) return say(`${nameOf(id)} ${action === "keep" ? "cannot be kept while others go" : "stays"}: ${why}.`);
    if (action === "keep") keep(item, id);
    else toggle(item, id);
    const go = going(item).length;
    changed(card, `${nameOf(item.keep)} is kept; ${go === 1 ? "1 copy may" : `${go} copies may`} go.`);
  },
};

/** Opens the entry before or after the current one. */
function move(by: 1 | -1): void {
  const at = current ? cards.indexOf(current) : cards.findIndex(({ element }) => element.contains(document.activeElement)) - (by > 0 ? 1 : 0);
  if (current && at + by >= cards.length && cards.length < shown.length) more();
  const next = cards[Math.max(0, at + by)];
  if (!next || next === current) return;
  openCard(next);
  next.element.focus({ preventScroll: true });
  next.element.scrollIntoView({ block: "start" });
}

/** The keys, while the focus is in this view and not in a field. */
function onKey(event: KeyboardEvent): void {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || !(target instanceof HTMLElement)) return;
  if (target.closest("select, textarea") || (target instanceof HTMLInputElement && target.type !== "checkbox")) return;
  const picked = current?.picked;
  const act = (action: MemberAction) => current && picked !== undefined && actions.act(current, action, picked);
  // Buttons keep what these keys do to them.
  if ((key === " " || key === "Enter") && target.closest("button, input, summary, a")) return;
  const keys: Record<string, () => unknown> = {
    j: () => move(1),
    k: () => move(-1),
    K: () => act("keep"),
    Enter: () => (current ? act("keep") : cards.find(({ element }) => element === target) && move(1)),
    x: () => act("toggle"),
    d: () => act("different"),
    D: () => act("different"),
    r: () => current && lookAt(current),
    u: () => current && undo(current),
    " ": () => current?.togglePlay(),
    ArrowRight: () => current?.step(1),
    ArrowLeft: () => current?.step(-1),
    "?": () => {
      const help = byId("details", "review-help");
      help.open = !help.open;
    },
  };
  const run = keys[key];
  if (!run) return;
  event.preventDefault();
  run();
}

async function writePlan(): Promise<void> {
  again = () => void writePlan();
  const request = planRequest(items, minScore);
  if (request.groups.length === 0) return;
  const text = await work("Comparing what was chosen", (signal) => makePlan(request, advance, signal));
  if (text === null) return;
  status.textContent = "";
  showPlan(text);
}

interface PlanText {
  groups: { go: { size: number }[]; held: { id: string; reason: string }[] }[];
}

function showPlan(text: string): void {
  const plan = JSON.parse(text) as PlanText;
  const go = plan.groups.flatMap((group) => group.go);
  const held = plan.groups.flatMap((group) => group.held);
  const size = go.reduce((sum, file) => sum + file.size, 0);
  const staying = held.length > 0 ? ` ${count(held.length, "file")} that ${held.length === 1 ? "was" : "were"} chosen cannot go:` : "";
  byId("p", "review-plan-text").textContent = `The plan was downloaded as plan.json: ${count(go.length, "file")} may go, ${bytes(size)}.${staying}`;
  const reasons = held.slice(0, HELD).map(({ id, reason }) => make("li", {}, `${id} stays: ${reason}`));
  if (held.length > HELD) reasons.push(make("li", {}, `and ${held.length - HELD} more, which the plan names`));
  byId("ul", "review-held").replaceChildren(...reasons);
  const box = byId("div", "review-plan");
  box.hidden = false;
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  make("a", { href: url, download: "plan.json" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  box.focus({ preventScroll: true });
  box.scrollIntoView({ block: "start" });
}

/** The name of this view in the page's link. */
const LINK = "#duplicates";

/** Shows the view that the page's link names. */
function showView(): void {
  const isReview = location.hash === LINK;
  document.body.dataset.view = isReview ? "duplicates" : "search";
  for (const [id, is] of [["nav-search", !isReview], ["nav-duplicates", isReview]] as const) {
    if (is) byId("a", id).setAttribute("aria-current", "page");
    else byId("a", id).removeAttribute("aria-current");
  }
  if (isReview) return;
  current?.close();
  current = null;
}

/** Offers the view, where the server finds duplicates. */
export function offerReview(): void {
  byId("nav", "views").hidden = false;
  find.addEventListener("click", () => void findAll());
  stop.addEventListener("click", () => running.abort());
  write.addEventListener("click", () => void writePlan());
  byId("button", "review-more").addEventListener("click", more);
  byId("form", "review-filters").addEventListener("input", filter);
  byId("form", "review-filters").addEventListener("submit", (event) => event.preventDefault());
  byId("form", "review-filters").addEventListener("reset", () => setTimeout(filter));
  byId("form", "review-token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const input = byId("input", "review-token");
    useToken(input.value.trim());
    input.value = "";
    problem.hidden = byId("form", "review-token-form").hidden = true;
    again();
  });
  // Where there is little room there is seldom a keyboard.
  byId("details", "review-help").open = matchMedia("(min-width: 40rem)").matches;
  section.addEventListener("keydown", onKey);
  addEventListener("hashchange", showView);
  showView();
}
