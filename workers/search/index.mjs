// The search Worker and its shards as workerd loads them, from workers/search/build.
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";

import { guard } from "./guard.mjs";
import * as bindings from "./worker.js";
import module from "./worker_bg.wasm";

const { answer, call, ready } = guard(bindings, module);

export default class extends WorkerEntrypoint {
  fetch(request) {
    return answer(() => bindings.fetch.call(this, request, this.env, this.ctx));
  }
}

/** A shard: one object of the module, made again where the instance is another one than before. */
export class Shard extends DurableObject {
  #object;
  #instance;

  #inner() {
    const instance = ready();
    if (this.#instance !== instance) {
      this.#object = new bindings.Shard(this.ctx, this.env);
      this.#instance = instance;
    }
    return this.#object;
  }

  fetch(request) {
    return answer(() => this.#inner().fetch(request));
  }

  async alarm() {
    await call(() => this.#inner().alarm());
  }
}
