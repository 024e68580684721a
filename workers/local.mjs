// The edge tier on this machine: both Workers, KV and Durable Objects in workerd, by miniflare.
//
//   node workers/local.mjs [--port 8788] [--persist DIR] [--site DIR] [--media DIR] [--model FILE] [--bucket] [--var NAME=VALUE]...
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

import { Miniflare } from "miniflare";

import { media as mediaOf } from "./media.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const COMPATIBILITY = "2026-04-01";

/** A Worker of a folder of this one, by another module than its own if one is named. */
const built = (name, entry) => ({
  modules: true,
  modulesRoot: entry ? join(here, "..") : join(here, name, "build"),
  scriptPath: entry ?? join(here, name, "build/index.mjs"),
  modulesRules: [
    { type: "ESModule", include: ["**/*.js", "**/*.mjs"] },
    { type: "CompiledWasm", include: ["**/*.wasm"] },
  ],
  compatibilityDate: COMPATIBILITY,
});

/** What stands before the search Worker where there are media. */
const FRONT = `export default {
  fetch: (request, { MEDIA, SITE }) => (new URL(request.url).pathname.startsWith("/media/") ? MEDIA : SITE).fetch(request),
};`;

/**
 * Starts the edge tier. `vars` are variables and secrets of the search Worker, `rerankVars` of the re-rank tier, `rerank: null` leaves that out
 * and a function takes its place; `site` is a folder of files that are served beside the API,
 * `media` one of videos; `shards` is a Worker with a class that stands before
 * the shards, which it finds behind its binding REAL; `entry` takes the place of the search Worker's module, which it loads; with
 * `bucket` records are in R2.
 */
export async function start({
  port = 0,
  persist,
  site,
  media,
  shards,
  model = join(here, "../models/default.safetensors"),
  vars = {},
  rerankVars = {},
  rerank,
  entry,
  bucket = false,
  limits = { limit: 1_000_000, period: 10 },
} = {}) {
  const bytes = await readFile(model);
  const bundle = createHash("sha256").update(bytes).digest("hex");
  const tier = rerank === null ? {} : { serviceBindings: { RERANK: rerank ?? "rerank" } };
  const records = bucket ? { r2Buckets: { RECORDS: "records" } } : { kvNamespaces: { RECORDS: "records" } };
  const files = site && {
    assets: {
      directory: resolve(site),
      binding: "ASSETS",
      routerConfig: {
        has_user_worker: true,
        invoke_user_worker_ahead_of_assets: false,
        static_routing: { user_worker: ["/v1", "/v1/*", "/metrics"] },
      },
      assetConfig: { not_found_handling: "none", html_handling: "auto-trailing-slash" },
    },
  };
  const miniflare = new Miniflare({
    host: "127.0.0.1",
    port,
    cf: false,
    ...(persist && {
      kvPersist: join(resolve(persist), "kv"),
      r2Persist: join(resolve(persist), "r2"),
      durableObjectsPersist: join(resolve(persist), "do"),
      cachePersist: false,
    }),
    workers: [
      ...(media
        ? [
            {
              name: "front",
              modules: true,
              script: FRONT,
              compatibilityDate: COMPATIBILITY,
              serviceBindings: { MEDIA: mediaOf(resolve(media)), SITE: "search" },
            },
          ]
        : []),
      {
        name: "search",
        ...built("search", entry),
        ...files,
        ...tier,
        bindings: { BUNDLE: bundle, ...vars },
        ...records,
        durableObjects: shards
          ? {
              SHARDS: { className: shards.className, scriptName: "shards", useSQLite: true },
              OWN: { className: "Shard", useSQLite: true },
            }
          : { SHARDS: { className: "Shard", useSQLite: true } },
        ratelimits: { LIMITS: { simple: limits } },
      },
      {
        name: "rerank",
        ...built("rerank"),
        bindings: { BUNDLE: bundle, ...rerankVars },
        ...records,
      },
      ...(shards
        ? [
            {
              name: "shards",
              modules: true,
              scriptPath: shards.path,
              compatibilityDate: COMPATIBILITY,
              kvNamespaces: { RECORDS: "records" },
              durableObjects: {
                [shards.className]: { className: shards.className, useSQLite: true },
                REAL: { className: "Shard", scriptName: "search", useSQLite: true },
              },
            },
          ]
        : []),
    ],
  });
  const url = (await miniflare.ready).href.replace(/\/$/, "");
  const kv = bucket
    ? await miniflare.getR2Bucket("RECORDS", "search")
    : await miniflare.getKVNamespace("RECORDS", "search");
  await kv.put(`bundles/${bundle}.safetensors`, bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  let ended;
  return { url, bundle, miniflare, kv, end: () => (ended ??= miniflare.dispose()) };
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: "8788" },
      persist: { type: "string" },
      site: { type: "string" },
      media: { type: "string" },
      model: { type: "string" },
      bucket: { type: "boolean", default: false },
      var: { type: "string", multiple: true, default: [] },
    },
  });
  const vars = Object.fromEntries(values.var.map((v) => [v.slice(0, v.indexOf("=")), v.slice(v.indexOf("=") + 1)]));
  const { port, persist, site, media, model, bucket } = values;
  const edge = await start({ port: Number(port), persist, site, media, bucket, ...(model && { model }), vars });
  console.log(`the edge tier answers at ${edge.url}`);
  const end = () => edge.end().finally(() => process.exit());
  process.on("SIGINT", end).on("SIGTERM", end);
}
