// Around the module of a Worker in Rust: makes its instance, and another one after a crash.
//
// The modules are built with `panic = "abort"`: a panic leaves its instance unusable, and what waits for it would wait without end; so
// does a RangeError of the glue or of the engine: memory that cannot grow, a view beyond its end, a stack that is too deep. Requests
// that wait for it fail, the next one gets a new instance; Durable Objects are made again in it and read their
// state from their databases.

/** The API's `internal`. */
const FAILED = {
  type: "urn:vidsieve:problem:internal",
  title: "The server failed",
  status: 500,
  detail: "the server's log has the reason",
};

/** The one kind of body that the module still writes when its call has ended. */
const STREAMED = "application/x-ndjson";

class Crash extends Error {}

/** Whether an error leaves the instance that it comes from unusable. What Rust code returns as an error is neither. */
const breaks = (error) => error instanceof WebAssembly.RuntimeError || error instanceof RangeError;

/** Calls into a module; `bindings` is what wasm-bindgen made of it. */
export function guard(bindings, module) {
  let instances = 0;
  let crashed = true;
  /** Rejects what waits for the instance. What follows from that is done by the request that waits: another's streams cannot be touched. */
  const waiting = new Set();

  function ready() {
    if (crashed) {
      if (instances === 0) bindings.initSync({ module });
      else bindings.__wbg_reset_state();
      crashed = false;
      instances += 1;
    }
    return instances;
  }

  function crash(error) {
    console.error(JSON.stringify({ level: "error", message: "the instance crashed", error: String(error) }));
    crashed = true;
    const ends = [...waiting];
    waiting.clear();
    for (const end of ends) end(new Crash("the instance crashed", { cause: error }));
  }

  // Futures are polled in microtasks: there a panic has no caller that would see it.
  const queue = globalThis.queueMicrotask;
  globalThis.queueMicrotask = (work) =>
    queue(() => {
      try {
        work();
      } catch (error) {
        crash(error);
      }
    });

  /** A promise, or the end of the instance that it waits for. */
  function orEnd(promise) {
    return new Promise((resolve, reject) => {
      waiting.add(reject);
      promise.then(resolve, reject).finally(() => waiting.delete(reject));
    });
  }

  /** An answer in lines whose last one says so if the instance that writes it crashes. */
  function guarded(response) {
    if (response.headers.get("content-type") !== STREAMED) return response;
    const reader = response.body.getReader();
    const body = new ReadableStream({
      async pull(controller) {
        try {
          const { done, value } = await orEnd(reader.read());
          if (!done) return controller.enqueue(value);
        } catch (error) {
          if (breaks(error)) crash(error);
          else if (!(error instanceof Crash)) throw error;
          const line = JSON.stringify({ page: "error", last: true, problem: FAILED });
          controller.enqueue(new TextEncoder().encode(`${line}\n`));
        }
        controller.close();
      },
      cancel: (reason) => reader.cancel(reason),
    });
    return new Response(body, response);
  }

  async function call(work) {
    try {
      ready();
      return await orEnd(work());
    } catch (error) {
      if (!breaks(error)) throw error;
      crash(error);
      throw new Crash("the instance crashed", { cause: error });
    }
  }

  return {
    /** The number of the instance that calls go to. */
    ready,
    /** Runs a call; one whose instance crashes fails. */
    call,
    /** Answers a request. */
    async answer(work) {
      try {
        return guarded(await call(work));
      } catch (error) {
        if (!(error instanceof Crash)) throw error;
        return Response.json(FAILED, { status: 500, headers: { "content-type": "application/problem+json" } });
      }
    },
  };
}
