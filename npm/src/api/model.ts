/// <reference lib="esnext.disposable" preserve="true" />
import { VidsieveError } from "../data/errors.js";
import type { LoadOptions, ModelInfo } from "../data/types.js";
import type { Backend, Loaded, WireSource } from "../engine/methods.js";
import { hold, release } from "../worker/backend.js";

function wireSource({ model }: LoadOptions): WireSource {
  if (model === undefined) return { packaged: true };
  if (typeof model === "string" || model instanceof URL) return { url: absolute(model) };
  if (model instanceof Blob) return { blob: model };
  if (model instanceof ArrayBuffer) return { bytes: new Uint8Array(model) };
  if (model instanceof Uint8Array) return { bytes: model };
  if (model && typeof model === "object" && "url" in model) return { url: absolute(model.url) };
  throw new VidsieveError("bad-argument", "the model has the wrong type: pass a URL, a Blob or bytes");
}

/** Resolves relative URLs against the page, not the Worker. */
function absolute(url: string | URL): string {
  try {
    return new URL(url, typeof document === "undefined" ? undefined : document.baseURI).href;
  } catch (cause) {
    throw new VidsieveError("bad-argument", `${url} is not a URL`, { cause });
  }
}

/** Loads a model for searching, or also for encoding. The caller releases the host. @internal */
export async function load(options: LoadOptions, encoder: boolean): Promise<{ backend: Backend; info: Loaded }> {
  const { model, signal, onProgress } = options;
  const given = options.sha256 ?? (model && typeof model === "object" && "sha256" in model ? model.sha256 : undefined);
  const sha256 = given?.toLowerCase() ?? null;
  if (sha256 !== null && !/^[0-9a-f]{64}$/.test(sha256))
    throw new VidsieveError("bad-argument", "sha256 must be 64 hexadecimal digits");
  const source = wireSource(options);
  const backend = hold();
  try {
    const info = await backend.call(
      "load",
      { source, sha256, encoder },
      { signal, onEvent: (event) => onProgress?.(event) },
    );
    return { backend, info };
  } catch (thrown) {
    release();
    throw thrown;
  }
}

/** A model loaded for searching and comparing. */
export class Model {
  readonly info: ModelInfo;
  #backend: Backend | null;

  /** @internal */
  constructor(backend: Backend, info: ModelInfo) {
    this.#backend = backend;
    this.info = info;
  }

  /** Frees the model, and the Worker if nothing else uses it. */
  dispose(): void {
    const backend = this.#backend;
    if (!backend) return;
    this.#backend = null;
    backend.call("unload", { id: this.info.id }).catch(() => {});
    release();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Loads a model for searching and comparing. `Encoder.load` loads one that also encodes. */
export async function loadModel(options: LoadOptions = {}): Promise<Model> {
  const { backend, info } = await load(options, false);
  return new Model(backend, info);
}
