// Accessibility of the page in every state, by axe-core: at two widths, in light and in dark colours.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { serve } from "../../npm/test/native.mjs";
import { launch } from "../../npm/test/browser/browser.mjs";
import { clips, foreign, visit } from "./pages.mjs";

const cleanups = [];
const suite = { after: (work) => cleanups.push(work) };
const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
let browser, videos, url;

before(async () => {
  const made = await clips(suite);
  videos = made.videos;
  url = await serve(suite, made.index, "--www", fileURLToPath(new URL("../dist", import.meta.url)), "--media", videos);
  browser = await launch(suite);
});

after(async () => {
  for (const work of cleanups.reverse()) await work();
});

const clip = (name) => join(videos, name);
const NOTES = { name: "notes.mp4", mimeType: "video/mp4", buffer: Buffer.from("these are notes") };

/** Opens the page with axe-core; `check` runs it on the present state, in both colour schemes. */
async function audited(t, width, address) {
  const opened = await visit(t, browser, "about:blank", { viewport: { width, height: 900 }, reducedMotion: "reduce" });
  const { context, page } = opened;
  await context.addInitScript({ path: axe });
  await page.goto(address);
  let [runs, took] = [0, 0];
  const check = async (state) => {
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      const start = Date.now();
      const violations = await page.evaluate(async () => {
        // Every rule, the size of targets too; nothing is loaded.
        const options = { resultTypes: ["violations"], rules: { "target-size": { enabled: true } }, preload: false };
        const found = await window.axe.run(document, options);
        return found.violations.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.map(({ html, failureSummary }) => `${html}: ${failureSummary}`) }));
      });
      runs++;
      took += Date.now() - start;
      assert.deepEqual(violations, [], `${state}, ${width} pixels wide, ${colorScheme}`);
    }
  };
  t.after(() => t.diagnostic(`${runs} runs of axe-core in ${took} ms`));
  return { ...opened, check };
}

for (const width of [390, 1280]) {
  test(`searching, ${width} pixels wide`, { timeout: 120_000 }, async (t) => {
    const { page, complaints, asked, check } = await audited(t, width, url);
    await page.waitForSelector("#place-server:checked");
    await page.waitForSelector("#sample-list button");
    await check("empty");

    await page.setInputFiles("#file", NOTES);
    await page.waitForSelector("#error:not([hidden])");
    await check("a file that is no video");

    await page.setInputFiles("#file", clip("copies/film-small.mp4"));
    await page.waitForSelector("#found[data-page=refined] .hit", { timeout: 30_000 });
    if (await page.isVisible("#unsure")) await page.click("#unsure summary");
    await check("hits");

    await page.click(".hit");
    await page.waitForSelector("#detail:not([hidden])");
    await check("why they match");

    await page.reload();
    await page.waitForSelector("#place-server:checked");
    const chosen = ["copies/film-tiny.mp4", "fractal.mp4", "fractal-part.mp4", "film.mp4"];
    const files = await Promise.all(chosen.map(async (name) => ({ name: basename(name), mimeType: "video/mp4", buffer: await readFile(clip(name)) })));
    await page.setInputFiles("#file", [...files, NOTES]);
    await page.waitForSelector(".queue li[data-state=done]", { timeout: 30_000 });
    await page.click("#queue-pause");
    await check("a queue that is paused");
    await page.click("#queue-pause");
    await page.waitForFunction(() => document.querySelector("#queue-label").textContent === "Done", null, { timeout: 60_000 });
    assert.equal(await page.isVisible("#duplicates"), true);
    await page.check(".queue input >> nth=0");
    await check("a queue that is done, and the copies in it");

    await page.click("#queue-keep");
    await page.waitForFunction(() => document.querySelector("#archive-count").textContent === "(4)");
    await page.click("#archive summary");
    await page.waitForSelector("#archive-list li");
    await check("the archive");
    await page.click("#archive-clear");
    await page.waitForSelector("#sure[open]");
    await check("the question before the archive is cleared");
    await page.click("#sure button[value=yes]");
    await page.waitForFunction(() => document.querySelector("#archive-count").textContent === "(0)");
    await check("an archive that is empty");
    assert.deepEqual(foreign(asked, url), []);
    assert.deepEqual(complaints, []);
  });

  test(`the view of duplicates, ${width} pixels wide`, { timeout: 120_000 }, async (t) => {
    const { page, complaints, asked, check } = await audited(t, width, `${url}/#duplicates`);
    await page.waitForSelector("#views:not([hidden])");
    await check("before duplicates are found");
    await page.click("#review-find");
    await page.waitForSelector(".item", { timeout: 60_000 });
    if (!(await page.isVisible("#review-help ul"))) await page.click("#review-help summary");
    await check("groups");
    await page.click(".item .head");
    await page.waitForSelector(".matches button");
    // Pictures are drawn when they come into view; of one there is none.
    await page.$eval(".members li[data-id='copies/film.avi']", (row) => row.scrollIntoView());
    await page.waitForSelector(".members .thumbnail.none");
    await check("a group that is open");
    await page.click("[aria-label='Keep film-small.mp4']");
    await page.waitForFunction(() => /Decided/.test(document.querySelector(".item .state").textContent));
    await check("a group that is decided");
    await page.click("#review-write");
    await page.waitForSelector("#review-plan:not([hidden])");
    await check("a plan that was written");
    await page.fill("#review-least", "100");
    await page.waitForSelector("#review-none:not([hidden])");
    await check("no entry passes the filters");
    assert.deepEqual(foreign(asked, url), []);
    assert.deepEqual(complaints, []);
  });
}
