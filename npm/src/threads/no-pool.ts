/**
 * Stands for `pool.ts` in a thread, which starts no threads itself: a script that named itself as a
 * Worker would be bundled without end.
 */

/** Fails: threads are started by the Worker that has the pool. */
export async function startWorkers(): Promise<void> {
  throw new Error("a thread starts no threads");
}
