// The search Worker over a KV whose caches keep that a key was not there for as long as a read allows, as Cloudflare's do and
// miniflare's does not.
import Search, { Shard } from "../../workers/search/build/index.mjs";

export { Shard };

/** Keys that were not there, and when that was found. */
const missed = new Map();

function lagging(kv) {
  return {
    async get(key, options) {
      const seconds = options?.cacheTtl ?? 60;
      if (missed.has(key) && Date.now() - missed.get(key) < 1000 * Math.min(seconds, seconds > 60 ? Infinity : 0))
        return null;
      const found = await kv.get(key, options);
      if (found === null) missed.set(key, Date.now());
      return found;
    },
    put: (...args) => kv.put(...args),
    delete: (...args) => kv.delete(...args),
    list: (...args) => kv.list(...args),
    getWithMetadata: (...args) => kv.getWithMetadata(...args),
  };
}

export default class extends Search {
  constructor(context, env) {
    super(context, { ...env, RECORDS: lagging(env.RECORDS) });
  }
}
