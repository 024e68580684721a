/** Queue of several videos: encodes them one after the other, and compares them with each other. */

import { findDuplicates, type EncodedVideo } from "vidsieve";

import type { Playable } from "./detail.js";
import { byId, make } from "./dom.js";
import { showDuplicates } from "./duplicates.js";
import { theArchive, theEncoder } from "./engine.js";
import type { Chosen } from "./input.js";
import { bytes, clock, count, left } from "./text.js";

/** A file of the queue. */
interface Item extends Chosen {
  /** Name, unique in the queue. */
  name: string;
  state: "waiting" | "reading" | "done" | "failed";
  /** Share that is encoded, in [0, 1]. */
  share: number;
  video: EncodedVideo | null;
  note: HTMLElement;
  compare: HTMLInputElement;
  search: HTMLButtonElement;
  row: HTMLLIElement;
}

/** Actions of the page for videos of the queue. */
export interface Hooks {
  search: (video: Playable & { size: number }) => void;
  compare: (a: Playable, b: Playable) => Promise<void>;
  kept: () => Promise<void>;
  fail: (error: unknown) => void;
}

const status = byId("p", "queue-status");
const label = byId("label", "queue-label");
const bar = byId("progress", "queue-progress");
const pause = byId("button", "queue-pause");
const stop = byId("button", "queue-stop");
const keep = byId("button", "queue-keep");
const compare = byId("button", "queue-compare");

let hooks: Hooks;
const items: Item[] = [];
let running: AbortController | null = null;
/** Milliseconds spent on encoding, without pauses, and the start of the current stretch. */
let [spent, since] = [0, 0];
/** Resolved unless the queue is paused. */
let resumed = Promise.resolve();
let resume: (() => void) | null = null;

const urls = new Map<File, string>();

function urlOf(file: File): string {
  const url = urls.get(file) ?? URL.createObjectURL(file);
  urls.set(file, url);
  return url;
}

/** Returns a video of the queue for the page. */
function playable({ name, file, video }: Item): (Playable & { size: number }) | null {
  return video && { name, video, url: urlOf(file), size: file.size };
}

/** Returns a name that is unique in the queue. */
function unlike(name: string): string {
  const taken = new Set(items.map((item) => item.name));
  let found = name;
  for (let n = 2; taken.has(found); n++) found = `${name} (${n})`;
  return found;
}

function add({ file, name }: Chosen): void {
  const own = unlike(name);
  const note = make("span", { className: "facts" }, `${bytes(file.size)}, waiting`);
  const box = make("input", { type: "checkbox", disabled: true });
  box.setAttribute("aria-label", `Choose ${own} to compare`);
  box.addEventListener("change", choose);
  const search = make("button", { type: "button", className: "quiet", disabled: true }, "Search");
  search.setAttribute("aria-label", `Search for ${own}`);
  const row = make("li", {}, box, make("span", {}, own, note), search);
  const item: Item = { file, name: own, state: "waiting", share: 0, video: null, note, compare: box, search, row };
  search.addEventListener("click", () => {
    const found = playable(item);
    if (found) hooks.search(found);
  });
  items.push(item);
  byId("ol", "queue-list").append(row);
}

const chosen = (): Item[] => items.filter((item) => item.compare.checked);

/** Limits the choice to two videos. */
function choose(): void {
  const both = chosen().length === 2;
  compare.disabled = !both;
  compare.hidden = items.filter(({ state }) => state === "done").length < 2;
  for (const { compare: box, state } of items) box.disabled = state !== "done" || (both && !box.checked);
}

function note(item: Item, text: string): void {
  item.note.textContent = `${bytes(item.file.size)}, ${text}`;
  item.row.dataset.state = item.state;
}

function advance(): void {
  const total = items.reduce((sum, { file }) => sum + file.size, 0);
  const read = items.reduce((sum, { file, share, state }) => sum + file.size * (state === "done" || state === "failed" ? 1 : share), 0);
  bar.max = total || 1;
  bar.value = read;
  const ended = items.filter(({ state }) => state === "done" || state === "failed").length;
  const time = spent + (since ? performance.now() - since : 0);
  const eta = read > 0 && time > 2000 && read < total ? `, ${left(((time / read) * (total - read)) / 1000)}` : "";
  status.textContent = `${ended} of ${count(items.length, "video")}${resume ? ", paused" : eta}`;
}

/** Yields the waiting files, and stops while the queue is paused. */
async function* waiting(order: Item[]): AsyncGenerator<File> {
  for (;;) {
    await resumed;
    const item = items.find(({ state }) => state === "waiting");
    if (!item) return;
    item.state = "reading";
    note(item, "reading");
    order.push(item);
    yield item.file;
  }
}

function setPaused(paused: boolean): void {
  if (paused === (resume !== null)) return;
  if (paused) {
    resumed = new Promise((resolve) => (resume = resolve));
  } else {
    resume?.();
    resume = null;
  }
  pause.textContent = paused ? "Resume" : "Pause";
  label.textContent = paused ? "Pauses after this video" : "Reading the videos";
  advance();
}

/** Resets the buttons and the bar when the queue ends. */
function settle(text: string): void {
  spent += since ? performance.now() - since : 0;
  since = 0;
  running = null;
  resume?.();
  resume = null;
  resumed = Promise.resolve();
  pause.hidden = stop.hidden = true;
  pause.textContent = "Pause";
  label.textContent = text;
  bar.max = 1;
  bar.value = 1;
  keep.hidden = !items.some(({ video }) => video);
  keep.disabled = false;
  for (const item of items.filter(({ state }) => state === "reading" || state === "waiting")) {
    // The next added files start it again.
    item.state = "waiting";
    note(item, "not read");
  }
  advance();
  choose();
}

async function run(signal: AbortSignal): Promise<void> {
  const encoder = await theEncoder(({ phase, done, total }) => {
    if (phase === "download") status.textContent = `Loading the model: ${bytes(done)}${total ? ` of ${bytes(total)}` : ""}`;
  }, signal);
  since = performance.now();
  const order: Item[] = [];
  const results = encoder.encodeAll(waiting(order), {
    signal,
    onProgress({ index, done, total }) {
      const item = order[index];
      if (!item || !total) return;
      item.share = done / total;
      note(item, `reading, ${Math.round(100 * item.share)} %`);
      advance();
    },
  });
  for await (const { index, video, error } of results) {
    const item = order[index];
    if (!item) continue;
    item.state = video ? "done" : "failed";
    item.video = video;
    item.search.disabled = !video;
    const warnings = video && video.warnings.length > 0 ? `; ${video.warnings.join("; ")}` : "";
    note(item, video ? `${clock(video.duration)}${warnings}` : `failed: ${error.message}`);
    advance();
    choose();
  }
  label.textContent = "Comparing them with each other";
  await compareAll(signal);
}

async function compareAll(signal: AbortSignal): Promise<void> {
  const done = items.filter(({ video }) => video !== null);
  if (done.length < 2) return;
  const videos = done.map(({ name, video }) => [name, video as EncodedVideo] as const);
  const order = [...done].sort((a, b) => b.file.size - a.file.size).map(({ name }) => name);
  const report = await findDuplicates(videos, { order, signal });
  showDuplicates(report, "the largest file", (a, b) => {
    const [left, right] = [a, b].map((name) => items.find((item) => item.name === name)).map((item) => item && playable(item));
    if (left && right) hooks.compare(left, right).catch(hooks.fail);
  });
}

/** Adds files, which are encoded after those before them. */
export function enqueue(files: Chosen[]): void {
  byId("section", "queue").hidden = false;
  for (const file of files) add(file);
  pause.hidden = stop.hidden = false;
  keep.hidden = true;
  if (running) {
    advance();
    return;
  }
  const controller = new AbortController();
  running = controller;
  spent = 0;
  label.textContent = "Reading the videos";
  byId("div", "duplicates").hidden = true;
  advance();
  run(controller.signal).then(
    () => settle("Done"),
    (error: unknown) => {
      const stopped = error instanceof DOMException && error.name === "AbortError";
      settle(stopped ? "Stopped" : "Failed");
      if (!stopped) hooks.fail(error);
    },
  );
}

/** Adds the videos of the queue to the archive. */
async function keepAll(): Promise<void> {
  const index = await theArchive(() => {});
  const done = items.filter(({ video }) => video !== null);
  for (const { name, video } of done) await index.add(name, video as EncodedVideo);
  status.textContent = `${count(done.length, "video")} added to the archive.`;
  await hooks.kept();
}

/** Adds the listeners. */
export function wireQueue(given: Hooks): void {
  hooks = given;
  pause.addEventListener("click", () => setPaused(resume === null));
  stop.addEventListener("click", () => running?.abort());
  keep.addEventListener("click", () => {
    keep.disabled = true;
    keepAll().catch((error) => {
      keep.disabled = false;
      hooks.fail(error);
    });
  });
  compare.addEventListener("click", () => {
    const [a, b] = chosen().map(playable);
    if (a && b) hooks.compare(a, b).catch(hooks.fail);
  });
}
