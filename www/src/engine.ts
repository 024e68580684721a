/** Loads the package once, and opens this browser's archive. */

import { Encoder, LocalIndex, SearchClient, type Progress } from "vidsieve";

import { byId } from "./dom.js";
import { count } from "./text.js";

/** Client of the server that this page comes from, which may not offer searches. */
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
    // Without a server the page searches in the browser.
  }
  return { server, dedupe };
}

/** Returns the encoder, and loads it at the first call. A later call retries a failed load. */
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

/** Returns the archive of this browser. */
export async function theArchive(onProgress: (progress: Progress) => void): Promise<LocalIndex> {
  await theEncoder(onProgress);
  if (!archive) {
    archive = LocalIndex.open("archive");
    archive.catch(() => (archive = null));
  }
  return archive;
}
