import { HttpError, VidsieveError, unreachable } from "../data/errors.js";
import type { SearchOptions } from "../data/types.js";
import type { Listed, Problem, SearchPage, ServerModel } from "../data/wire.js";
import { searchDefaults } from "./options.js";
import { EncodedVideo, recordBytes } from "./video.js";

/** Options of a {@link SearchClient}. */
export interface ClientOptions {
  /** Bearer token of all requests. */
  token?: string;
  /** Maximum number of retries of a request that a busy server refused (429, 503). Default: 4. */
  retries?: number;
  /** Maximum wait before the first retry in milliseconds; it doubles with each retry. Default: 250. */
  backoff?: number;
  /** Replaces the host's `fetch`. */
  fetch?: typeof fetch;
}

/** Longest `Retry-After` that is respected, in milliseconds. */
const LONGEST = 30_000;

const RECORD = "application/vnd.vidsieve.record";

function wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", abort, { once: true });
  });
}

/**
 * Client of the HTTP API, as served by `vidsieve serve` and by the Workers at the edge. It sends
 * records, never videos.
 */
export class SearchClient {
  readonly url: string;
  readonly #options: ClientOptions;

  constructor(url: string | URL, options: ClientOptions = {}) {
    try {
      const base = new URL(url, typeof document === "undefined" ? undefined : document.baseURI);
      this.url = base.href.replace(/\/+$/, "");
    } catch (cause) {
      throw new VidsieveError("bad-argument", `${url} is not a URL`, { cause });
    }
    this.#options = options;
  }

  async #ask(path: string, init: RequestInit, signal: AbortSignal | undefined): Promise<Response> {
    const { token, retries = 4, backoff = 250, fetch: ask = fetch } = this.#options;
    const headers = new Headers(init.headers);
    if (token) headers.set("authorization", `Bearer ${token}`);
    for (let attempt = 0; ; attempt++) {
      signal?.throwIfAborted();
      let response: Response;
      try {
        response = await ask(this.url + path, { ...init, headers, ...(signal ? { signal } : {}) });
      } catch (cause) {
        signal?.throwIfAborted();
        throw new VidsieveError("network", unreachable(this.url, "could not be reached"), { cause });
      }
      if (response.ok) return response;
      if ((response.status === 429 || response.status === 503) && attempt < retries) {
        await response.body?.cancel();
        const asked = Number(response.headers.get("retry-after")) * 1000;
        const least = asked > 0 ? Math.min(asked, LONGEST) : 0;
        // Jitter: clients that were refused together retry at different times.
        await wait(least + Math.random() * backoff * 2 ** attempt, signal);
        continue;
      }
      const problem = await response.json().catch(() => ({}));
      throw new HttpError(response.status, (problem ?? {}) as Partial<Problem>);
    }
  }

  async #json<T>(path: string, signal: AbortSignal | undefined): Promise<T> {
    const response = await this.#ask(path, {}, signal);
    try {
      return (await response.json()) as T;
    } catch (cause) {
      signal?.throwIfAborted();
      throw new VidsieveError("network", "the server's answer is no JSON", { cause });
    }
  }

  /**
   * Searches for a video: yields a coarse page first, then a refined page after re-ranking. Leaving the
   * loop cancels the search.
   */
  async *search(
    video: EncodedVideo | Uint8Array,
    options: SearchOptions = {},
  ): AsyncGenerator<SearchPage, void, undefined> {
    const { signal, top, budget, minScore, segments, explain } = searchDefaults(options);
    const query = new URLSearchParams({
      top: String(top),
      budget,
      min_score: String(minScore),
      segments: String(segments),
      explain: String(explain),
    });
    const body = recordBytes(video) as Uint8Array<ArrayBuffer>;
    const left = new AbortController();
    const stop = signal ? AbortSignal.any([signal, left.signal]) : left.signal;
    try {
      const headers = { "content-type": RECORD, accept: "application/x-ndjson" };
      const response = await this.#ask(`/v1/search?${query}`, { method: "POST", body, headers }, stop);
      let ended = false;
      for await (const line of lines(response, stop)) {
        let page: SearchPage | { page: "error"; problem: Problem };
        try {
          page = JSON.parse(line);
        } catch (cause) {
          throw new VidsieveError("network", "the server's answer is no JSON", { cause });
        }
        if (page.page === "error") throw new HttpError(page.problem.status, page.problem);
        ended = page.last;
        yield page;
      }
      if (!ended) throw new VidsieveError("network", "the server's response was interrupted");
    } finally {
      left.abort();
    }
  }

  /** Adds or replaces a video. If the server has tokens, this needs one with the scope `write`. */
  async put(
    id: string,
    video: EncodedVideo | Uint8Array,
    options: { signal?: AbortSignal } = {},
  ): Promise<"added" | "replaced" | "unchanged"> {
    const init = {
      method: "PUT",
      body: recordBytes(video) as Uint8Array<ArrayBuffer>,
      headers: { "content-type": RECORD },
    };
    const response = await this.#ask(`/v1/videos/${encodeURIComponent(id)}`, init, options.signal);
    return ((await response.json()) as { result: "added" | "replaced" | "unchanged" }).result;
  }

  /** Returns the video of an id, or null. */
  async get(id: string, options: { signal?: AbortSignal } = {}): Promise<EncodedVideo | null> {
    try {
      const response = await this.#ask(`/v1/videos/${encodeURIComponent(id)}`, {}, options.signal);
      return await EncodedVideo.fromBytes(await response.arrayBuffer(), options);
    } catch (thrown) {
      if (thrown instanceof HttpError && thrown.status === 404) return null;
      throw thrown;
    }
  }

  /** Removes a video, and returns whether it was indexed. */
  async remove(id: string, options: { signal?: AbortSignal } = {}): Promise<boolean> {
    try {
      await this.#ask(`/v1/videos/${encodeURIComponent(id)}`, { method: "DELETE" }, options.signal);
      return true;
    } catch (thrown) {
      if (thrown instanceof HttpError && thrown.status === 404) return false;
      throw thrown;
    }
  }

  /** Yields all videos, sorted by id. */
  async *list(options: { signal?: AbortSignal } = {}): AsyncGenerator<Listed, void, undefined> {
    let after: string | null = null;
    do {
      const query = new URLSearchParams({ limit: "1000", ...(after === null ? {} : { after }) });
      const page: { videos: Listed[]; next: string | null } = await this.#json(`/v1/videos?${query}`, options.signal);
      yield* page.videos;
      after = page.next;
    } while (after !== null);
  }

  /** Returns the model that made the server's records. */
  async model(options: { signal?: AbortSignal } = {}): Promise<ServerModel> {
    return this.#json("/v1/model", options.signal);
  }

  /** Returns the URL and the SHA-256 of that model, for `Encoder.load({ model })`. */
  async modelSource(options: { signal?: AbortSignal } = {}): Promise<{ url: string; sha256: string }> {
    return { url: `${this.url}/v1/model/bundle`, sha256: (await this.model(options)).bundle };
  }
}

/** Yields the lines of a body as they arrive. */
async function* lines(response: Response, signal: AbortSignal): AsyncGenerator<string> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (!reader) throw new VidsieveError("network", "the server's response is empty");
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const parts = (rest + value).split("\n");
      rest = parts.pop() ?? "";
      yield* parts.filter((line) => line.trim() !== "");
    }
    if (rest.trim() !== "") yield rest;
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof VidsieveError) throw cause;
    throw new VidsieveError("network", "the server's response was interrupted", { cause });
  } finally {
    reader.cancel().catch(() => {});
  }
}
