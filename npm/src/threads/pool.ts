/** Starts the threads of wasm-bindgen-rayon's pool, in a way that bundlers understand and that reports failures. */

import { VidsieveError } from "../data/errors.js";
import { startWorker } from "../platform/start-worker.js";

/** The pool as the module passes it. */
interface PoolBuilder {
  numThreads(): number;
  /** Address at which a thread receives its work. */
  receiver(): number;
  build(): void;
}

/** Message that starts a thread. */
export interface Start {
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
  receiver: number;
}

// Some browsers end Workers without a reference.
const held: Worker[] = [];

function start(message: Start): Promise<void> {
  const literal = () =>
    new Worker(new URL("./thread.js", import.meta.url), { type: "module", name: "vidsieve-thread" });
  const worker = startWorker(literal, "thread.js", import.meta.url, { type: "module", name: "vidsieve-thread" });
  held.push(worker);
  return new Promise((resolve, reject) => {
    worker.onmessage = () => resolve();
    worker.onerror = (event) => {
      event.preventDefault();
      reject(
        new VidsieveError(
          "unsupported",
          `a thread could not be started: ${event.message || "its script could not be loaded"}`,
        ),
      );
    };
    worker.postMessage(message);
  });
}

/** Starts all threads of a pool. The module calls it. */
export async function startWorkers(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  builder: PoolBuilder,
): Promise<void> {
  const message = { module, memory, receiver: builder.receiver() };
  try {
    await Promise.all(Array.from({ length: builder.numThreads() }, () => start(message)));
  } catch (thrown) {
    for (const worker of held.splice(0)) worker.terminate();
    throw thrown;
  }
  builder.build();
}
