/** Yields the events of a running call. Leaving the generator cancels the call. */
export async function* channel<T>(
  run: (emit: (event: T) => void, stop: AbortSignal) => Promise<void>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T, void, undefined> {
  signal?.throwIfAborted();
  const left = new AbortController();
  const stop = signal ? AbortSignal.any([signal, left.signal]) : left.signal;
  const events: T[] = [];
  let wake = () => {};
  let ended: { failed: boolean; reason?: unknown } | null = null;
  run((event) => {
    events.push(event);
    wake();
  }, stop).then(
    () => {
      ended = { failed: false };
      wake();
    },
    (reason: unknown) => {
      ended = { failed: true, reason };
      wake();
    },
  );
  try {
    for (;;) {
      const event = events.shift();
      if (event !== undefined) {
        yield event;
        continue;
      }
      const end = ended as { failed: boolean; reason?: unknown } | null;
      if (end) {
        if (end.failed) throw end.reason;
        return;
      }
      await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    left.abort();
  }
}
