// The two servers that answer the same API, and records to ask them with.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

import { folder, samples, serve } from "../../npm/test/native.mjs";
import { start } from "../../workers/local.mjs";

export { folder, samples, serve };

// workerd closes a connection that was idle for five seconds; a request that is on its way then fails. Each has a connection of its own.
const { Agent, setGlobalDispatcher } = createRequire(new URL("../../workers/local.mjs", import.meta.url))("undici");
setGlobalDispatcher(new Agent({ pipelining: 0 }));

export const RECORD = "application/vnd.vidsieve.record";
export const READER = "reader-token-0123456789";
export const WRITER = "writer-token-0123456789";
const model = fileURLToPath(new URL("../../models/default.safetensors", import.meta.url));

/** The edge tier until the tests end. */
export async function edge(t, { faults, ...options } = {}) {
  const shards = faults && { className: "Faulty", path: fileURLToPath(new URL("faulty.mjs", import.meta.url)) };
  const running = await start({ ...options, shards });
  t.after(() => running.end());
  return { ...running, faults: (which) => running.kv.put("faults", JSON.stringify(which)) };
}

export const video = (url, id) => `${url}/v1/videos/${encodeURIComponent(id)}`;

export async function json(url, init, status = 200) {
  const response = await fetch(url, init);
  const text = await response.text();
  if (response.status !== status)
    throw new Error(`${init?.method ?? "GET"} ${url}: ${response.status}, not ${status}: ${text}`);
  return JSON.parse(text);
}

export async function put(url, id, record, headers = {}) {
  const response = await fetch(video(url, id), { method: "PUT", body: record, headers });
  return { status: response.status, tag: response.headers.get("etag"), body: await response.json() };
}

/** The pages of a search. */
export async function pages(url, record, options = "", headers = {}) {
  const response = await fetch(`${url}/v1/search?${options}`, { method: "POST", body: record, headers });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${response.status}: ${text}`);
  if (response.headers.get("content-type") !== "application/x-ndjson")
    throw new Error(response.headers.get("content-type"));
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

/** Runs work for each item, some at a time. */
export async function each(items, atOnce, work) {
  const left = items.entries();
  const run = async () => {
    for (const [i, item] of left) await work(item, i);
  };
  await Promise.all(Array.from({ length: atOnce }, run));
}

/** Numbers in (-1, 1), always the same for a seed. */
function numbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

/** A body of region vectors of unit length: a video of its own for each seed. */
export function regions(seed, { frames = 5, count = 35, dims = 128 } = {}) {
  const next = numbers(seed * 7919 + 1);
  const head = 32 + 8 * frames;
  const body = new ArrayBuffer(head + 4 * frames * count * dims);
  const view = new DataView(body);
  new Uint8Array(body).set(new TextEncoder().encode("VSREGION"));
  [frames, count, dims, 0].forEach((n, i) => view.setUint32(8 + 4 * i, n, true));
  view.setFloat64(24, frames, true);
  for (let f = 0; f < frames; f++) view.setFloat64(32 + 8 * f, f, true);
  const values = new Float32Array(dims);
  for (let at = head; at < body.byteLength; at += 4 * dims) {
    for (let i = 0; i < dims; i++) values[i] = next();
    const norm = Math.hypot(...values);
    for (let i = 0; i < dims; i++) view.setFloat32(at + 4 * i, values[i] / norm, true);
  }
  return body;
}

/** A body of noisy frames. */
export function frames(seed, count = 4, width = 64, height = 48, square = 1) {
  const next = numbers(seed + 17);
  const head = 32 + 8 * count;
  const bytes = new Uint8Array(head + count * width * height * 3);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode("VSFRAMES"));
  [count, width, height, 0].forEach((n, i) => view.setUint32(8 + 4 * i, n, true));
  view.setFloat64(24, count, true);
  for (let f = 0; f < count; f++) view.setFloat64(32 + 8 * f, f, true);
  if (square === 1) for (let i = head; i < bytes.length; i++) bytes[i] = (next() + 1) * 127;
  else {
    // Squares of one colour: noise shows nothing.
    const across = Math.ceil(width / square);
    for (let f = 0; f < count; f++) {
      const colours = Array.from({ length: 3 * across * Math.ceil(height / square) }, () => (next() + 1) * 127);
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++)
          for (let c = 0; c < 3; c++) {
            const place = Math.floor(y / square) * across + Math.floor(x / square);
            bytes[head + ((f * height + y) * width + x) * 3 + c] = colours[3 * place + c];
          }
    }
  }
  return bytes;
}

/** A server makes a record of a body. */
export async function encode(url, body, type = "application/vnd.vidsieve.regions") {
  const response = await fetch(`${url}/v1/encode`, { method: "POST", body, headers: { "content-type": type } });
  if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** Records of random videos, made by a server. */
export async function random(url, count, first = 1) {
  const records = [];
  await each(
    Array.from({ length: count }, (_, i) => i),
    4,
    async (i) => {
      records[i] = await encode(url, regions(first + i));
    },
  );
  return records;
}

/** All records of a server, by id. */
export async function records(url) {
  const { videos } = await json(`${url}/v1/videos?limit=1000`);
  const all = new Map();
  await each(videos, 8, async ({ id }) => {
    all.set(id, new Uint8Array(await (await fetch(video(url, id))).arrayBuffer()));
  });
  return new Map([...all].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A body of `/v1/rerank`. */
export function rerankBody(candidates, record) {
  const text = new TextEncoder().encode(typeof candidates === "string" ? candidates : JSON.stringify(candidates));
  const body = new Uint8Array(4 + text.length + record.length);
  new DataView(body.buffer).setUint32(0, text.length, true);
  body.set(text, 4);
  body.set(record, 4 + text.length);
  return body;
}

/** What an edge isolate tells of itself. */
export async function figures(url) {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Object.fromEntries(
    text
      .split("\n")
      .filter((l) => l && !l.startsWith("#"))
      .map((l) => l.split(" "))
      .map(([k, v]) => [k.replace("vidsieve_", ""), Number(v)]),
  );
}

/** The keys of KV that hold records of a video. */
export async function keysOf(kv, id, namespace = "default") {
  const digits = createHash("sha256").update(id).digest("hex").slice(0, 32);
  return (await kv.list({ prefix: `records/${namespace}/${digits}/` })).keys.map((k) => k.name);
}

export async function until(what, seconds = 20) {
  for (const end = Date.now() + 1000 * seconds; Date.now() < end; await new Promise((r) => setTimeout(r, 50))) {
    if (await what()) return;
  }
  throw new Error(`it did not come to pass: ${what}`);
}

export const bundleBytes = () => readFile(model);
