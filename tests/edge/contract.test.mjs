// One contract, two servers: every test of this file runs against `vidsieve serve` and against the Workers.
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import {
  READER,
  RECORD,
  WRITER,
  bundleBytes,
  edge,
  encode,
  folder,
  frames,
  json,
  pages,
  put,
  random,
  regions,
  rerankBody,
  samples,
  serve,
  video,
} from "./support.mjs";

const cleanups = [];
const suite = { after: (work) => cleanups.push(work) };
after(async () => {
  for (const work of cleanups.reverse()) await work();
});

let native, empty, made;
before(async () => {
  native = await samples(suite);
  empty = join(native.path, "empty");
  // An index without videos: of the samples', without them.
  const { vidsieve } = await import("../../npm/test/native.mjs");
  const copy = await native.copy();
  const { videos } = JSON.parse(vidsieve("list", "--json", "--index", copy));
  vidsieve("remove", "--index", copy, ...videos.map((v) => v.id));
  empty = copy;
  const url = await serve(suite, await native.copy());
  made = await random(url, 8);
});

const LINES = `reader:search:${READER}\nwriter:write:${WRITER}`;

const servers = {
  native: async (t, { tokens, open, readOnly, cors, bodyLimit, burst } = {}) => {
    const { cp } = await import("node:fs/promises");
    const index = join(await folder(t), "index");
    await cp(empty, index, { recursive: true });
    const options = ["--rate", burst ? "1" : "1000000", "--burst", String(burst ?? 1_000_000)];
    if (tokens) {
      const file = join(await folder(t), "tokens");
      await writeFile(file, LINES);
      options.push("--token-file", file);
    }
    if (open) options.push("--open-search");
    if (readOnly) options.push("--read-only");
    if (cors) options.push("--cors", cors);
    if (bodyLimit) options.push("--body-limit", String(bodyLimit / 1e6));
    return serve(t, index, ...options);
  },
  edge: async (t, { tokens, open, readOnly, cors, bodyLimit, burst } = {}) => {
    const vars = {
      ...(tokens && { TOKENS: LINES }),
      ...(open && { OPEN_SEARCH: "true" }),
      ...(readOnly && { READ_ONLY: "true" }),
      ...(cors && { CORS: cors }),
      ...(bodyLimit && { BODY_LIMIT: String(bodyLimit), RECORD_LIMIT: String(bodyLimit) }),
    };
    return (await edge(t, { vars, ...(burst && { limits: { limit: burst, period: 10 } }) })).url;
  },
};

/** A refusal: the status, the code, and the media type of problems. */
async function refused(asked, status, code) {
  const response = await asked;
  const text = await response.text();
  assert.equal(response.status, status, text);
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  assert.equal(response.headers.get("x-content-type-options"), "nosniff");
  const problem = JSON.parse(text);
  assert.equal(problem.type, `urn:vidsieve:problem:${code}`, text);
  assert.equal(problem.status, status);
  assert.ok(problem.title && problem.detail && !/panick|\.rs\b|at .*:\d+:\d+/.test(problem.detail), text);
  return response;
}

const bearer = (token) => ({ authorization: `Bearer ${token}` });

for (const [name, server] of Object.entries(servers)) {
  describe(name, { timeout: 900_000 }, () => {
    test("a search has two pages", async (t) => {
      const url = await server(t);
      assert.deepEqual((await pages(url, made[0])).at(-1).hits, []);
      for (const [i, record] of made.entries()) await put(url, `folder/video ${i}.mp4`, record);
      const [coarse, refined, ...more] = await pages(url, made[3], "top=5&budget=all&explain=true");
      assert.equal(more.length, 0);
      assert.deepEqual(
        [coarse.page, coarse.last, coarse.videos, coarse.selected, coarse.reranked],
        ["coarse", false, 8, 8, 0],
      );
      assert.deepEqual(
        [refined.page, refined.last, refined.reranked, refined.missing, refined.degraded],
        ["refined", true, 8, 0, false],
      );
      assert.ok(!("warnings" in coarse) && !("warnings" in refined));
      for (const page of [coarse, refined]) {
        assert.equal(page.hits.length, 5);
        assert.equal(page.hits[0].id, "folder/video 3.mp4");
        const scores = page.hits.map((h) => h.score);
        assert.deepEqual(
          scores,
          scores.toSorted((a, b) => b - a),
        );
        assert.ok(Math.abs(page.hits[0].explain.coarse_cosine - 1) < 1e-5);
        assert.deepEqual(
          page.hits.map((h) => h.explain.coarse_rank >= 1 && h.explain.coarse_rank <= 8),
          Array(5).fill(true),
        );
      }
      assert.equal(refined.hits[0].stage, "fine");
      assert.ok(refined.hits[0].score > 0.9);
      assert.deepEqual(refined.hits[0].segments[0].query, refined.hits[0].segments[0].target);
      assert.deepEqual(
        refined.hits.map((h) => h.relation),
        ["copy", ...Array(4).fill("different")],
      );
      assert.deepEqual([refined.hits[0].coverage.query.share, refined.hits[0].segments[0].at], [1, ["whole", "whole"]]);
      assert.ok(
        coarse.hits.every((h) => h.relation === null && h.coverage === null && h.score < 0.9),
        "likely at most",
      );
      const none = await pages(url, made[3], "budget=none&segments=false");
      assert.deepEqual([none.length, none[0].last, none[0].budget], [1, true, "none"]);
      for (const [budget, reranked] of [
        ["3pairs", 3],
        ["25%25", 2],
        ["p>1", 0],
        ["0ms", 0],
      ]) {
        assert.equal((await pages(url, made[3], `budget=${budget}`)).at(-1).reranked, reranked, budget);
      }
      assert.equal((await pages(url, made[3], "budget=all&min_score=0.9")).at(-1).hits.length, 1);
    });

    test("videos come and go", async (t) => {
      const url = await server(t);
      for (const i of [0, 1, 2]) await put(url, `folder/video ${i}.mp4`, made[i]);
      const id = "new/ünï ☃.mp4";
      const added = await put(url, id, made[4]);
      assert.deepEqual([added.status, added.body], [201, { result: "added" }]);
      assert.equal((await pages(url, made[4], "top=1"))[1].hits[0].id, id, "it is found at once");
      const again = await put(url, id, made[4]);
      assert.deepEqual([again.status, again.body, again.tag], [200, { result: "unchanged" }, added.tag]);
      const replaced = await put(url, id, made[5]);
      assert.deepEqual([replaced.status, replaced.body], [200, { result: "replaced" }]);
      const read = await fetch(video(url, id));
      assert.deepEqual([read.headers.get("content-type"), read.headers.get("etag")], [RECORD, replaced.tag]);
      assert.deepEqual(new Uint8Array(await read.arrayBuffer()), made[5]);
      const unchanged = await fetch(video(url, id), { headers: { "if-none-match": replaced.tag } });
      assert.equal(unchanged.status, 304);

      const list = await json(`${url}/v1/videos?limit=3`);
      assert.deepEqual([list.videos.length, list.next], [3, "folder/video 2.mp4"]);
      const rest = await json(`${url}/v1/videos?limit=3&after=folder/video%202.mp4`);
      assert.deepEqual([rest.videos.map((v) => v.id), rest.next], [[id], null]);
      const [{ duration, frames: count, bytes, added: at, checksum }] = rest.videos;
      assert.deepEqual([duration, count, bytes, `"${checksum}"`], [5, 5, made[5].length, replaced.tag]);
      assert.ok(Math.abs(at - Date.now() / 1000) < 60);
      assert.equal((await json(`${url}/v1/health`)).videos, 4);

      assert.equal((await fetch(video(url, id), { method: "DELETE" })).status, 204);
      await refused(fetch(video(url, id), { method: "DELETE" }), 404, "not-found");
      await refused(fetch(video(url, id)), 404, "not-found");
      assert.notEqual((await pages(url, made[5], "top=1"))[1].hits[0]?.id, id);
      assert.equal((await json(`${url}/v1/health`)).videos, 3);

      const tags = await fetch(video(url, "folder/video 1.mp4"), {
        headers: { "if-none-match": `"x", W/${(await put(url, "folder/video 1.mp4", made[1])).tag}` },
      });
      assert.equal(tags.status, 304);
      const ready = await json(`${url}/v1/ready`);
      assert.ok(
        ready.status === "ready" && ready.checks.length > 0 && ready.checks.every((check) => check.ok),
        JSON.stringify(ready),
      );
      const trace = "0af7651916cd43dd8448eb211c80319c";
      const traced = await fetch(`${url}/v1/health`, { headers: { traceparent: `00-${trace}-b7ad6b7169203331-01` } });
      assert.equal(traced.headers.get("x-request-id"), trace);

      const about = await json(`${url}/v1/model`);
      const bundle = await fetch(`${url}/v1/model/bundle`);
      assert.equal(bundle.headers.get("etag"), `"${about.bundle}"`);
      assert.deepEqual(Buffer.from(await bundle.arrayBuffer()), await bundleBytes());
      assert.deepEqual(
        [about.regions, about.bits, about.dims, about.bytes],
        [35, 256, 256, (await bundleBytes()).length],
      );
    });

    test("the document names the routes", async (t) => {
      const url = await server(t);
      await put(url, "folder/video 0.mp4", made[0]);
      const document = await json(`${url}/v1/openapi.json`);
      assert.deepEqual(
        document,
        JSON.parse(await readFile(new URL("../../crates/api/openapi.json", import.meta.url), "utf8")),
      );
      for (const [path, methods] of Object.entries(document.paths)) {
        for (const method of ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
          const response = await fetch(url + path.replace("{id}", "folder%2Fvideo%200.mp4"), { method });
          await response.arrayBuffer();
          const known = methods[method.toLowerCase()];
          assert.equal(response.status !== 405, Boolean(known), `${method} ${path}: ${response.status}`);
          assert.match(response.headers.get("x-request-id"), /^[0-9a-f]{32}$/);
          if (!known) {
            const allowed = ["GET", "POST", "PUT", "DELETE"].filter((m) => methods[m.toLowerCase()]);
            assert.deepEqual(
              response.headers
                .get("allow")
                ?.split(",")
                .filter((m) => m !== "HEAD"),
              allowed,
              `${method} ${path}`,
            );
          }
          if (known)
            assert.ok(known.responses[response.status], `${method} ${path}: ${response.status} is not in the document`);
        }
      }
      for (const path of ["/v1", "/v1/", "/v1/nothing", "/v1/videos/a/b"]) {
        await refused(fetch(url + path), 404, "not-found");
        await refused(fetch(url + path, { method: "POST" }), 404, "not-found");
      }
    });

    test("refusals", async (t) => {
      const url = await server(t, { bodyLimit: 1_000_000 });
      await put(url, "a", made[1]);
      const search = (options, body) => fetch(`${url}/v1/search?${options}`, { method: "POST", body });
      for (const options of [
        "top=0",
        "top=1001",
        "top=x",
        "budget=5",
        "budget=p>2",
        "nonsense=1",
        "explain=maybe",
        "min_score=-0.1",
        "min_score=1.5",
        "min_score=nan",
      ]) {
        await refused(search(options, made[1]), 400, "bad-request");
      }
      await refused(search("", new Uint8Array()), 422, "bad-body");
      await refused(search("", made[1].slice(0, -1)), 422, "bad-body");
      for (const at of [0, 9, 40, 100, made[1].length - 1]) {
        const damaged = made[1].slice();
        damaged[at] ^= 1;
        await refused(search("", damaged), 422, "bad-body");
        await refused(fetch(video(url, "b"), { method: "PUT", body: damaged }), 422, "bad-body");
      }
      await refused(search("", new Uint8Array(1_000_001)), 413, "too-large");
      const chunks = new ReadableStream({
        pull(controller) {
          if ((this.sent = (this.sent ?? 0) + 1) > 11) controller.close();
          else controller.enqueue(new Uint8Array(100_000));
        },
      });
      await refused(fetch(`${url}/v1/search`, { method: "POST", body: chunks, duplex: "half" }), 413, "too-large");
      for (const id of ["a%0Ab", "x".repeat(513), "%FF"]) {
        await refused(fetch(`${url}/v1/videos/${id}`), 400, "bad-request");
        await refused(fetch(`${url}/v1/videos/${id}`, { method: "DELETE" }), 400, "bad-request");
      }
      for (const limit of ["0", "1001", "x"])
        await refused(fetch(`${url}/v1/videos?limit=${limit}`), 400, "bad-request");
      await refused(fetch(`${url}/v1/search`, { method: "PATCH" }), 405, "method-not-allowed");
      const encoding = (type, body) =>
        fetch(`${url}/v1/encode`, { method: "POST", body, headers: { "content-type": type } });
      await refused(encoding("text/plain", "x"), 415, "media-type");
      await refused(encoding("application/vnd.vidsieve.frames", "VSFRAMES"), 422, "bad-body");
      await refused(encoding("application/vnd.vidsieve.regions", regions(1, { count: 36 })), 422, "bad-body");
      const rerank = (body) => fetch(`${url}/v1/rerank`, { method: "POST", body });
      await refused(rerank(new Uint8Array(8).fill(255)), 422, "bad-body");
      await refused(rerank(rerankBody("{", made[1])), 422, "bad-body");
      await refused(rerank(rerankBody({ ids: ["a"] }, new Uint8Array())), 422, "bad-body");
      await refused(rerank(rerankBody({ ids: ["a", "b", "a"] }, made[1])), 400, "bad-request");
      await refused(
        rerank(rerankBody({ ids: Array.from({ length: 1001 }, (_, i) => `${i}`) }, made[1])),
        400,
        "bad-request",
      );
      await refused(rerank(rerankBody({ ids: ["a"], checksums: ["x"] }, made[1])), 400, "bad-request");
      // Nothing of this did any harm.
      assert.equal((await pages(url, made[1], "top=1"))[1].hits[0].id, "a");
      assert.equal((await json(`${url}/v1/health`)).videos, 1);
    });

    test("tokens, scopes, open search, read only", async (t) => {
      const url = await server(t, { tokens: true });
      const listing = (headers) => fetch(`${url}/v1/videos`, { headers });
      assert.equal((await refused(listing(), 401, "unauthorized")).headers.get("www-authenticate"), "Bearer");
      await refused(listing(bearer("reader-token-012345678")), 401, "unauthorized");
      await refused(listing(bearer(WRITER)), 403, "forbidden");
      await refused(fetch(`${url}/metrics`), 401, "unauthorized");
      await json(`${url}/v1/videos`, { headers: bearer(READER) });
      await refused(
        fetch(video(url, "x"), { method: "PUT", body: made[0], headers: bearer(READER) }),
        403,
        "forbidden",
      );
      assert.equal((await put(url, "x", made[0], bearer(WRITER))).status, 201);
      await refused(fetch(video(url, "x"), { method: "DELETE", headers: bearer(READER) }), 403, "forbidden");
      await json(`${url}/v1/health`);

      const open = await server(t, { tokens: true, open: true });
      // Nothing is there that could be compared: the coarse page is the only one.
      assert.equal((await pages(open, made[0], "top=1")).length, 1);
      await json(`${open}/v1/model`);
      const bundle = await fetch(`${open}/v1/model/bundle`);
      assert.deepEqual([bundle.status, bundle.headers.get("cache-control")], [200, "private, max-age=3600"]);
      await bundle.arrayBuffer();
      await refused(fetch(`${open}/v1/model`, { headers: bearer("no-such-token-at-all") }), 401, "unauthorized");
      for (const path of ["/v1/videos", "/v1/videos/a", "/metrics"])
        await refused(fetch(open + path), 401, "unauthorized");
      await refused(fetch(`${open}/v1/rerank`, { method: "POST" }), 401, "unauthorized");
      await refused(fetch(video(open, "x"), { method: "DELETE" }), 401, "unauthorized");

      const reading = await server(t, { readOnly: true });
      await refused(fetch(video(reading, "x"), { method: "DELETE" }), 403, "read-only");
      await json(`${reading}/v1/videos`);
    });

    test("rates, and guesses that are counted", async (t) => {
      const url = await server(t, { tokens: true, burst: 3 });
      for (let i = 0; i < 3; i++) await json(`${url}/v1/videos`, { headers: bearer(READER) });
      const response = await refused(fetch(`${url}/v1/videos`, { headers: bearer(READER) }), 429, "too-many-requests");
      assert.ok(Number(response.headers.get("retry-after")) >= 1);
      // One token's rate is not another's.
      assert.equal((await put(url, "x", made[0], bearer(WRITER))).status, 201);
      const guess = () => fetch(`${url}/v1/videos`, { headers: bearer("a-guess-0123456789") });
      for (let i = 0; i < 3; i++) await refused(guess(), 401, "unauthorized");
      await refused(guess(), 429, "too-many-requests");
      // No token is looked at for a while, and no health is refused.
      await refused(fetch(video(url, "y"), { method: "DELETE", headers: bearer(WRITER) }), 429, "too-many-requests");
      for (let i = 0; i < 10; i++) await json(`${url}/v1/health`);
    });

    test("pages of other origins", async (t) => {
      const url = await server(t, { cors: "https://example.org" });
      const preflight = (origin) =>
        fetch(`${url}/v1/search`, {
          method: "OPTIONS",
          headers: {
            origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type",
          },
        });
      const allowed = await preflight("https://example.org");
      assert.equal(allowed.headers.get("access-control-allow-origin"), "https://example.org");
      assert.match(allowed.headers.get("access-control-allow-headers"), /authorization/);
      assert.equal((await preflight("https://evil.example")).headers.get("access-control-allow-origin"), null);
      const asked = await fetch(`${url}/v1/model`, { headers: { origin: "https://example.org" } });
      assert.equal(asked.headers.get("access-control-allow-origin"), "https://example.org");
      await asked.arrayBuffer();
      const without = await server(t);
      await refused(fetch(`${without}/v1/search`, { method: "OPTIONS" }), 405, "method-not-allowed");
    });

    test("encoding", async (t) => {
      const url = await server(t);
      const record = await encode(url, frames(3), "application/vnd.vidsieve.frames");
      assert.equal((await put(url, "x", record)).status, 201, "a record that the server made is taken by it");
      const again = await encode(url, regions(1));
      assert.equal(again.length, made[0].length);
    });

    test("comparing again", async (t) => {
      const url = await server(t);
      const tags = [];
      for (const i of [0, 1, 2]) tags.push((await put(url, `${i}`, made[i])).tag.replaceAll('"', ""));
      const rerank = (candidates) =>
        json(`${url}/v1/rerank`, { method: "POST", body: rerankBody(candidates, made[1]) });
      const answer = await rerank({ ids: ["0", "1", "nothing", "2"], segments: true });
      assert.deepEqual(
        answer.pairs.map((p) => p.id),
        ["0", "1", "2"],
      );
      assert.deepEqual(answer.missing, [{ id: "nothing", reason: "it is not there" }]);
      assert.ok(answer.pairs[1].score > 0.9 && answer.pairs[1].segments[0].query[0] === 0);
      assert.deepEqual(
        answer.pairs.map((p) => p.relation),
        ["different", "copy", "different"],
      );
      assert.equal(answer.pairs[1].coverage.target.share, 1);
      const meant = await rerank({ ids: ["0", "1"], checksums: [tags[0], "0000000000000000"] });
      assert.deepEqual([meant.pairs.map((p) => p.id), meant.missing.map((m) => m.id)], [["0"], ["1"]]);
      assert.match(meant.missing[0].reason, /another version/);
      assert.ok(!("segments" in meant.pairs[0]));
      const late = await rerank({ ids: ["0", "2"], within_ms: 0 });
      assert.deepEqual([late.pairs, late.missing.map((m) => m.id).sort()], [[], ["0", "2"]]);
      assert.match(late.missing[0].reason, /in time/);
      const inTime = await rerank({ ids: ["0", "2"], within_ms: 60_000 });
      assert.deepEqual(
        inTime.pairs.map((p) => p.id),
        ["0", "2"],
      );
    });
  });
}
