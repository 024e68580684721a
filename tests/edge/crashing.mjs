// The search Worker with a door for crashes: a request with the header X-Crash makes the module trap while it is looked at.
import Search, { Shard } from "../../workers/search/build/index.mjs";
import * as bindings from "../../workers/search/build/worker.js";
import module from "../../workers/search/build/worker_bg.wasm";

export { Shard };

export default class extends Search {
  fetch(request) {
    if (request.headers.has("x-crash")) {
      const { url } = request;
      Object.defineProperty(request, "url", {
        get() {
          // No allocator gives that much: the module ends itself.
          bindings.initSync({ module }).__wbindgen_malloc(-1, 1);
          return url;
        },
      });
    }
    return super.fetch(request);
  }
}
