// A page with the package, served by the native command, in Debian's Chromium.
import { createServer } from "node:http";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";
import { chromium } from "playwright-core";

const dist = fileURLToPath(new URL("../../dist", import.meta.url));

/** A folder with the page: the package bundled by esbuild, its other files beside. */
export async function site(folder) {
  const www = join(folder, "www");
  await mkdir(www);
  await cp(dist, www, { recursive: true });
  await writeFile(
    join(www, "index.html"),
    '<!doctype html><meta charset="utf-8"><title>vidsieve</title><link rel="icon" href="data:,"><script type="module" src="page.js"></script>',
  );
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
};

/** What isolates a page. */
export const ISOLATED = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

/** The folder on a server that isolates nothing and knows no policy, if it is not told to: any web host. */
export async function plainly(www, cleanup, headers = {}) {
  const server = createServer(async ({ url }, response) => {
    const path = join(www, url === "/" ? "index.html" : new URL(url, "http://x").pathname);
    try {
      const bytes = await readFile(path);
      response
        .writeHead(200, { ...headers, "content-type": TYPES[extname(path)] ?? "application/octet-stream" })
        .end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanup.after(() => server.close());
  return `http://127.0.0.1:${server.address().port}/`;
}

/** Chromium without a network of its own. */
export async function launch(cleanup, more = []) {
  const executablePath = process.env.VIDSIEVE_CHROMIUM;
  if (!executablePath) throw new Error("VIDSIEVE_CHROMIUM must name Chromium: run `cargo xtask test --only browser`");
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
  const browser = await chromium.launch({ executablePath, args });
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
