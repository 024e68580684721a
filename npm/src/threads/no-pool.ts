/**
 * Replaces `pool.ts` in a thread, which starts no threads itself: bundling a script that names itself
 * as a Worker would not end.
 */

/** Fails: only the Worker that has the pool starts threads. */
export async function startWorkers(): Promise<void> {
  throw new Error("a thread starts no threads");
}
