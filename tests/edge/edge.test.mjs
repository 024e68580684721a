// What is the edge's own: the same answers as natively, shards that split under load, what is missing, limits of memory.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import {
  READER,
  WRITER,
  each,
  edge,
  encode,
  figures,
  folder,
  frames,
  json,
  keysOf,
  pages,
  put,
  random,
  records,
  rerankBody,
  samples,
  serve,
  until,
  video,
} from "./support.mjs";

const cleanups = [];
const suite = { after: (work) => cleanups.push(work) };
after(async () => {
  for (const work of cleanups.reverse()) await work();
});

/** Bytes that an isolate may hold of WebAssembly's memory. */
const MEMORY = 96 * 2 ** 20;

let native, nativeUrl, clips, made;
before(async () => {
  native = await samples(suite);
  nativeUrl = await serve(suite, await native.copy(), "--rate", "1000000", "--burst", "1000000");
  clips = await records(nativeUrl);
  made = await random(nativeUrl, 120);
  await each(made, 8, (record, i) => put(nativeUrl, `random/${i}`, record));
});

/** All videos of the native server, put to another. */
async function fill(url, count = made.length, headers) {
  await each([...clips], 8, ([id, record]) => put(url, id, record, headers));
  await each(made.slice(0, count), 8, (record, i) => put(url, `random/${i}`, record, headers));
}

/** All of a video of five seconds. */
const WHOLE = { seconds: 5, share: 1 };

/** Two values that must be the same, numbers up to their last digits. */
function same(found, expected, what) {
  if (typeof expected === "number" && typeof found === "number") {
    assert.ok(
      Math.abs(found - expected) <= 1e-9 * Math.max(1, Math.abs(expected)),
      `${what}: ${found}, natively ${expected}`,
    );
  } else if (expected !== null && typeof expected === "object" && found !== null && typeof found === "object") {
    assert.deepEqual(Object.keys(found), Object.keys(expected), what);
    for (const key of Object.keys(expected)) same(found[key], expected[key], `${what} ${key}`);
  } else assert.deepEqual(found, expected, what);
}

/** Two pages that must say the same. */
function alike(edge, here, what) {
  assert.deepEqual(
    edge.hits.map((h) => h.id),
    here.hits.map((h) => h.id),
    what,
  );
  for (const [i, hit] of edge.hits.entries()) {
    const other = here.hits[i];
    assert.equal(hit.stage, other.stage, what);
    for (const key of ["score", "coarse", "fine", "doubt"]) {
      if (other[key] === null) assert.equal(hit[key], null, `${what} ${key}`);
      else
        assert.ok(
          Math.abs(hit[key] - other[key]) <= 1e-4,
          `${what} ${hit.id} ${key}: ${hit[key]}, natively ${other[key]}`,
        );
    }
    for (const key of ["relation", "coverage", "untold"]) same(hit[key], other[key], `${what} ${hit.id} ${key}`);
    same(
      hit.segments.map((s) => [s.query, s.target, s.at]),
      other.segments.map((s) => [s.query, s.target, s.at]),
      `${what} ${hit.id}`,
    );
    if (other.explain) assert.equal(hit.explain.coarse_rank, other.explain.coarse_rank, what);
  }
  for (const key of ["page", "last", "model", "videos", "budget", "selected", "reranked", "missing", "degraded"]) {
    assert.equal(edge[key], here[key], `${what} ${key}`);
  }
}

test("answers are the native ones", { timeout: 600_000 }, async (t) => {
  const { url } = await edge(t, { vars: { SHARD_VIDEOS: "40" } });
  await fill(url);
  await until(async () => (await figures(url)).index_shards >= 4);
  const queries = [
    ...[...clips].filter((_, i) => i % 3 === 0),
    ...made.slice(0, 4).map((record, i) => [`random/${i}`, record]),
  ];
  let compared = 0;
  for (const [id, record] of queries) {
    for (const options of [
      "top=20&explain=true",
      "budget=10pairs&top=30",
      "budget=p>0.3",
      "budget=none",
      "budget=20%25&segments=false",
    ]) {
      const [here, there] = await Promise.all([pages(nativeUrl, record, options), pages(url, record, options)]);
      assert.equal(there.length, here.length);
      for (const [i, page] of there.entries()) alike(page, here[i], `${id} ${options}`);
      compared += there.length;
    }
  }
  t.diagnostic(`${compared} pages of ${queries.length} queries; ${JSON.stringify(await figures(url))}`);
  // What is encoded at the edge is what is encoded natively.
  const body = frames(5, 6, 96, 64, 16);
  const [a, b] = await Promise.all([
    encode(url, body, "application/vnd.vidsieve.frames"),
    encode(nativeUrl, body, "application/vnd.vidsieve.frames"),
  ]);
  const scored = async (server, q, x) => {
    await put(server, "encoded", x);
    return (await pages(server, q, "top=1&budget=all"))[1].hits[0];
  };
  const hit = await scored(url, a, b);
  assert.equal(hit.id, "encoded");
  // The coarse score of one vector is never a sure one.
  assert.ok(hit.score > 0.9 && hit.coarse > 0.85, JSON.stringify(hit));
  assert.ok((await figures(url)).wasm_memory_bytes < MEMORY);
});

test("records in R2: the same answers", { timeout: 300_000 }, async (t) => {
  const { url, kv: bucket } = await edge(t, { bucket: true });
  await fill(url);
  for (const [id, record] of [...clips].slice(0, 3)) {
    const [here, there] = await Promise.all(
      [nativeUrl, url].map((server) => pages(server, record, "budget=10pairs&top=20")),
    );
    for (const [i, page] of there.entries()) alike(page, here[i], id);
  }
  const [id, record] = [...clips][0];
  assert.deepEqual(Buffer.from(await (await fetch(video(url, id))).arrayBuffer()), Buffer.from(record));
  assert.equal((await put(url, id, record)).status, 200);
  const { objects } = await bucket.list({ prefix: "records/" });
  assert.equal(objects.length, clips.size + made.length);
  assert.equal((await fetch(video(url, id), { method: "DELETE" })).status, 204);
  assert.equal((await fetch(video(url, id))).status, 404);
});

test("shards split while videos come, go and are searched for", { timeout: 600_000 }, async (t) => {
  const { url, miniflare } = await edge(t, { vars: { SHARD_VIDEOS: "12" } });
  const stay = made.slice(60);
  await each(stay.slice(0, 20), 4, (record, i) => put(url, `stay/${i}`, record));
  let writing = true;
  let searches = 0;
  const writes = async () => {
    await each(stay.slice(20), 4, (record, i) => put(url, `stay/${20 + i}`, record));
    for (let round = 0; round < 40; round++) {
      const id = `comes/${round % 15}`;
      await put(url, id, made[round % 15]);
      if (round % 3 === 0) assert.equal((await fetch(video(url, id), { method: "DELETE" })).status, 204, id);
    }
    writing = false;
  };
  const search = async (first) => {
    for (let i = first; writing; i = (i + 3) % 20) {
      for (const page of await pages(url, stay[i], "top=2&budget=all&segments=false")) {
        assert.equal(page.hits[0].id, `stay/${i}`, JSON.stringify(page));
        assert.ok(page.hits[0].score > 0.8 && (page.hits[1]?.score ?? 0) < 0.8, JSON.stringify(page));
        assert.equal(page.degraded, false, JSON.stringify(page));
      }
      searches++;
    }
  };
  await Promise.all([writes(), search(0), search(7)]);
  await until(async () => (await figures(url)).index_shards >= 5);
  const left = Array.from({ length: 15 }, (_, i) => i).filter((i) => {
    const last = [...Array(40).keys()].filter((round) => round % 15 === i).at(-1);
    return last % 3 !== 0;
  });
  const expected = [...stay.keys()]
    .map((i) => `stay/${i}`)
    .concat(left.map((i) => `comes/${i}`))
    .sort();
  const listed = [];
  for (let after = "", page; ; after = page.next) {
    page = await json(`${url}/v1/videos?limit=7&after=${encodeURIComponent(after)}`);
    listed.push(...page.videos.map((v) => v.id));
    if (!page.next) break;
  }
  assert.deepEqual(listed, expected);
  for (const i of stay.keys()) assert.equal((await pages(url, stay[i], "top=1&budget=all"))[1].hits[0].id, `stay/${i}`);
  const { index_shards, wasm_memory_bytes } = await figures(url);
  t.diagnostic(
    `${searches} searches during the writes; ${index_shards} shards, ${(wasm_memory_bytes / 2 ** 20).toFixed(1)} MiB`,
  );
  assert.ok(wasm_memory_bytes < MEMORY);
  const tier = await miniflare.getWorker("rerank");
  const text = await (await tier.fetch("http://localhost/metrics")).text();
  assert.ok(Number(/bytes (\d+)/.exec(text)[1]) < MEMORY, text);
});

test("what was written is there after everything has ended", { timeout: 300_000 }, async (t) => {
  const persist = await folder(t);
  const ends = [];
  const first = await edge({ after: (work) => ends.push(work) }, { persist, vars: { SHARD_VIDEOS: "10" } });
  await each(made.slice(0, 30), 4, (record, i) => put(first.url, `v/${i}`, record));
  assert.equal((await fetch(video(first.url, "v/3"), { method: "DELETE" })).status, 204);
  for (const end of ends) await end();
  const { url } = await edge(t, { persist, vars: { SHARD_VIDEOS: "10" } });
  assert.equal((await json(`${url}/v1/health`)).videos, 29);
  for (const i of [0, 7, 29]) {
    assert.equal((await pages(url, made[i], "top=1"))[1].hits[0].id, `v/${i}`);
    assert.deepEqual(new Uint8Array(await (await fetch(video(url, `v/${i}`))).arrayBuffer()), made[i]);
  }
});

test("KV that has not got a record everywhere yet, and records that are lost", { timeout: 300_000 }, async (t) => {
  const { url, kv } = await edge(t, { vars: { RECENT_SECONDS: "2" } });
  await each(made.slice(0, 10), 4, (record, i) => put(url, `${i}`, record));
  // One that is damaged, and two as from a place where the write has not arrived: the shard still has the records.
  const [key] = await keysOf(kv, "5");
  const damaged = made[5].slice();
  damaged[damaged.length - 1] ^= 1;
  await kv.put(key, damaged.buffer);
  for (const i of [0, 1]) for (const key of await keysOf(kv, `${i}`)) await kv.delete(key);
  const fresh = (await pages(url, made[0], "budget=all&top=10"))[1];
  assert.deepEqual(
    [fresh.reranked, fresh.missing, fresh.degraded, fresh.hits[0].id, fresh.hits[0].stage],
    [10, 0, false, "0", "fine"],
  );
  assert.ok(fresh.hits[0].segments.length > 0);
  assert.deepEqual(new Uint8Array(await (await fetch(video(url, "0"))).arrayBuffer()), made[0]);
  // Later it has let go of it: the record is lost, and this is said.
  await until(async () => (await fetch(video(url, "0"))).status === 500);
  const page = (await pages(url, made[0], "budget=all&top=10"))[1];
  assert.deepEqual([page.degraded, page.missing, page.reranked], [true, 3, 7]);
  const marked = Object.fromEntries(
    page.hits.filter((h) => h.unavailable && h.stage === "coarse" && h.fine === null).map((h) => [h.id, h.unavailable]),
  );
  assert.deepEqual(Object.keys(marked).sort(), ["0", "1", "5"]);
  assert.match(marked[0], /not there/);
  assert.match(marked[5], /damaged/);
  // Putting it again mends it.
  assert.deepEqual((await put(url, "0", made[0])).body, { result: "unchanged" });
  assert.equal((await pages(url, made[0], "budget=all&top=1"))[1].hits[0].stage, "fine");
  // Versions that nobody uses any more leave KV.
  await put(url, "7", made[50]);
  assert.equal((await keysOf(kv, "7")).length, 2);
  await until(async () => (await keysOf(kv, "7")).length === 1);
  assert.equal((await fetch(video(url, "8"), { method: "DELETE" })).status, 204);
  await until(async () => (await keysOf(kv, "8")).length === 0);
});

/** The ids that a request to the re-rank tier names. */
async function asked(request) {
  const body = await request.arrayBuffer();
  const length = new DataView(body).getUint32(0, true);
  return JSON.parse(new TextDecoder().decode(new Uint8Array(body, 4, length))).ids;
}

/** An answer about all that are asked for, by a pair that may be changed. */
const answering = (change) => async (request) => {
  const pairs = (await asked(request)).map((id) => {
    const pair = { id, fine_similarity: 1, score: 1, relation: "copy", coverage: { query: WHOLE, target: WHOLE } };
    change(pair);
    return pair;
  });
  return Response.json({ pairs, missing: [] });
};

/** An answer that does not end for far longer than is waited for it. The host of the tests reads it whether the Worker does or not. */
const endlessly = () => {
  const end = Date.now() + 8_000;
  return new Response(
    new ReadableStream({
      async pull(controller) {
        if (Date.now() > end) return controller.close();
        controller.enqueue(new Uint8Array(1 << 20).fill(32));
        await new Promise((resolve) => setTimeout(resolve, 5));
      },
    }),
  );
};

/** A re-rank tier that misbehaves. */
const tiers = {
  "is not there": [null, /does not answer/],
  fails: [async () => new Response("broken", { status: 500 }), /does not answer/],
  "answers nonsense": [async () => new Response("{]"), /does not answer/],
  "answers for others": [
    async () =>
      Response.json({
        pairs: [{ id: "x", fine_similarity: 1, score: 1, relation: "copy", coverage: { query: WHOLE, target: WHOLE } }],
        missing: [],
      }),
    /does not answer/,
  ],
  "tells a score above 1": [answering((pair) => (pair.score = 7)), /out of its range/],
  "tells a similarity below -1": [answering((pair) => (pair.fine_similarity = -1.5)), /out of its range/],
  "tells a coverage above all": [
    answering((pair) => (pair.coverage = { query: { seconds: 5, share: 3 }, target: WHOLE })),
    /out of its range/,
  ],
  "tells segments backwards": [
    answering((pair) => (pair.segments = [{ query: [5, 1], target: [0, 1], at: ["whole", "whole"], score: 0.5 }])),
    /out of its range/,
  ],
  "tells numbers that are none": [
    async (request) =>
      new Response((await answering(() => {})(request).then((r) => r.text())).replaceAll('"score":1', '"score":1e999')),
    /does not answer|out of its range/,
  ],
  "never ends": [async () => endlessly(), /does not answer|in time/],
  "sends elsewhere": [
    async () => new Response(null, { status: 302, headers: { location: "https://example.org/" } }),
    /does not answer/,
  ],
  "is slow": [() => new Promise((resolve) => setTimeout(() => resolve(new Response("late")), 15_000)), /in time/],
};

for (const [what, [rerank, reason]] of Object.entries(tiers)) {
  test(`a re-rank tier that ${what}: the coarse answer comes, and says so`, { timeout: 300_000 }, async (t) => {
    const { url } = await edge(t, { rerank, vars: { RERANK_MS: "700" } });
    await each(made.slice(0, 6), 4, (record, i) => put(url, `${i}`, record));
    const start = Date.now();
    const response = await fetch(`${url}/v1/search?budget=all&segments=false`, { method: "POST", body: made[2] });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const { value } = await reader.read();
    const coarse = JSON.parse(value.split("\n")[0]);
    assert.deepEqual([coarse.page, coarse.hits[0].id, coarse.degraded], ["coarse", "2", false]);
    const first = Date.now() - start;
    assert.ok(first < 2500, `the coarse page took ${first} ms`);
    let rest = value.slice(value.indexOf("\n") + 1);
    for (let piece; !(piece = await reader.read()).done; ) rest += piece.value;
    const refined = JSON.parse(rest.trim());
    assert.deepEqual(
      [refined.page, refined.last, refined.missing, refined.reranked, refined.degraded],
      ["refined", true, 6, 0, true],
    );
    assert.ok(
      refined.hits.every((h) => h.stage === "coarse" && reason.test(h.unavailable)),
      JSON.stringify(refined.hits[0]),
    );
    // The slow tier takes 15 s.
    assert.ok(Date.now() - start < 8000);
    const answer = await json(`${url}/v1/rerank`, { method: "POST", body: rerankBody({ ids: ["0", "1"] }, made[0]) });
    assert.deepEqual([answer.pairs, answer.missing.map((m) => m.id)], [[], ["0", "1"]]);
  });
}

test("what a tier sends without an end is not read on", { timeout: 300_000 }, async (t) => {
  const { createServer } = await import("node:http");
  const { once } = await import("node:events");
  const piece = Buffer.alloc(1 << 20, 32);
  let sent = 0;
  // As a service of this process a tier would be read whatever the Worker reads; a server waits for its reader.
  const server = createServer(async (request, response) => {
    request.resume();
    response.writeHead(200, { "content-type": "application/json" });
    while (!response.destroyed) {
      sent += piece.length;
      if (!response.write(piece))
        await Promise.race([once(response, "drain"), once(response, "close")]).catch(() => {});
    }
  }).listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  const tier = `http://127.0.0.1:${server.address().port}`;
  const { url } = await edge(t, { vars: { RERANK_MS: "3000", RERANK_URL: tier } });
  await each(made.slice(0, 6), 4, (record, i) => put(url, `${i}`, record));
  sent = 0;
  const [, refined] = await pages(url, made[2], "budget=all&segments=false");
  assert.deepEqual([refined.missing, refined.degraded], [6, true]);
  const read = sent;
  await new Promise((resolve) => setTimeout(resolve, 1000));
  // Six candidates may take 400 kB; what is on its way is more than that.
  assert.ok(read > 0 && read < 64 << 20, `${read >> 20} MiB were read`);
  assert.ok(sent - read <= 8 << 20, `${(sent - read) >> 20} MiB after the end`);
});

test("a token of the tier goes nowhere else", { timeout: 300_000 }, async (t) => {
  const { createServer } = await import("node:http");
  const listening = async (answer) => {
    const server = createServer(answer).listen(0, "127.0.0.1");
    t.after(() => server.close());
    await new Promise((resolve) => server.once("listening", resolve));
    return `http://127.0.0.1:${server.address().port}`;
  };
  const seen = [];
  const other = await listening((request, response) => {
    seen.push(request.headers.authorization);
    response.end("{}");
  });
  const away = await listening((_, response) => response.writeHead(307, { location: `${other}/v1/rerank` }).end());
  const { url } = await edge(t, { rerank: null, vars: { RERANK_URL: away, RERANK_TOKEN: READER } });
  await each(made.slice(0, 3), 4, (record, i) => put(url, `${i}`, record));
  const [, refined] = await pages(url, made[0], "budget=all&segments=false");
  assert.deepEqual([refined.missing, seen], [3, []]);
});

test("that a record was not there does not count for a day", { timeout: 300_000 }, async (t) => {
  const entry = fileURLToPath(new URL("lagging.mjs", import.meta.url));
  const { url, kv } = await edge(t, { entry, vars: { RECENT_SECONDS: "1" } });
  await put(url, "a", made[0]);
  const [key] = await keysOf(kv, "a");
  await kv.delete(key);
  await until(async () => (await fetch(video(url, "a"))).status === 500);
  const lost = await fetch(video(url, "a"));
  assert.equal((await lost.json()).type, "urn:vidsieve:problem:damaged-record");
  // It comes from another place: what was kept of its absence is not believed.
  await kv.put(key, made[0].buffer.slice(made[0].byteOffset, made[0].byteOffset + made[0].byteLength));
  const read = await fetch(video(url, "a"));
  assert.equal(read.status, 200);
  assert.deepEqual(new Uint8Array(await read.arrayBuffer()), made[0]);
});

test("a shard that is lost: the others answer, and it is said", { timeout: 300_000 }, async (t) => {
  const { url, faults } = await edge(t, { faults: true, vars: { SHARD_VIDEOS: "8", COARSE_MS: "800" } });
  await each(made.slice(0, 40), 4, (record, i) => put(url, `${i}`, record));
  await until(async () => (await figures(url)).index_shards >= 4);
  const whole = (await pages(url, made[0], "budget=none&segments=false&top=40"))[0];
  assert.deepEqual([whole.videos, whole.degraded], [40, false]);
  for (const kind of ["fails", "hangs"]) {
    await faults({ shard: "/1", kind });
    const start = Date.now();
    const [coarse, refined] = await pages(url, made[0], "top=40");
    // A shard that hangs does so for 15 s.
    assert.ok(Date.now() - start < 8000);
    for (const page of [coarse, refined]) {
      assert.ok(page.degraded && page.videos < 40 && page.videos > 0, JSON.stringify(page));
      assert.match(page.warnings.join(), /1 of \d+ parts of the index did not answer/);
      assert.equal(page.hits.length, page.videos);
    }
    await until(async () => (await fetch(`${url}/v1/ready`)).status === 503);
    const ready = await (await fetch(`${url}/v1/ready`)).json();
    assert.deepEqual([ready.status, ready.checks.find((check) => !check.ok).name], ["degraded", "shards"]);
    assert.equal((await json(`${url}/v1/health`)).status, "degraded");
    // A listing with holes would look like videos that are gone.
    assert.equal((await fetch(`${url}/v1/videos`)).status, 503);
    await faults(null);
  }
  assert.equal((await pages(url, made[0], "top=1"))[0].degraded, false);
  await faults({ shard: "/", kind: "fails" });
  assert.equal((await fetch(`${url}/v1/search`, { method: "POST", body: made[0] })).status, 503);
  await faults(null);
});

test("a native server as the re-rank tier", { timeout: 300_000 }, async (t) => {
  const { url } = await edge(t, { rerank: null, vars: { RERANK_URL: nativeUrl } });
  await fill(url, 20);
  // A version that the tier has not.
  await put(url, "random/3", made[100]);
  const page = (await pages(url, made[0], "budget=all&top=100"))[1];
  // The shard still has the record of that one, and compares it.
  assert.deepEqual(
    [page.hits[0].id, page.hits[0].stage, page.missing, page.reranked],
    ["random/0", "fine", 0, page.videos],
  );
});

test("namespaces cannot see each other", { timeout: 300_000 }, async (t) => {
  const lines = ["acme", "other"]
    .map((space) => `${space}/all:search,write:${space}-${READER}`)
    .concat(`all:search,write:${WRITER}`)
    .join("\n");
  const { url, kv } = await edge(t, { vars: { TOKENS: lines } });
  const of = (token) => ({ authorization: `Bearer ${token}` });
  const [acme, other, plain] = [of(`acme-${READER}`), of(`other-${READER}`), of(WRITER)];
  assert.equal((await put(url, "secret", made[0], acme)).status, 201);
  for (const headers of [other, plain]) {
    assert.equal((await fetch(video(url, "secret"), { headers })).status, 404);
    assert.equal((await fetch(video(url, "secret"), { headers, method: "DELETE" })).status, 404);
    assert.deepEqual((await json(`${url}/v1/videos`, { headers })).videos, []);
    assert.deepEqual((await pages(url, made[0], "budget=all", headers)).at(-1).hits, []);
    const answer = await json(`${url}/v1/rerank`, {
      method: "POST",
      headers,
      body: rerankBody({ ids: ["secret"] }, made[0]),
    });
    assert.deepEqual(answer, { pairs: [], missing: [{ id: "secret", reason: "it is not there" }] });
  }
  assert.equal((await put(url, "secret", made[1], other)).status, 201);
  assert.equal((await pages(url, made[0], "budget=all", acme))[1].hits[0].score > 0.9, true);
  assert.equal((await keysOf(kv, "secret", "acme")).length, 1);
  assert.equal((await json(`${url}/v1/health`)).videos, 0, "of the namespace of those without a token");
});

test("an instance that crashes is replaced, and who waits for it is told", { timeout: 300_000 }, async (t) => {
  const entry = fileURLToPath(new URL("crashing.mjs", import.meta.url));
  let hangs = false;
  const rerank = async () => {
    if (hangs) await new Promise((resolve) => setTimeout(resolve, 20_000));
    return new Response(null, { status: 503 });
  };
  const { url } = await edge(t, { entry, rerank });
  await fill(url, 20);
  const record = made[0];
  const [before] = await pages(url, record, "budget=none&segments=false");

  const begin = performance.now();
  hangs = true;
  const searched = await fetch(`${url}/v1/search?budget=5pairs`, { method: "POST", body: record });
  const reader = searched.body.getReader();
  const coarse = JSON.parse(new TextDecoder().decode((await reader.read()).value));
  assert.equal(coarse.page, "coarse");
  const answer = await fetch(`${url}/v1/model`, { headers: { "x-crash": "1" } });
  assert.equal(answer.status, 500);
  assert.equal(answer.headers.get("content-type"), "application/problem+json");
  const problem = await answer.json();
  assert.equal(problem.type, "urn:vidsieve:problem:internal");
  // Who was being answered does not wait for an instance that is gone.
  const rest = JSON.parse(new TextDecoder().decode((await reader.read()).value));
  assert.deepEqual(rest, { page: "error", last: true, problem });
  assert.equal((await reader.read()).done, true);
  assert.ok(performance.now() - begin < 15_000, `it took ${performance.now() - begin} ms`);

  hangs = false;
  for (let i = 0; i < 3; i++) {
    const [after] = await pages(url, record, "budget=none&segments=false");
    assert.deepEqual(after.hits, before.hits);
  }
  const again = await put(url, "after", made[21]);
  assert.equal(again.status, 201);
  assert.equal(
    (await fetch(`${url}/v1/search`, { method: "POST", body: record, headers: { "x-crash": "1" } })).status,
    500,
  );
  const page = (await pages(url, made[21], "budget=none&segments=false"))[0];
  assert.equal(page.hits[0].id, "after");
});

test("limits, names, and a configuration that cannot be", { timeout: 300_000 }, async (t) => {
  const { url, miniflare } = await edge(t, { vars: { MAX_PAIRS: "3", RECORD_LIMIT: "20000" } });
  await each(made.slice(0, 8), 4, (record, i) => put(url, `${i}`, record));
  const cut = (await pages(url, made[0], "budget=all"))[1];
  assert.deepEqual([cut.selected, cut.reranked, cut.missing, cut.degraded], [8, 3, 5, true]);
  assert.match(cut.warnings[0], /8 pairs; 3 are compared/);
  const auto = (await pages(url, made[0]))[1];
  assert.deepEqual([auto.selected, auto.reranked, auto.missing, auto.degraded], [3, 3, 0, false]);
  const long = [...clips.values()].find((record) => record.length > 20_000);
  if (long) assert.equal((await put(url, "long", long)).status, 413);
  // Without tokens only the names of this machine are answered, and no name leads into the inside.
  for (const host of ["example.org", "vidsieve.internal"]) {
    const answer = await miniflare.dispatchFetch(`http://${host}/v1/videos`, {
      headers: { "x-vidsieve-namespace": "default" },
    });
    assert.equal(answer.status, 403);
    assert.match((await answer.json()).type, /host$/);
  }
  for (const vars of [
    { BUNDLE: "0".repeat(64) },
    { BUNDLE: "x" },
    { TOKENS: "nonsense" },
    { CORS: "example.org" },
    { MAX_PAIRS: "many" },
  ]) {
    const wrong = await edge(t, { vars });
    const response = await fetch(`${wrong.url}/v1/search`, { method: "POST", body: made[0] });
    const text = await response.text();
    assert.deepEqual(
      [response.status, JSON.parse(text).type],
      [500, "urn:vidsieve:problem:internal"],
      JSON.stringify(vars),
    );
    assert.ok(!/nonsense|many|KV|example/.test(text), text);
    await wrong.end();
  }
});
