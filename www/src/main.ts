/** The application: a video is dropped, looked at here, and searched for on the server or in this browser. */

import { Encoder, LocalIndex, SearchClient, VidsieveError, describe, type EncodedVideo, type Hit, type Progress, type SearchPage } from "vidsieve";

import { detail, hideDetail, type Playable } from "./detail.js";
import { byId, make } from "./dom.js";
import { bytes, clock, count, covered, milliseconds, percent } from "./text.js";
import { theme } from "./theme.js";

/** Hits that are shown. */
const TOP = 20;
/** Samples that are offered. */
const SAMPLES = 8;
/** From this score on it is the same footage; below it perhaps. */
const SURE = 0.9;
/** Below this a hit is no answer. */
const LEAST = 0.1;

const client = new SearchClient(new URL("/", location.href));
const status = byId("p", "status");
const progress = byId("progress", "progress");
const label = byId("label", "progress-label");
const cancel = byId("button", "cancel");
const keep = byId("button", "keep");
const problem = byId("p", "error");

/** The server's videos; null where there is no server. */
let server: { videos: number; model: { url: string; sha256: string } } | null = null;
let encoder: Promise<Encoder> | null = null;
let archive: Promise<LocalIndex> | null = null;
/** What is under way. */
let running = new AbortController();
let query: (Playable & { size: number | null }) | null = null;
let sent = 0;
/** The files that were dropped while this page is open: they can be played. */
const dropped = new Map<string, string>();

const place = (): "server" | "local" => (byId("input", "place-server").checked ? "server" : "local");

function fail(error: unknown): void {
  if (error instanceof DOMException && error.name === "AbortError") {
    status.textContent = "Stopped.";
  } else {
    const message = error instanceof Error ? error.message : String(error);
    const remedy = error instanceof VidsieveError && error.code === "unreadable" ? " Is it a video, and whole?" : "";
    problem.textContent = `${message}.${remedy}`;
    problem.hidden = false;
    status.textContent = "";
  }
  cancel.hidden = true;
}

function advance({ phase, done, total, seconds, duration }: Progress): void {
  if (total) {
    progress.max = total;
    progress.value = done;
  } else {
    progress.removeAttribute("value");
  }
  if (phase === "download") {
    label.textContent = "Loading the model";
    status.textContent = `${bytes(done)}${total ? ` of ${bytes(total)}` : ""}; the next time it is here already`;
  } else if (phase === "encode") {
    label.textContent = "Looking at the video";
    status.textContent = `${clock(seconds ?? 0)}${duration ? ` of ${clock(duration)}` : ""}, ${count(done, "frame")}`;
  }
}

function engine(signal: AbortSignal): Promise<Encoder> {
  encoder ??= Encoder.load({ ...(server ? { model: server.model } : {}), onProgress: advance, signal }).then((loaded) => {
    const { id, instructions, threads } = loaded.model;
    byId("p", "engine").textContent = `Model ${id.slice(0, 12)}, ${instructions}, ${count(threads, "thread")}.`;
    return loaded;
  });
  // The next attempt begins anew.
  encoder.catch(() => (encoder = null));
  return encoder;
}

async function local(signal: AbortSignal): Promise<LocalIndex> {
  await engine(signal);
  archive ??= LocalIndex.open("archive");
  archive.catch(() => (archive = null));
  return archive;
}

function ledger(): void {
  const video = query?.size ? `, the video (${bytes(query.size)}) did not` : "";
  byId("p", "ledger").textContent = sent ? `${bytes(sent)} left this page${video}.` : "Nothing has left this page.";
}

/** Looks at a video and searches for it. */
async function begin(name: string, url: string, read: (signal: AbortSignal) => Promise<Blob>, own: boolean): Promise<void> {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  hideDetail();
  byId("section", "found").hidden = true;
  byId("section", "work").hidden = false;
  byId("p", "query-name").textContent = name;
  byId("video", "query").src = url;
  problem.hidden = keep.hidden = true;
  cancel.hidden = false;
  progress.removeAttribute("value");
  label.textContent = "Preparing";
  try {
    const start = performance.now();
    const file = await read(signal);
    const encoding = await engine(signal);
    const ready = performance.now();
    const video = await encoding.encode(file, { onProgress: advance, signal });
    const took = performance.now() - ready;
    query = { name, url, video, size: own ? file.size : null };
    progress.max = progress.value = 1;
    label.textContent = "Looked at";
    const faster = video.duration / (took / 1000);
    const loading = ready - start > 200 ? `, after ${milliseconds(ready - start)} of loading` : "";
    status.textContent =
      `${count(video.frames, "frame")} in ${milliseconds(took)}${loading}: ${faster.toFixed(0)} times as fast as it plays. ` +
      `Its fingerprint has ${bytes(video.toBytes().length)}. ${video.warnings.join(". ")}`;
    keep.hidden = false;
    keep.disabled = false;
    await search(signal);
    cancel.hidden = true;
  } catch (error) {
    if (signal === running.signal) fail(error);
  }
}

async function search(signal: AbortSignal): Promise<void> {
  if (!query) return;
  const { video } = query;
  byId("section", "found").hidden = false;
  byId("ol", "hits").replaceChildren();
  byId("details", "unsure").hidden = true;
  delete byId("section", "found").dataset.page;
  byId("p", "nothing").hidden = true;
  byId("p", "summary").textContent = "Searching…";
  const options = { top: TOP, explain: true, signal };
  let pages: AsyncGenerator<SearchPage>;
  if (place() === "server") {
    sent += video.toBytes().length;
    pages = client.search(video, options);
  } else {
    pages = (await local(signal)).search(video, options);
  }
  ledger();
  const start = performance.now();
  for await (const page of pages) show(page, performance.now() - start);
}

function show(page: SearchPage, elapsed: number): void {
  const where = place() === "server" ? "this server" : "this browser";
  const first = `${count(page.videos, "video")} of ${where}, looked at by their vectors in ${milliseconds(page.timings_ms.scan + page.timings_ms.select)}`;
  const again = page.page === "refined" ? `; ${count(page.reranked, "pair")} compared frame by frame in ${milliseconds(page.timings_ms.compare)}` : "; comparing frame by frame…";
  byId("p", "summary").textContent = `${first}${page.last && page.page === "coarse" ? "" : again}. The answer took ${milliseconds(elapsed)}.${(page.warnings ?? []).map((warning) => ` Note: ${warning}.`).join("")}`;
  const likely = page.hits.filter(isAnswer);
  const [sure, unsure] = [likely.filter(isSure), likely.filter((hit) => !isSure(hit))];
  byId("ol", "hits").replaceChildren(...sure.map((hit) => make("li", {}, card(hit))));
  byId("ol", "unsure-hits").replaceChildren(...unsure.map((hit) => make("li", {}, card(hit))));
  byId("span", "unsure-count").textContent = `${unsure.length} more: shared parts, other recordings of a scene, or less sure`;
  const less = byId("details", "unsure");
  less.hidden = unsure.length === 0;
  less.open = sure.length === 0;
  byId("section", "found").dataset.page = page.page;
  const nothing = byId("p", "nothing");
  nothing.hidden = likely.length > 0 || !page.last;
  nothing.textContent = page.videos === 0 ? "The archive is empty: keep this video's fingerprint, then drop another one." : "No video that shows this footage.";
}

/** Whether most of one of the videos is in the other one. A long video that contains a hit has a low score. */
const isSure = (hit: Hit): boolean => hit.score >= SURE || hit.relation === "contains";
/** Whether a hit is shown. */
const isAnswer = (hit: Hit): boolean => isSure(hit) || hit.score >= LEAST || hit.relation === "shares-part";

function note(hit: Hit): string {
  const parts = [describe(hit) ?? "not compared"];
  if (hit.coverage && hit.segments.length) parts.push(covered(hit.coverage));
  parts.push(...hit.segments.slice(0, 3).map(({ query: [a, b], target: [c, d] }) => `${clock(a)}–${clock(b)} is ${clock(c)}–${clock(d)}`));
  if (hit.segments.length > 3) parts.push(`and ${hit.segments.length - 3} more`);
  // Of a pair that was compared the doubt is settled.
  if (hit.stage === "coarse" && hit.doubt !== null && hit.doubt > 0.5) parts.push(`its score is doubted (${percent(hit.doubt)})`);
  if (hit.unavailable) parts.push(hit.unavailable);
  return parts.join(", ");
}

function card(hit: Hit): HTMLButtonElement {
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
    explain(hit).catch(fail);
  });
  return button;
}

async function explain(hit: Hit): Promise<void> {
  const { signal } = running;
  if (!query) return;
  const remote = place() === "server";
  const found: EncodedVideo | null = remote ? await client.get(hit.id, { signal }) : await (await local(signal)).get(hit.id);
  if (!found) throw new Error(`${hit.id} is not there any more`);
  const url = remote ? mediaOf(hit.id) : (dropped.get(hit.id) ?? null);
  await detail(query, { name: hit.id, video: found, url }, hit, signal);
}

const mediaOf = (id: string): string => `/media/${id.split("/").map(encodeURIComponent).join("/")}`;

async function listArchive(): Promise<void> {
  const list = byId("ul", "archive-list");
  const index = await local(running.signal);
  const ids = (await index.ids()).sort();
  byId("span", "archive-count").textContent = `(${ids.length})`;
  list.replaceChildren(
    ...ids.map((id) => {
      const remove = make("button", { type: "button", className: "quiet" }, "Remove");
      remove.setAttribute("aria-label", `Remove ${id}`);
      remove.addEventListener("click", () => void index.remove(id).then(listArchive).catch(fail));
      return make("li", {}, id, remove);
    }),
  );
}

function drop(file: File): void {
  const old = dropped.get(file.name);
  if (old) URL.revokeObjectURL(old);
  const url = URL.createObjectURL(file);
  dropped.set(file.name, url);
  void begin(file.name, url, async () => file, true);
}

function wire(): void {
  const zone = byId("label", "drop");
  const input = byId("input", "file");
  input.addEventListener("change", () => {
    const [file] = input.files ?? [];
    if (file) drop(file);
    // The same file may be chosen again.
    input.value = "";
  });
  for (const type of ["dragenter", "dragover"]) {
    document.addEventListener(type, (event) => {
      event.preventDefault();
      zone.classList.add("over");
    });
  }
  document.addEventListener("dragleave", ({ relatedTarget }) => !relatedTarget && zone.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    const [file] = event.dataTransfer?.files ?? [];
    if (file) drop(file);
  });
  cancel.addEventListener("click", () => running.abort());
  keep.addEventListener("click", () => {
    const kept = query;
    if (!kept) return;
    keep.disabled = true;
    local(running.signal)
      .then((index) => index.add(kept.name, kept.video))
      .then(listArchive)
      .catch(fail);
  });
  byId("details", "archive").addEventListener("toggle", ({ target }) => {
    if ((target as HTMLDetailsElement).open) listArchive().catch(fail);
  });
  for (const radio of ["place-server", "place-local"]) {
    byId("input", radio).addEventListener("change", () => {
      hideDetail();
      if (query) search(running.signal).catch(fail);
    });
  }
}

/** Asks whether this page comes from a server that searches. */
async function meet(): Promise<void> {
  let videos: number;
  try {
    const health = await fetch("/v1/health");
    if (!health.headers.get("content-type")?.includes("json")) return;
    ({ videos } = (await health.json()) as { videos: number });
    server = { videos, model: await client.modelSource() };
  } catch {
    // A page without a server searches in the browser.
    return;
  }
  byId("span", "server-name").textContent = `This server (${count(videos, "video")})`;
  const radio = byId("input", "place-server");
  radio.disabled = false;
  radio.checked = true;
  const ids: string[] = [];
  for await (const { id } of client.list()) {
    if (ids.push(id) >= 200) break;
  }
  const probe = ids[0] && (await fetch(mediaOf(ids[0]), { method: "HEAD" }));
  if (!probe || !probe.ok) return;
  // Some of everything, not the first names alone.
  const step = Math.max(1, Math.floor(ids.length / SAMPLES));
  const offered = ids.filter((_, i) => i % step === 0).slice(0, SAMPLES);
  byId("ul", "sample-list").replaceChildren(
    ...offered.map((id) => {
      const button = make("button", { type: "button", className: "quiet" }, id);
      button.addEventListener("click", () => void begin(id, mediaOf(id), async (signal) => (await fetch(mediaOf(id), { signal })).blob(), false));
      return make("li", {}, button);
    }),
  );
  byId("div", "samples").hidden = false;
}

theme();
wire();
// Without it the page works as well, with a network.
navigator.serviceWorker?.register(new URL("offline.js", document.baseURI)).catch(() => {});
meet().catch(fail);
