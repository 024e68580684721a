/** Tells kinds of sources apart, and reads their bytes. */

import { VidsieveError, unreachable } from "../data/errors.js";
import type { FrameSource, Progress } from "../data/types.js";

/** A file as bytes or by its URL. URLs are relative to the page and are downloaded completely. */
export type ByteSource = Blob | URL | string | Response | ArrayBuffer | Uint8Array;

/** The sources of `encode`, for messages. @internal */
export const SOURCES = "a File, a Blob, a URL, a Response, bytes, a <video>, a MediaStream or an iterable of frames";

/** Returns whether a source is a file. @internal */
export function isBytes(source: unknown): source is ByteSource {
  return (
    source instanceof Blob ||
    typeof source === "string" ||
    source instanceof URL ||
    source instanceof ArrayBuffer ||
    source instanceof Uint8Array ||
    (typeof Response !== "undefined" && source instanceof Response)
  );
}

/** Returns whether a source yields frames. @internal */
export function isFrames(source: unknown): source is FrameSource {
  return typeof source === "object" && source !== null && (Symbol.asyncIterator in source || Symbol.iterator in source);
}

/** Options of a download. */
interface Following {
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
}

/** Returns the bytes of a file, downloaded if needed. @internal */
export async function blobOf(source: ByteSource, options: Following): Promise<Blob> {
  if (source instanceof Blob) return source;
  if (source instanceof ArrayBuffer) return new Blob([source]);
  if (source instanceof Uint8Array) return new Blob([source as Uint8Array<ArrayBuffer>]);
  if (source instanceof Response) return body(source, source.url || "the response", options);
  const { signal } = options;
  let url: string;
  try {
    url = new URL(source, typeof document === "undefined" ? undefined : document.baseURI).href;
  } catch (cause) {
    throw new VidsieveError("bad-argument", `${source} is not a URL`, { cause });
  }
  let response: Response;
  try {
    response = await fetch(url, signal ? { signal } : {});
  } catch (cause) {
    signal?.throwIfAborted();
    throw new VidsieveError("network", unreachable(url), { cause });
  }
  return body(response, url, options);
}

/** Reads a response and reports the progress. */
async function body(response: Response, url: string, { signal, onProgress }: Following): Promise<Blob> {
  if (response.type === "opaque")
    throw new VidsieveError(
      "network",
      `${unreachable(url, "was requested without CORS, so that the page cannot read its bytes")}`,
    );
  if (!response.ok) throw new VidsieveError("network", `${url}: HTTP ${response.status}`);
  if (response.bodyUsed)
    throw new VidsieveError("bad-argument", "the body of this response was read already: pass an unread Response");
  const length = Number(response.headers.get("content-length"));
  const total = length > 0 && !response.headers.get("content-encoding") ? length : undefined;
  let done = 0;
  const counted = new TransformStream<Uint8Array, Uint8Array>({
    transform(piece, controller) {
      done += piece.length;
      onProgress?.({ phase: "download", done, total });
      controller.enqueue(piece);
    },
  });
  try {
    const stream = response.body?.pipeThrough(counted, signal ? { signal } : {});
    return await new Response(stream ?? null, {
      headers: { "content-type": response.headers.get("content-type") ?? "" },
    }).blob();
  } catch (cause) {
    signal?.throwIfAborted();
    throw new VidsieveError("network", `the download of ${url} was interrupted after ${done} bytes`, { cause });
  }
}

/**
 * Returns the source of a `<video>`: its URL, or the stream or file that it plays. The property `src`
 * counts even before the browser has begun to load it. @internal
 */
export function sourceOf(video: HTMLVideoElement): string | MediaProvider {
  if (video.srcObject) return video.srcObject;
  if (video.hasAttribute("src")) {
    if (video.getAttribute("src")) return video.src;
  } else {
    const sources = [...video.querySelectorAll("source")].filter(
      ({ src, type }) => src && (!type || video.canPlayType(type)),
    );
    const url = video.currentSrc || sources[0]?.src;
    if (url) return url;
  }
  throw new VidsieveError("bad-argument", "this <video> has no source that can be opened again");
}
