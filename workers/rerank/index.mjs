// The re-rank tier as workerd loads it, from workers/rerank/build.
import { WorkerEntrypoint } from "cloudflare:workers";

import { guard } from "./guard.mjs";
import * as bindings from "./worker.js";
import module from "./worker_bg.wasm";

const { answer } = guard(bindings, module);

export default class extends WorkerEntrypoint {
  fetch(request) {
    return answer(() => bindings.fetch.call(this, request, this.env, this.ctx));
  }
}
