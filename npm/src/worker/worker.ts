import { makeHandlers } from "../engine/host-full.js";
import { serve } from "./serve.js";

/** Returns whether this Worker can share memory with threads and wait for them. */
const isolated = (): boolean => globalThis.crossOriginIsolated && typeof SharedArrayBuffer !== "undefined";

serve(async ({ threads }) => {
  // A package without threads lacks this file.
  if (THREADS && threads > 1 && isolated()) {
    try {
      const threaded = await import("../engine/host-threads.js");
      return await threaded.makeHandlers(threads);
    } catch (thrown) {
      console.warn("vidsieve: continuing without threads:", thrown);
    }
  }
  return makeHandlers();
});
