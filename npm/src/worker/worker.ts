import { makeHandlers } from "../engine/host-full.js";
import { serve } from "./serve.js";

/** Whether this Worker can wait for threads and share memory with them. */
const isolated = (): boolean => globalThis.crossOriginIsolated && typeof SharedArrayBuffer !== "undefined";

serve(async ({ threads }) => {
  // A package that was built without them has no such file.
  if (THREADS && threads > 1 && isolated()) {
    try {
      const threaded = await import("../engine/host-threads.js");
      return await threaded.makeHandlers(threads);
    } catch (thrown) {
      console.warn("vidsieve: works without threads;", thrown);
    }
  }
  return makeHandlers();
});
