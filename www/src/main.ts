/** Connects the parts of the page: choosing, encoding and searching, on the server or in this browser's archive. */

import { VidsieveError, type EncodedVideo, type Hit, type LocalIndex, type Progress, type SearchPage } from "vidsieve";

import { listArchive, wireArchive } from "./archive.js";
import { detail, hideDetail, type Playable } from "./detail.js";
import { byId, make } from "./dom.js";
import { offerReview } from "./dedupe/view.js";
import { showDuplicates } from "./duplicates.js";
import { client, meet, theArchive, theEncoder } from "./engine.js";
import { listen, type Chosen } from "./input.js";
import { asked, remember } from "./link.js";
import { mediaOf } from "./media.js";
import { enqueue, wireQueue } from "./queue.js";
import { clearResults, endResults, showPage } from "./results.js";
import { bytes, clock, count, milliseconds } from "./text.js";
import { theme } from "./theme.js";

/** Maximum number of hits. */
const TOP = 20;
/** Maximum number of samples. */
const SAMPLES = 8;

const status = byId("p", "status");
const progress = byId("progress", "progress");
const label = byId("label", "progress-label");
const cancel = byId("button", "cancel");
const keep = byId("button", "keep");
const problem = byId("p", "error");

/** The video to search for; `size` is null for videos of the server. */
type Query = Playable & { size: number | null };

/** Cancels the current task. */
let running = new AbortController();
let query: Query | null = null;
/** The server's video that the link names. */
let sample: string | null = null;
let sent = 0;
/** URLs of the files chosen since the page was opened, for playing. */
const opened = new Map<string, string>();

const place = (): "server" | "local" => (byId("input", "place-server").checked ? "server" : "local");

/** Ends the display of running tasks, and shows why. */
function fail(error: unknown): void {
  const stopped = error instanceof DOMException && error.name === "AbortError";
  if (!stopped) {
    const message = error instanceof Error ? error.message : String(error);
    const remedy = error instanceof VidsieveError && error.code === "unreadable" ? " Is it a video, and complete?" : "";
    problem.textContent = `${message}.${remedy}`;
    problem.hidden = false;
  }
  if (!cancel.hidden) {
    label.textContent = stopped ? "Stopped" : "Failed";
    progress.max = 1;
    progress.value = 0;
    status.textContent = "";
  }
  endResults(stopped ? "The search was stopped." : "The search failed.");
  cancel.hidden = true;
}

function advance({ phase, done, total, seconds, duration }: Progress): void {
  // The archive loads the model too, while no video is read.
  if (cancel.hidden) return;
  if (total) {
    progress.max = total;
    progress.value = done;
  } else {
    progress.removeAttribute("value");
  }
  if (phase === "download") {
    label.textContent = "Loading the model";
    status.textContent = `${bytes(done)}${total ? ` of ${bytes(total)}` : ""}; it is cached for the next visit`;
  } else if (phase === "encode") {
    label.textContent = "Reading the video";
    status.textContent = `${clock(seconds ?? 0)}${duration ? ` of ${clock(duration)}` : ""}, ${count(done, "frame")}`;
  }
}

function ledger(): void {
  const video = query?.size ? `, the video (${bytes(query.size)}) did not` : "";
  byId("p", "ledger").textContent = sent ? `${bytes(sent)} left this page${video}.` : "Nothing has left this page.";
}

/** Shows the video to search for, and cancels the task before. */
function present(name: string, url: string | null): AbortSignal {
  running.abort();
  running = new AbortController();
  hideDetail();
  byId("section", "found").hidden = true;
  byId("section", "work").hidden = false;
  byId("p", "query-name").textContent = name;
  const video = byId("video", "query");
  if (url) video.src = url;
  else video.removeAttribute("src");
  problem.hidden = keep.hidden = true;
  cancel.hidden = false;
  return running.signal;
}

/** Encodes a video and searches for it. */
async function begin(name: string, url: string, read: (signal: AbortSignal) => Promise<Blob>, own: boolean): Promise<void> {
  const signal = present(name, url);
  sample = own ? null : name;
  link();
  progress.removeAttribute("value");
  label.textContent = "Preparing";
  try {
    const start = performance.now();
    const file = await read(signal);
    const encoder = await theEncoder(advance, signal);
    const ready = performance.now();
    const video = await encoder.encode(file, { onProgress: advance, signal });
    const took = performance.now() - ready;
    const faster = video.duration / (took / 1000);
    const loading = ready - start > 200 ? `, after ${milliseconds(ready - start)} of loading` : "";
    const facts = `${count(video.frames, "frame")} in ${milliseconds(took)}${loading}: ${faster.toFixed(0)} times as fast as it plays. `;
    await found({ name, url, video, size: own ? file.size : null }, facts, signal);
  } catch (error) {
    if (signal === running.signal) fail(error);
  }
}

/** Searches for an encoded video. */
async function found(video: Query, facts: string, signal: AbortSignal): Promise<void> {
  query = video;
  progress.max = progress.value = 1;
  label.textContent = "Read";
  const warnings = video.video.warnings.map((warning) => ` ${warning}.`).join("");
  status.textContent = `${facts}Its fingerprint has ${bytes(video.video.toBytes().length)}.${warnings}`;
  keep.hidden = false;
  keep.disabled = false;
  await search(signal);
  cancel.hidden = true;
}

async function search(signal: AbortSignal): Promise<void> {
  if (!query) return;
  const { video } = query;
  clearResults();
  const options = { top: TOP, explain: true, signal };
  let pages: AsyncGenerator<SearchPage>;
  if (place() === "server") {
    sent += video.toBytes().length;
    pages = client.search(video, options);
  } else {
    pages = (await theArchive(advance)).search(video, options);
  }
  ledger();
  const where = place() === "server" ? "this server" : "this browser's archive";
  const start = performance.now();
  for await (const page of pages) showPage(page, where, performance.now() - start, (hit) => void explain(hit).catch(fail));
}

async function explain(hit: Hit): Promise<void> {
  const { signal } = running;
  if (!query) return;
  const remote = place() === "server";
  const record: EncodedVideo | null = remote ? await client.get(hit.id, { signal }) : await (await theArchive(advance)).get(hit.id);
  if (!record) throw new Error(`${hit.id} is no longer in the index: search again`);
  const url = remote ? mediaOf(hit.id) : (opened.get(hit.id) ?? null);
  await detail(query, { name: hit.id, video: record, url }, hit, signal);
}

/** Compares two of the user's videos. */
async function pair(a: Playable, b: Playable): Promise<void> {
  problem.hidden = true;
  await detail(a, b, null, running.signal);
}

/** Shows the copies in the archive. */
async function archiveDuplicates(index: LocalIndex): Promise<string> {
  const report = await index.dedupe();
  byId("section", "queue").hidden = false;
  return showDuplicates(report, "the longest", (a, b) => {
    Promise.all([a, b].map(async (id) => ({ name: id, video: await index.get(id), url: opened.get(id) ?? null })))
      .then(([left, right]) => left?.video && right?.video && pair({ ...left, video: left.video }, { ...right, video: right.video }))
      .catch(fail);
  });
}

/** Takes the chosen files: searches for one video, compares several with each other. */
function take(chosen: Chosen[]): void {
  problem.hidden = true;
  for (const { file, name } of chosen) {
    const old = opened.get(name);
    if (old) URL.revokeObjectURL(old);
    opened.set(name, URL.createObjectURL(file));
  }
  const [first] = chosen;
  if (chosen.length === 1 && first) void begin(first.name, opened.get(first.name) ?? "", async () => first.file, true);
  else enqueue(chosen);
}

function link(): void {
  remember(sample === null ? null : { video: sample, place: place() });
}

function wire(): void {
  listen(take, () => fail(new Error("There is no video in this folder")), fail);
  cancel.addEventListener("click", () => running.abort());
  keep.addEventListener("click", () => {
    const kept = query;
    if (!kept) return;
    keep.disabled = true;
    theArchive(advance)
      .then((index) => index.add(kept.name, kept.video))
      .then(listArchive)
      .catch((error) => {
        keep.disabled = false;
        fail(error);
      });
  });
  for (const radio of ["place-server", "place-local"]) {
    byId("input", radio).addEventListener("change", () => {
      hideDetail();
      link();
      if (query) search(running.signal).catch(fail);
    });
  }
  wireQueue({
    compare: pair,
    fail,
    kept: listArchive,
    search(video) {
      const signal = present(video.name, video.url);
      sample = null;
      link();
      found(video, "", signal).catch((error) => signal === running.signal && fail(error));
    },
  });
  wireArchive(archiveDuplicates);
}

const trySample = (id: string): void =>
  void begin(id, mediaOf(id), async (signal) => {
    const response = await fetch(mediaOf(id), { signal });
    if (!response.ok) throw new Error(`This server has no video ${id} (HTTP ${response.status})`);
    return response.blob();
  }, false);

/** Offers the videos of the server. */
async function offer(): Promise<void> {
  const { server, dedupe } = await meet();
  const wanted = asked();
  if (server) {
    byId("span", "server-name").textContent = `This server (${count(server.videos, "video")})`;
    byId("input", "place-server").disabled = false;
    byId("input", wanted?.place === "local" ? "place-local" : "place-server").checked = true;
  }
  if (dedupe) offerReview();
  if (wanted && server) trySample(wanted.video);
  if (!server) return;
  const ids: string[] = [];
  for await (const { id } of client.list()) {
    if (ids.push(id) >= 200) break;
  }
  const probe = ids[0] && (await fetch(mediaOf(ids[0]), { method: "HEAD" }));
  if (!probe || !probe.ok) return;
  // Samples are spread over all ids.
  const step = Math.max(1, Math.floor(ids.length / SAMPLES));
  const offered = ids.filter((_, i) => i % step === 0).slice(0, SAMPLES);
  byId("ul", "sample-list").replaceChildren(
    ...offered.map((id) => {
      const button = make("button", { type: "button", className: "quiet" }, id);
      button.addEventListener("click", () => trySample(id));
      return make("li", {}, button);
    }),
  );
  byId("div", "samples").hidden = false;
}

theme();
wire();
// Without the service worker the page works, but only online.
navigator.serviceWorker?.register(new URL("offline.js", document.baseURI)).catch(() => {});
offer().catch(fail);
