// A page with the package in the browser that VIDSIEVE_BROWSER names: Chromium, Firefox or WebKitGTK, of Debian.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";
import { chromium } from "playwright-core";

import { firefox } from "./firefox.mjs";
import { named } from "./remote.mjs";
import { webkit } from "./webkit.mjs";

/** The browser that runs the tests: `chromium`, `firefox` or `webkit`. */
export const BROWSER = process.env.VIDSIEVE_BROWSER ?? "chromium";

/** Interfaces that the package uses where a browser has them, and that a browser lacks. The tests hold it to this list. */
const LACKS = {
  chromium: [],
  firefox: ["MediaStreamTrackProcessor"],
  webkit: ["VideoDecoder", "VideoFrame", "MediaStreamTrackProcessor", "MediaStream", "MediaRecorder"],
};

/** Whether the page has an interface, which must be what `LACKS` says. A test that needs it says so and is skipped. */
export async function has(t, page, name) {
  const found = await page.evaluate((name) => typeof window[name] === "function", name);
  assert.equal(found, !LACKS[BROWSER].includes(name), `${BROWSER}: ${name}`);
  if (!found) t.skip(`${BROWSER} has no ${name}`);
  return found;
}

/** Options of a test that a driver other than Playwright's cannot run, or that another browser cannot pass. */
export const onlyChromium = (reason) => (BROWSER === "chromium" ? {} : { skip: `${BROWSER}: ${reason}` });

const dist = fileURLToPath(new URL("../../dist", import.meta.url));

/** A folder with the page: the package bundled by esbuild, its other files beside. */
export async function site(folder) {
  const www = join(folder, "www");
  await mkdir(www);
  await cp(dist, www, { recursive: true });
  await writeFile(
    join(www, "index.html"),
    '<!doctype html><meta charset="utf-8"><title>vidsieve</title><link rel="icon" href="data:,"><script src="complaints.js"></script><script type="module" src="page.js"></script>',
  );
  await cp(fileURLToPath(new URL("complaints.js", import.meta.url)), join(www, "complaints.js"));
  const entryPoints = [fileURLToPath(new URL("page.js", import.meta.url))];
  await esbuild.build({
    entryPoints,
    bundle: true,
    splitting: true,
    format: "esm",
    outdir: www,
    conditions: ["browser"],
    tsconfigRaw: {},
    external: ["./media.js"],
    logLevel: "warning",
  });
  return www;
}

const TYPES = {
  ".html": "text/html",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
  ".mp4": "video/mp4",
  ".webm": "video/webm",
};

/** The first and last byte that a request asks for; null if it asks for all. */
function rangeOf(header, size) {
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(header ?? "") ?? [];
  return from === undefined || Number(from) >= size ? null : [Number(from), Math.min(Number(to || size - 1), size - 1)];
}

/** What isolates a page. */
export const ISOLATED = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

/** The folder on a server that isolates nothing and knows no policy, if it is not told to: any web host. */
export async function plainly(www, cleanup, headers = {}) {
  const server = createServer(async ({ url, headers: { range } }, response) => {
    const path = join(www, url === "/" ? "index.html" : new URL(url, "http://x").pathname);
    try {
      const bytes = await readFile(path);
      const type = { "content-type": TYPES[extname(path)] ?? "application/octet-stream", "accept-ranges": "bytes" };
      // Browsers seek in a <video> by ranges.
      const part = rangeOf(range, bytes.length);
      if (!part) return response.writeHead(200, { ...headers, ...type }).end(bytes);
      const [from, to] = part;
      response
        .writeHead(206, { ...headers, ...type, "content-range": `bytes ${from}-${to}/${bytes.length}` })
        .end(bytes.subarray(from, to + 1));
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanup.after(() => server.close());
  return `http://127.0.0.1:${server.address().port}/`;
}

/** Chromium without a network of its own. */
async function launchChromium(_cleanup, more) {
  const executablePath = named("VIDSIEVE_CHROMIUM", "Chromium", "browser");
  const args = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-blink-features=ForceEagerMeasureMemory",
    ...more,
  ];
  return chromium.launch({ executablePath, args });
}

const LAUNCH = { chromium: launchChromium, firefox, webkit };

/** Starts the browser; `more` are arguments for Chromium. */
export async function launch(cleanup, more = []) {
  const browser = await LAUNCH[BROWSER](cleanup, more);
  cleanup.after(() => browser.close());
  return browser;
}

/** Opens the page; what it complains about fails the test. */
export async function open(browser, url, cleanup, context, ready = () => "vidsieve" in window) {
  const own = context ?? (await browser.newContext());
  if (!context) cleanup.after(() => own.close());
  const page = await own.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  await page.goto(url);
  await page.waitForFunction(ready);
  return { page, problems };
}
