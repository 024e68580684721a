/** Shows the archive of this browser: list, export, import, clearing. */

import type { LocalIndex, Progress } from "vidsieve";

import { byId, make } from "./dom.js";
import { theArchive } from "./engine.js";
import { bytes, clock, count, day } from "./text.js";

/** Key of the last known number of videos, shown until the archive is opened. */
const COUNT = "archive-count";

const status = byId("p", "archive-status");
const details = byId("details", "archive");

function showCount(videos: number): void {
  byId("span", "archive-count").textContent = `(${videos})`;
  localStorage.setItem(COUNT, String(videos));
}

/** Opens the archive, and loads the model if needed. */
function open(): Promise<LocalIndex> {
  return theArchive(({ phase, done }: Progress) => {
    if (phase === "download" && details.open) status.textContent = `Loading the model: ${bytes(done)}`;
  });
}

/** Reads the list again. */
export async function listArchive(): Promise<void> {
  const index = await open();
  const videos = await index.list();
  if (status.textContent.startsWith("Loading")) status.textContent = "";
  showCount(videos.length);
  const rows = videos.map(({ id, duration, bytes: size, added }) => {
    const remove = make("button", { type: "button", className: "quiet" }, "Remove");
    remove.setAttribute("aria-label", `Remove ${id}`);
    remove.addEventListener("click", () => void index.remove(id).then(listArchive).catch(failed));
    const facts = [clock(duration), bytes(size), ...(added ? [`added ${day(added)}`] : [])].join(", ");
    return make("li", {}, make("span", {}, id, make("span", { className: "facts" }, facts)), remove);
  });
  byId("ul", "archive-list").replaceChildren(...rows);
  for (const id of ["duplicates", "export", "clear"]) byId("button", `archive-${id}`).disabled = videos.length === 0;
}

function failed(error: unknown): void {
  status.textContent = error instanceof Error ? `${error.message}.` : String(error);
}

/** Runs a task at a click, and shows its result or its error. */
function onClick(id: string, work: () => Promise<string>): void {
  const button = byId("button", id);
  button.addEventListener("click", () => {
    button.disabled = true;
    status.textContent = "Working…";
    work()
      .then((text) => (status.textContent = text), failed)
      .finally(() => (button.disabled = false));
  });
}

async function exportAll(): Promise<string> {
  const index = await open();
  const [file, ids] = await Promise.all([index.export(), index.ids()]);
  const url = URL.createObjectURL(file);
  make("a", { href: url, download: `archive-${new Date().toISOString().slice(0, 10)}.vidsieve` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  return `Exported ${count(ids.length, "video")}: ${bytes(file.size)}.`;
}

async function importFile(file: File): Promise<string> {
  const index = await open();
  const videos = await index.import(file, { onProgress: (done) => (status.textContent = `Importing: ${count(done, "video")}`) });
  await listArchive();
  return `Imported ${count(videos, "video")}.`;
}

async function clearAll(): Promise<string> {
  const index = await open();
  const videos = (await index.ids()).length;
  const dialog = byId("dialog", "sure");
  byId("p", "sure-text").textContent = `Remove all ${count(videos, "video")} from this browser's archive? This cannot be undone; an export can be imported again.`;
  dialog.returnValue = "no";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  if (dialog.returnValue !== "yes") return "";
  await index.clear();
  await listArchive();
  return `Removed ${count(videos, "video")}.`;
}

/** Adds the listeners; `duplicates` shows the duplicates of the archive. */
export function wireArchive(duplicates: (index: LocalIndex) => Promise<string>): void {
  const before = Number(localStorage.getItem(COUNT));
  if (before > 0) showCount(before);
  details.addEventListener("toggle", () => details.open && listArchive().catch(failed));
  onClick("archive-export", exportAll);
  onClick("archive-clear", clearAll);
  onClick("archive-duplicates", async () => duplicates(await open()));
  const input = byId("input", "archive-file");
  byId("button", "archive-import").addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const [file] = input.files ?? [];
    input.value = "";
    if (file) importFile(file).then((text) => (status.textContent = text), failed);
  });
}
