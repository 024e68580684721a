// Shards that fail when they are told to: each passes its requests on to the real one.
import { DurableObject } from "cloudflare:workers";

export class Faulty extends DurableObject {
  async fetch(request) {
    const name = request.headers.get("x-shard");
    const faults = await this.env.RECORDS.get("faults", "json");
    if (faults && (faults.shard === "/" || name.endsWith(faults.shard))) {
      if (faults.kind === "hangs") await new Promise((resolve) => setTimeout(resolve, 15_000));
      return new Response("lost", { status: 500 });
    }
    const real = this.env.REAL;
    return real.get(real.idFromName(name)).fetch(request);
  }
}

export default { fetch: () => new Response(null, { status: 404 }) };
