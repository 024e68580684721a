/** The package, loaded once, and this browser's archive. */

import { Encoder, LocalIndex, SearchClient, type Progress } from "vidsieve";

import { byId } from "./dom.js";
import { count } from "./text.js";

/** The server that this page comes from; it may be none that searches. */
export const client = new SearchClient(new URL("/", location.href));

/** The server's videos and its model. */
export interface Server {
  videos: number;
  model: { url: string; sha256: string };
}

let server: Server | null = null;
let encoder: Promise<Encoder> | null = null;
let archive: Promise<LocalIndex> | null = null;

/** Asks whether this page comes from a server that searches, and whether it finds duplicates in its index. */
export async function meet(): Promise<{ server: Server | null; dedupe: boolean }> {
  let dedupe = false;
  try {
    const response = await fetch("/v1/health");
    if (!response.headers.get("content-type")?.includes("json")) return { server, dedupe };
    const health = (await response.json()) as { videos: number; dedupe?: boolean };
    dedupe = health.dedupe ?? false;
    server = { videos: health.videos, model: await client.modelSource() };
  } catch {
    // A page without a server, or with one that asks for a token, searches in the browser.
  }
  return { server, dedupe };
}

/** The encoder, which is loaded at the first call. One that fails to load is asked for again. */
export function theEncoder(onProgress: (progress: Progress) => void, signal?: AbortSignal): Promise<Encoder> {
  if (!encoder) {
    const model = server ? { model: server.model } : {};
    encoder = Encoder.load({ ...model, onProgress, ...(signal ? { signal } : {}) });
    encoder.then(
      ({ model: { id, instructions, threads } }) => {
        byId("p", "engine").textContent = `Model ${id.slice(0, 12)}, ${instructions}, ${count(threads, "thread")}.`;
      },
      () => (encoder = null),
    );
  }
  return encoder;
}

/** The archive of this browser. */
export async function theArchive(onProgress: (progress: Progress) => void): Promise<LocalIndex> {
  await theEncoder(onProgress);
  if (!archive) {
    archive = LocalIndex.open("archive");
    archive.catch(() => (archive = null));
  }
  return archive;
}
