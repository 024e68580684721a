// The application in headless Chromium, served by the edge tier on workerd.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { launch } from "../../npm/test/browser/browser.mjs";
import { samples, serve } from "../../npm/test/native.mjs";
import { each, put, records } from "../../tests/edge/support.mjs";
import { start } from "../../workers/local.mjs";

const cleanups = [];
const suite = { after: (work) => cleanups.push(work) };
let browser, native, edge;

before(async () => {
  native = await samples(suite);
  browser = await launch(suite);
  edge = await start({ site: fileURLToPath(new URL("../dist", import.meta.url)), media: native.videos });
  suite.after(() => edge.end());
  const all = await records(await serve(suite, native.index));
  await each([...all], 8, ([id, record]) => put(edge.url, id, record));
});

after(async () => {
  for (const work of cleanups.reverse()) await work();
});

test("a dropped video finds its copies at the edge, and why is shown", { timeout: 120_000 }, async (t) => {
  const context = await browser.newContext({ viewport: { width: 1180, height: 1400 } });
  t.after(() => context.close());
  const page = await context.newPage();
  const complaints = [];
  const posted = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("request", (request) => request.method() === "POST" && posted.push(request.url()));
  await page.goto(edge.url);
  await page.waitForSelector("#place-server:checked");
  // As a hand drops it.
  const handle = await page.evaluateHandle(async (url) => {
    const blob = await (await fetch(url)).blob();
    const data = new DataTransfer();
    data.items.add(new File([blob], "amber-crop.mp4", { type: "video/mp4" }));
    return data;
  }, "/media/copies/amber-crop.mp4");
  const start = Date.now();
  await page.dispatchEvent("#drop", "dragover", { dataTransfer: handle });
  await page.dispatchEvent("#drop", "drop", { dataTransfer: handle });
  await page.waitForSelector(".hit", { timeout: 60_000 });
  t.diagnostic(`first hits ${Date.now() - start} ms after the drop`);
  await page.waitForSelector("#found[data-page=refined] .hit", { timeout: 60_000 });
  const hits = await page.$$eval(".hit .id", (ids) => ids.map((id) => id.textContent));
  for (const id of ["copies/amber-crop.mp4", "originals/amber.mp4", "copies/amber-excerpt.mp4"]) assert.ok(hits.includes(id), hits.join());
  assert.equal(posted.length, 1);
  assert.match(posted[0], /\/v1\/search\?/);
  await page.click(".hit:has-text('originals/amber.mp4')");
  await page.waitForSelector("#detail:not([hidden])");
  await page.click("#segments button");
  await page.waitForFunction(() => document.querySelector("#right").currentTime > 0.3, { timeout: 30_000 });
  assert.deepEqual(complaints, []);
});

test("files, parts of media, and what is not there", async () => {
  const page = await fetch(edge.url);
  assert.match(page.headers.get("content-security-policy"), /frame-ancestors 'none'/);
  assert.equal(page.headers.get("cross-origin-opener-policy"), "same-origin");
  const part = await fetch(`${edge.url}/media/originals/amber.mp4`, { headers: { range: "bytes=4-7" } });
  assert.deepEqual([part.status, await part.text()], [206, "ftyp"]);
  for (const path of ["/media/none.mp4", "/media/.secret", "/media/%2e%2e%2findex", "/nothing", "/v1/nothing"]) assert.equal((await fetch(edge.url + path)).status, 404, path);
});

test("the headers of the page are the native server's", async (t) => {
  const url = await serve(t, await native.copy(), "--www", fileURLToPath(new URL("../dist", import.meta.url)));
  const [here, there] = await Promise.all([fetch(url), fetch(edge.url)]);
  for (const name of ["content-security-policy", "cross-origin-opener-policy", "cross-origin-embedder-policy", "cross-origin-resource-policy", "referrer-policy", "x-content-type-options"]) {
    assert.equal(there.headers.get(name), here.headers.get(name), name);
  }
});
