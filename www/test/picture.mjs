// Records the README's picture: the page finds a cropped clip and shows why it matches. `cargo xtask picture` runs it.
import { execFileSync } from "node:child_process";
import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { launch } from "../../npm/test/browser/browser.mjs";
import { folder, samples, serve } from "../../npm/test/native.mjs";

const [out = "docs/page.webp"] = process.argv.slice(2);
const SIZE = { width: 760, height: 560 };
/** Milliseconds between two pictures of something that moves. */
const STEP = 100;
/** Maximum size of the file in bytes. */
const LIMIT = 1_500_000;

const cleanups = [];
const suite = { after: (work) => cleanups.push(work) };

/** Pictures with the milliseconds that each is shown. */
const shots = [];

/** Takes a picture that is shown for some time. */
async function hold(page, milliseconds) {
  shots.push({ png: await page.screenshot(), milliseconds });
}

/** Takes pictures until work is done, in real time. */
async function follow(page, work) {
  let done = false;
  const end = work.finally(() => (done = true));
  while (!done) {
    const start = performance.now();
    const png = await page.screenshot();
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, STEP - (performance.now() - start))));
    shots.push({ png, milliseconds: performance.now() - start });
  }
  await end;
}

/** Scrolls to an element in a few steps, so that it stands below the top. */
async function scrollTo(page, selector) {
  const target = await page.$eval(selector, (element) => scrollY + element.getBoundingClientRect().top - 16);
  const from = await page.evaluate(() => scrollY);
  for (let i = 1; i <= 5; i++) {
    await page.evaluate((y) => scrollTo(0, y), from + ((target - from) * i) / 5);
    await hold(page, STEP / 2);
  }
}

/** Shows a pointer at an element, then clicks it. */
async function click(page, selector) {
  const box = await page.locator(selector).first().boundingBox();
  await page.evaluate(
    ([x, y]) => {
      const pointer = Object.assign(document.createElement("div"), { id: "pointer" });
      pointer.style.cssText = `position:fixed;left:${x - 11}px;top:${y - 11}px;width:22px;height:22px;border-radius:50%;background:#fffa;border:2px solid #000a;z-index:9`;
      document.body.append(pointer);
    },
    [box.x + Math.min(box.width / 2, 240), box.y + box.height / 2],
  );
  await hold(page, 600);
  await page.evaluate(() => document.querySelector("#pointer").remove());
  await page.locator(selector).first().click();
}

async function record() {
  const native = await samples(suite);
  const www = fileURLToPath(new URL("../dist", import.meta.url));
  const url = await serve(suite, native.index, "--www", www, "--media", native.videos);
  const browser = await launch(suite);
  const context = await browser.newContext({ viewport: SIZE, colorScheme: "dark" });
  const page = await context.newPage();
  await page.goto(url);
  await page.waitForSelector("#sample-list button");
  await hold(page, 1200);
  await page.setInputFiles("#file", join(native.videos, "copies/amber-crop.mp4"));
  await page.waitForSelector("#work:not([hidden])");
  await scrollTo(page, "#work");
  await follow(page, page.waitForSelector("#found[data-page=refined] .hit", { timeout: 30_000 }));
  await scrollTo(page, "#work");
  await hold(page, 1800);
  await click(page, ".hit:has-text('originals/amber.mp4')");
  await page.waitForSelector("#detail:not([hidden])");
  await page.waitForFunction(() => ["#left", "#right"].every((id) => document.querySelector(id).readyState >= 2));
  await scrollTo(page, "#detail");
  await hold(page, 1200);
  await click(page, "#segments button");
  await follow(page, new Promise((resolve) => setTimeout(resolve, 2000)));
  await page.$eval("#left", (video) => video.pause());
  await scrollTo(page, ".map");
  await hold(page, 2500);
}

try {
  await record();
  const work = await folder(suite);
  const list = ["ffconcat version 1.0"];
  for (const [i, { png, milliseconds }] of shots.entries()) {
    await writeFile(join(work, `${i}.png`), png);
    list.push(`file ${i}.png`, `duration ${(milliseconds / 1000).toFixed(3)}`);
  }
  list.push(`file ${shots.length - 1}.png`);
  await writeFile(join(work, "list"), `${list.join("\n")}\n`);
  const input = ["-f", "concat", "-safe", "0", "-i", join(work, "list")];
  const coder = ["-c:v", "libwebp_anim", "-quality", "70", "-compression_level", "6", "-loop", "0"];
  execFileSync("ffmpeg", ["-v", "error", "-y", ...input, "-fps_mode", "vfr", ...coder, out], { stdio: "inherit" });
  const { size } = await stat(out);
  if (size > LIMIT) throw new Error(`${out} has ${size} bytes, more than ${LIMIT}`);
  console.log(`${out}: ${shots.length} pictures, ${size} bytes`);
} finally {
  for (const work of cleanups.reverse()) await work();
}
