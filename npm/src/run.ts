/** Runs methods of a host: for a Worker's messages, and in place. */

import { VidsieveError, asError } from "./errors.js";
import type { Backend, CallOptions, Context, Handlers, Methods } from "./methods.js";

type AnyHandler = (args: unknown, context: Context<unknown>) => Promise<unknown>;

/** The implementation of a method. */
export function handlerOf(handlers: Handlers, method: string): AnyHandler {
  const found = Object.hasOwn(handlers, method) ? handlers[method as keyof Methods] : undefined;
  if (!found) throw new VidsieveError("unsupported", `this entry of the package cannot ${method}: import \`vidsieve\` instead`);
  return found as unknown as AnyHandler;
}

/** A host in this thread: where there are no Workers, or none are wanted. */
export class LocalBackend implements Backend {
  readonly #handlers: Promise<Handlers>;
  readonly #closed = new AbortController();
  #crashed: VidsieveError | null = null;

  constructor(makeHandlers: () => Promise<Handlers>) {
    this.#handlers = makeHandlers();
    // Whoever calls gets the reason.
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
      return (await handler(args, { signal: both, emit: (event) => onEvent?.(event as Methods[M]["event"]) })) as Methods[M]["result"];
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
