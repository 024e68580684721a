// The view of duplicates in headless Chromium, served by the native command over a folder of clips; its plan is carried out.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cp, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { serve, vidsieve } from "../../npm/test/native.mjs";
import { launch } from "../../npm/test/browser/browser.mjs";
import { clips, visit as open } from "./pages.mjs";

const cleanups = [];
const suite = { after: (work) => cleanups.push(work) };
const www = fileURLToPath(new URL("../dist", import.meta.url));
let browser, path, videos, index;

before(async () => {
  ({ path, videos, index } = await clips(suite));
  browser = await launch(suite);
});

after(async () => {
  for (const work of cleanups.reverse()) await work();
});

/** Every file below a folder, with what would tell that it was changed. */
async function files(at) {
  const entries = await readdir(at, { recursive: true, withFileTypes: true });
  const all = entries.filter((entry) => entry.isFile()).map(async ({ parentPath, name }) => {
    const file = join(parentPath, name);
    const { mtimeMs, ino, size } = await stat(file);
    return [file.slice(at.length + 1), { mtimeMs, ino, size, sha256: createHash("sha256").update(await readFile(file)).digest("hex") }];
  });
  return Object.fromEntries((await Promise.all(all)).sort());
}

let copies = 0;
const copyOfIndex = async () => {
  const to = join(path, `index-${++copies}`);
  await cp(index, to, { recursive: true });
  return to;
};

async function visit(t, address, options = {}) {
  const found = await open(t, browser, `${address}/#duplicates`, { viewport: { width: 1280, height: 1000 }, ...options });
  await found.page.waitForSelector("#views:not([hidden])");
  return found;
}

const shot = async (page, name) => {
  if (!process.env.VIDSIEVE_SCREENSHOTS) return;
  await mkdir(process.env.VIDSIEVE_SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(process.env.VIDSIEVE_SCREENSHOTS, name), fullPage: true });
};

const find = async (page) => {
  await page.click("#review-find");
  await page.waitForSelector(".item", { timeout: 60_000 });
};
/** Chooses a member of the open entry by the arrow keys. */
async function choose(page, name) {
  for (let k = 0; k < 6; k++) {
    if ((await page.textContent(".members [data-picked=true] .pick")) === name) return;
    await page.keyboard.press("ArrowRight");
  }
  assert.fail(`${name} is no member`);
}
const badge = (page, id) => page.textContent(`.members li[data-id="${id}"] .badge`);
const fits = (page) => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);

test("groups are compared and decided by keys, and the plan moves what was chosen", { timeout: 180_000 }, async (t) => {
  const own = await copyOfIndex();
  const address = await serve(suite, own, "--www", www, "--media", videos);
  const before = await files(videos);
  const { page, complaints } = await visit(t, address);
  assert.equal(await page.isVisible("#drop"), false);
  await find(page);
  assert.match(await page.textContent("#review-status"), /^6 videos, \d+ pairs? compared frame by frame/);
  const states = await page.$$eval(".item", (all) => all.map((item) => item.querySelector(".facts").textContent));
  assert.equal(states.length, 2, states.join("\n"));
  assert.match(states[0], /^The same footage, 3 copies, [\d.]+ (KB|MB) to gain, 0:0[78]/);
  assert.match(states[1], /^An excerpt of fractal\.mp4/);
  assert.equal(await page.isDisabled("#review-write"), true);

  // The focus is in the list: keys work at once.
  await page.keyboard.press("j");
  await page.waitForSelector(".item[aria-current=true] .matches button");
  assert.match(await page.textContent(".members li[data-id='copies/film-small.mp4']"), /The same footage: [\d.]+ s of it match \(/);
  const facts = await page.textContent(".members li[data-id='film.mp4']");
  assert.match(facts, /320 × 240, h264/);
  assert.ok(facts.includes(videos), facts);
  await page.waitForFunction(() => document.querySelectorAll(".members canvas[data-drawn]").length === 3);
  assert.equal(await page.textContent(".members li[data-id='copies/film.avi'] .thumbnail"), "No picture");

  // Both play in step, and stop together.
  await choose(page, "film-small.mp4");
  await page.waitForFunction(() => document.querySelectorAll(".player figcaption")[1].textContent === "copies/film-small.mp4" && document.querySelector(".matches button"));
  await page.keyboard.press(" ");
  await page.waitForFunction(() => [...document.querySelectorAll(".player video")].every((video) => video.currentTime > 0.6));
  const apart = await page.$$eval(".player video", ([a, b]) => Math.abs(a.currentTime - b.currentTime));
  assert.ok(apart < 0.4, `${apart} s apart`);
  await page.keyboard.press(" ");
  assert.deepEqual(await page.$$eval(".player video", (all) => all.map((video) => video.paused)), [true, true]);
  await page.$eval(".player input[type=range]", (slider) => {
    slider.value = "3";
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  });
  await page.waitForFunction(() => [...document.querySelectorAll(".player video")].every((video) => Math.abs(video.currentTime - 3) < 0.2));

  // A file that the browser cannot play says so.
  await choose(page, "film.avi");
  await page.waitForFunction(() => /This browser cannot play it \(mpeg4\)/.test(document.querySelectorAll(".player .fault")[1].textContent));
  await shot(page, "duplicates-1280.png");

  await choose(page, "film-tiny.mp4");
  await page.keyboard.press("d");
  await page.waitForFunction(() => document.querySelector("#review-said").textContent.includes("is marked as different"));
  assert.equal(await badge(page, "copies/film-tiny.mp4"), "marked as different");
  await choose(page, "film.avi");
  await page.keyboard.press("x");
  assert.equal(await badge(page, "copies/film.avi"), "stays");
  await choose(page, "film.mp4");
  await page.keyboard.press("Shift+K");
  assert.deepEqual(await Promise.all(["film.mp4", "copies/film-small.mp4"].map((id) => badge(page, id))), ["kept", "may go"]);
  assert.match(await page.textContent("#review-total"), /Decided: 1 group, 1 file may go/);
  const { videos: told } = JSON.parse(vidsieve("dedupe", "decisions", "--index", own, "--json"))[0];
  assert.deepEqual(told.map(({ id }) => id).sort(), ["copies/film-tiny.mp4", "film.mp4"]);

  // Filters hide and show, and forget nothing.
  await page.selectOption("#review-kind", "excerpt");
  assert.equal((await page.$$(".item")).length, 1);
  await page.fill("#review-least", "100");
  assert.equal(await page.isVisible("#review-none"), true);
  await page.click("#review-filters button[type=reset]");
  await page.waitForFunction(() => document.querySelectorAll(".item").length === 2);
  await page.fill("#review-folder", "COPIES");
  assert.equal((await page.$$(".item")).length, 1);
  assert.match(await page.textContent(".item .state"), /Decided: 1 file may go/);

  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#review-write")]);
  assert.equal(download.suggestedFilename(), "plan.json");
  const plan = join(path, "plan.json");
  await download.saveAs(plan);
  assert.match(await page.textContent("#review-plan"), /1 file may go.*vidsieve dedupe apply plan\.json --to-trash/s);
  await shot(page, "duplicates-plan-1280.png");
  assert.deepEqual(await files(videos), before, "the server and the page change no file");

  const aside = join(path, "aside");
  const log = join(path, "moved.log");
  vidsieve("dedupe", "apply", plan, "--move", aside, "--log", log, "--yes", "--json");
  const { "copies/film-small.mp4": moved, ...rest } = before;
  assert.deepEqual(await files(videos), rest);
  const [[name, { sha256 }]] = Object.entries(await files(aside));
  assert.ok(name.endsWith("copies/film-small.mp4"), name);
  assert.equal(sha256, moved.sha256);
  // What was moved is no error of the page; a file that no browser plays and a picture of it are asked for and refused.
  assert.deepEqual(complaints, []);
  vidsieve("dedupe", "undo", log, "--yes", "--json");
  assert.deepEqual(Object.keys(await files(videos)), Object.keys(before));
});

test("on a narrow screen, in the dark, with buttons", { timeout: 120_000 }, async (t) => {
  const address = await serve(suite, await copyOfIndex(), "--www", www, "--media", videos);
  const { page, complaints } = await visit(t, address, { viewport: { width: 390, height: 844 }, colorScheme: "dark", reducedMotion: "reduce" });
  await shot(page, "duplicates-begin-390.png");
  await find(page);
  assert.ok(await fits(page), "the page is wider than the screen");
  await page.click(".item .head");
  await page.waitForSelector(".matches button");
  await page.waitForFunction(() => document.querySelectorAll(".members canvas[data-drawn]").length >= 1);
  assert.ok(await fits(page), "the open entry is wider than the screen");
  await shot(page, "duplicates-390.png");
  await page.click("[aria-label='Keep film-small.mp4']");
  assert.equal(await badge(page, "film.mp4"), "may go");
  assert.match(await page.textContent(".item .state"), /Decided: 3 files may go/);
  await page.click("[aria-label='Let it stay: film.avi']");
  assert.match(await page.textContent(".item .state"), /Decided: 2 files may go/);
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), "Let it go: film.avi");
  await page.click(".inside >> text=Undo");
  assert.match(await page.textContent(".item .state"), /Not decided/);
  // Looked at: it is not shown again.
  await page.click(".item:nth-child(2) .head");
  await page.waitForSelector(".item:nth-child(2) .matches button");
  assert.match(await page.textContent(".item:nth-child(2) .members"), /An excerpt: [\d.]+ s of it match .* from 0:0[345]/);
  await page.click(".inside >> text=Keep all");
  await page.waitForFunction(() => /Looked at/.test(document.querySelector(".item:nth-child(2) .state").textContent));
  await page.click("#review-find");
  await page.waitForFunction(() => document.querySelectorAll(".item").length === 1);
  assert.match(await page.textContent("#review-status"), /1 that were looked at before are not shown/);
  // Everything that can be used has a name.
  const unnamed = await page.$$eval("#review :is(button, input, select, canvas, video, progress)", (all) =>
    all.filter((e) => e.offsetParent && !(e.textContent.trim() || e.labels?.length || e.getAttribute("aria-label"))).map((e) => e.outerHTML));
  assert.deepEqual(unnamed, []);
  assert.deepEqual(complaints, []);
});

test("a server with tokens asks for one, one that only reads keeps no decision, and an empty index says so", { timeout: 120_000 }, async (t) => {
  const tokens = join(path, "tokens");
  await writeFile(tokens, "me:search,write:0123456789abcdef\n", { mode: 0o600 });
  const address = await serve(suite, await copyOfIndex(), "--www", www, "--read-only", "--token-file", tokens);
  const { page } = await visit(t, address);
  await page.click("#review-find");
  await page.waitForSelector("#review-error:not([hidden])");
  assert.match(await page.textContent("#review-error"), /A token is needed.*Enter a token below/);
  await shot(page, "duplicates-token-1280.png");
  await page.fill("#review-token", "0123456789abcdef");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".item");
  assert.equal(await page.isVisible("#review-error"), false);
  await page.keyboard.press("j");
  await page.waitForFunction(() => /The server has no file for it: start it with --media/.test(document.querySelector(".player .fault").textContent));
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("d");
  await page.waitForSelector("#review-error:not([hidden])");
  assert.match(await page.textContent("#review-error"), /This server only reads.*without --read-only/);

  const empty = await copyOfIndex();
  const { videos: all } = JSON.parse(vidsieve("list", "--json", "--index", empty));
  vidsieve("remove", "--index", empty, ...all.map(({ id }) => id));
  const { page: other } = await visit(t, await serve(suite, empty, "--www", www));
  await other.click("#review-find");
  await other.waitForSelector("#review-nothing:not([hidden])");
  assert.match(await other.textContent("#review-nothing"), /The index is empty: `vidsieve index` adds videos/);
  assert.equal(await other.isVisible("#review-found"), false);
});
