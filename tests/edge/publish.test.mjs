// Publishing to the Workers with the command, and a load on them while the re-rank tier goes away and comes back.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { createServer, request } from "node:http";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { WRITER, edge, json, records, samples, serve, until, video } from "./support.mjs";

const cleanups = [];
const suite = { after: (work) => cleanups.push(work) };
after(async () => {
  for (const work of cleanups.reverse()) await work();
});

let native;
before(async () => (native = await samples(suite)));

const options = (token) => ({ encoding: "utf8", env: { ...process.env, ...(token && { VIDSIEVE_TOKEN: token }) } });

/** What a command reports. */
function vidsieve(args, { status = 0, token } = {}) {
  const done = spawnSync(process.env.VIDSIEVE, [...args, "--json"], options(token));
  assert.equal(done.status, status, done.stderr);
  return JSON.parse(done.stdout);
}

test("an index is published, and what changes", { timeout: 300_000 }, async (t) => {
  const { url } = await edge(t, { vars: { TOKENS: `writer:search,write:${WRITER}` } });
  const index = await native.copy();
  const push = (...args) => vidsieve(["push", "--index", index, "--to", url, ...args], { token: WRITER });
  const numbers = ({ written, unchanged, removed }) => [written, unchanged, removed];
  assert.deepEqual(numbers(push("--dry-run")), [24, 0, 0]);
  assert.deepEqual(numbers(push()), [24, 0, 0]);
  assert.deepEqual(numbers(push("--check")), [0, 24, 0]);
  vidsieve(["remove", "--index", index, "copies/amber-crop.mp4"]);
  assert.deepEqual(numbers(push()), [0, 23, 0]);
  assert.deepEqual(numbers(push("--prune")), [0, 23, 1]);
  const headers = { authorization: `Bearer ${WRITER}` };
  assert.equal((await json(`${url}/v1/videos?limit=100`, { headers })).videos.length, 23);
  // What is another there is put right.
  const other = await fetch(video(url, "originals/amber.mp4"), { headers }).then((r) => r.arrayBuffer());
  const wrong = await fetch(video(url, "copies/amber-excerpt.mp4"), { method: "PUT", body: other, headers });
  assert.equal(wrong.status, 200);
  assert.deepEqual(numbers(push()), [1, 22, 0]);

  const refused = spawnSync(
    process.env.VIDSIEVE,
    ["push", "--index", index, "--to", url],
    options("no-such-token-0123456789"),
  );
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /token is refused \(401\)/);
});

test("a push that is killed goes on", { timeout: 300_000 }, async (t) => {
  const { url } = await edge(t);
  const index = await native.copy();
  const child = spawn(process.env.VIDSIEVE, ["push", "--index", index, "--to", url, "--jobs", "1"], {
    stdio: "ignore",
  });
  const there = async () => (await json(`${url}/v1/videos?limit=100`)).videos.length;
  await until(async () => (await there()) >= 3, 60);
  child.kill("SIGKILL");
  await pause(500);
  const left = 24 - (await there());
  assert.ok(left > 0, "it was killed in the middle");
  const report = vidsieve(["push", "--index", index, "--to", url]);
  assert.deepEqual([report.written, report.unchanged], [left, 24 - left]);
  const nativeUrl = await serve(t, await native.copy());
  assert.deepEqual(await records(url), await records(nativeUrl));
});

test("answers are coarse and marked while the re-rank tier is away, and none fails", {
  timeout: 300_000,
}, async (t) => {
  const behind = new URL(await serve(t, await native.copy(), "--rate", "1000000", "--burst", "1000000"));
  let away = false;
  const tier = createServer((asked, answer) => {
    if (away) return asked.socket.destroy();
    const { method, url: path, headers } = asked;
    const passed = request(
      { host: behind.hostname, port: behind.port, method, path, headers: { ...headers, host: behind.host } },
      (response) => {
        answer.writeHead(response.statusCode, response.headers);
        response.pipe(answer);
      },
    );
    passed.on("error", () => answer.destroy());
    asked.pipe(passed);
  });
  await new Promise((done) => tier.listen(0, "127.0.0.1", done));
  t.after(() => tier.close());
  const { url } = await edge(t, { rerank: null, vars: { RERANK_URL: `http://127.0.0.1:${tier.address().port}` } });
  vidsieve(["push", "--index", native.index, "--to", url]);

  const args = ["bench", "load", "--url", url, "--videos", "0", "--budgets", "10pairs", "--clients", "4"];
  const child = spawn(process.env.VIDSIEVE, [...args, "--searches", "1000000", "--seconds", "18", "--json"]);
  let text = "";
  child.stdout.on("data", (piece) => (text += piece));
  const ended = new Promise((done) => child.on("exit", done));
  await pause(6000);
  away = true;
  await pause(6000);
  away = false;
  assert.equal(await ended, 0, text);
  const {
    cells: [cell],
    timeline,
  } = JSON.parse(text);
  t.diagnostic(JSON.stringify({ cell, timeline }));
  assert.equal(cell.errors, 0, cell.first_error);
  assert.ok(
    timeline.some((s) => s.searches > 0 && s.degraded === s.searches),
    "while it is away all are marked",
  );
  assert.equal(timeline[0].degraded, 0);
  assert.equal(timeline.at(-1).degraded, 0, "it is back");
});
