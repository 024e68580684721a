/** Answers calls in a Worker: it receives them as messages, and sends results, events and errors. */

import { toData } from "../data/errors.js";
import type { Handlers } from "../engine/methods.js";
import { handlerOf } from "./handler-of.js";
import type { FromWorker, Start, ToWorker } from "./messages.js";

/** Collects the buffers of a result to transfer instead of copying. */
function buffers(value: unknown, found = new Set<Transferable>()): Set<Transferable> {
  if (ArrayBuffer.isView(value)) found.add(value.buffer as ArrayBuffer);
  else if (typeof ImageData !== "undefined" && value instanceof ImageData) return found;
  else if (Array.isArray(value)) return found;
  else if (value && typeof value === "object") Object.values(value).forEach((part) => buffers(part, found));
  return found;
}

/** Starts to answer messages. */
export function serve(makeHandlers: (start: Start) => Promise<Handlers>): void {
  const scope = self as unknown as {
    onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
    postMessage(message: FromWorker, transfer?: Transferable[]): void;
  };
  const running = new Map<number, AbortController>();
  let start: Start = { threads: 1 };
  let handlers: Promise<Handlers> | null = null;
  scope.onmessage = async ({ data }) => {
    if ("start" in data) {
      start = data.start;
      return;
    }
    if ("abort" in data) {
      running.get(data.id)?.abort();
      return;
    }
    const { id, method, args } = data;
    const controller = new AbortController();
    running.set(id, controller);
    try {
      handlers ??= makeHandlers(start);
      const handler = handlerOf(await handlers, method);
      const result = await handler(args, {
        signal: controller.signal,
        emit: (event) => scope.postMessage({ id, event }),
      });
      scope.postMessage({ id, result }, [...buffers(result)]);
    } catch (thrown) {
      scope.postMessage({ id, error: toData(thrown) });
    } finally {
      running.delete(id);
    }
  };
}
