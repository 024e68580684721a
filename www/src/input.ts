/** Takes videos: files and folders that are chosen or dropped. */

import { byId } from "./dom.js";

/** A file, and its path in the chosen folder. */
export interface Chosen {
  file: File;
  name: string;
}

/** Maximum number of files from folders. */
const MOST = 10_000;

/** Names of files that may be videos. For some files browsers know the media type instead. */
const VIDEO = /\.(mp4|m4v|mov|qt|mkv|webm|avi|ts|m2ts|mts|mpe?g|mpv|3gp|3g2|ogv|flv|wmv|asf|vob|mxf|gif)$/i;

const isVideo = ({ name, type }: File): boolean => type.startsWith("video/") || VIDEO.test(name);

/** Yields the files of a dropped folder. */
async function* walk(entry: FileSystemEntry, path: string): AsyncGenerator<Chosen> {
  const name = path ? `${path}/${entry.name}` : entry.name;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    if (isVideo(file)) yield { file, name };
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // `readEntries` returns some entries at a time, and none at the end.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const inner of some) yield* walk(inner, name);
  }
}

/** Yields the files of a folder that was chosen in the browser's dialogue. */
async function* walkHandle(folder: FileSystemDirectoryHandle, path: string): AsyncGenerator<Chosen> {
  for await (const handle of (folder as unknown as { values(): AsyncIterable<FileSystemHandle> }).values()) {
    const name = `${path}/${handle.name}`;
    if (handle.kind === "directory") yield* walkHandle(handle as FileSystemDirectoryHandle, name);
    else {
      const file = await (handle as FileSystemFileHandle).getFile();
      if (isVideo(file)) yield { file, name };
    }
  }
}

async function all(found: AsyncIterable<Chosen>, chosen: Chosen[]): Promise<Chosen[]> {
  for await (const one of found) {
    if (chosen.length >= MOST) break;
    chosen.push(one);
  }
  return chosen;
}

/** Collects the files of a drop. Entries are read synchronously: the browser drops them afterwards. */
async function dropped(data: DataTransfer): Promise<Chosen[]> {
  const items = [...data.items].filter(({ kind }) => kind === "file");
  const entries = items.map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  const chosen: Chosen[] = [];
  for (const { entry, file } of entries) {
    if (entry?.isDirectory) await all(walk(entry, ""), chosen);
    // A file that was dropped alone counts, whatever its name.
    else if (file) chosen.push({ file, name: file.name });
  }
  return chosen;
}

type Picker = (options: { id: string; mode: "read" }) => Promise<FileSystemDirectoryHandle>;

/** Adds the listeners; `take` gets the chosen files, `none` is called for a folder without videos, `fail` for errors. */
export function listen(take: (chosen: Chosen[]) => void, none: () => void, fail: (error: unknown) => void): void {
  const [zone, input, folders] = [byId("label", "drop"), byId("input", "file"), byId("input", "folder-input")];
  const given = (chosen: Chosen[]) => (chosen.length > 0 ? take(chosen) : none());
  input.addEventListener("change", () => {
    const chosen = [...(input.files ?? [])].map((file) => ({ file, name: file.name }));
    // The same file may be chosen again.
    input.value = "";
    if (chosen.length > 0) take(chosen);
  });
  folders.addEventListener("change", () => {
    const files = [...(folders.files ?? [])].filter(isVideo).slice(0, MOST);
    folders.value = "";
    given(files.map((file) => ({ file, name: file.webkitRelativePath || file.name })));
  });
  const picker = (window as { showDirectoryPicker?: Picker }).showDirectoryPicker?.bind(window);
  byId("button", "folder").addEventListener("click", () => {
    if (!picker) return folders.click();
    picker({ id: "videos", mode: "read" })
      .then((folder) => all(walkHandle(folder, folder.name), []))
      .then(given)
      .catch((error: unknown) => !(error instanceof DOMException && error.name === "AbortError") && fail(error));
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
    if (event.dataTransfer) dropped(event.dataTransfer).then(given).catch(fail);
  });
}
