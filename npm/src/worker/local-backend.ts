import { VidsieveError, asError } from "../data/errors.js";
import type { Backend, CallOptions, Handlers, Methods } from "../engine/methods.js";
import { handlerOf } from "./handler-of.js";

/** Runs methods in this thread, where there are no Workers or the page configured none. */
export class LocalBackend implements Backend {
  readonly #handlers: Promise<Handlers>;
  readonly #closed = new AbortController();
  #crashed: VidsieveError | null = null;

  constructor(makeHandlers: () => Promise<Handlers>) {
    this.#handlers = makeHandlers();
    // Callers get the reason.
    this.#handlers.catch(() => {});
  }

  async call<M extends keyof Methods>(
    method: M,
    args: Methods[M]["args"],
    { signal, onEvent }: CallOptions<M> = {},
  ): Promise<Methods[M]["result"]> {
    signal?.throwIfAborted();
    this.#closed.signal.throwIfAborted();
    if (this.#crashed) throw this.#crashed;
    const both = signal ? AbortSignal.any([signal, this.#closed.signal]) : this.#closed.signal;
    try {
      const handler = handlerOf(await this.#handlers, method);
      return (await handler(args, {
        signal: both,
        emit: (event) => onEvent?.(event as Methods[M]["event"]),
      })) as Methods[M]["result"];
    } catch (thrown) {
      both.throwIfAborted();
      const error = asError(thrown);
      if (error.code === "crashed") this.#crashed = error;
      throw error;
    }
  }

  helpers(): Backend[] {
    return [];
  }

  close(): void {
    this.#closed.abort(new VidsieveError("disposed", "the engine was disposed of"));
  }
}
