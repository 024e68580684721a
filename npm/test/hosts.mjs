// The tarball with bundlers and hosts that are too large for every test run: each is installed from npm into a folder of its own,
// with the package beside it. `node npm/test/hosts.mjs [NAME…]` runs all or some; the package has to be built, and VIDSIEVE_CHROMIUM
// must name Chromium for those of pages.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { ENTRY, html, works } from "./browser/apps.mjs";
import { launch, open, plainly } from "./browser/browser.mjs";
import { installed } from "./native.mjs";

const run = promisify(execFile);
/** Longest time of a command, in milliseconds: a bundler that never ends is a failure. */
const LIMIT = 600_000;
const ready = () => "Encoder" in window;

/** Files by their paths. */
async function write(folder, files) {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(folder, path, ".."), { recursive: true });
    await writeFile(join(folder, path), text);
  }
}

/** The README's example for Node, by a command. */
async function example(folder, command, ...args) {
  const text = await readFile(fileURLToPath(new URL("../README.md", import.meta.url)), "utf8");
  const [, code] = /```js\n([^]*?)```/.exec(text);
  await write(folder, { "example.mjs": code });
  const { stdout } = await run(join(folder, command), [...args, "example.mjs"], { cwd: folder, timeout: LIMIT });
  assert.match(stdout, /^4 frames, \d+ bytes\ncoarse a [\d.]+\nrefined a [\d.]+\n$/);
}

/** A folder of a built application, opened in Chromium. */
async function opens(t, folder) {
  await works(await open(t.browser, await plainly(folder, t), t, undefined, ready));
}

const bin = (folder, name) => join(folder, "node_modules/.bin", name);
const build = (folder, name, ...args) =>
  run(bin(folder, name), args, { cwd: folder, timeout: LIMIT, env: { ...process.env, NEXT_TELEMETRY_DISABLED: "1" } });

/** An application of Next.js that is exported as files. */
async function next(t, folder, ...args) {
  await write(folder, {
    "next.config.mjs": 'export default { output: "export" };',
    "app/layout.js":
      "export default function Layout({ children }) { return <html lang='en'><head><link rel='icon' href='data:,' /></head><body>{children}</body></html>; }",
    "app/page.js": `"use client";
import { useEffect } from "react";
import { Encoder, LocalIndex, loadModel } from "vidsieve";
export default function Page() {
  useEffect(() => void Object.assign(window, { Encoder, LocalIndex, loadModel }), []);
  return <p>app</p>;
}
`,
  });
  await build(folder, "next", "build", ...args);
  await opens(t, join(folder, "out"));
}

const VITE = {
  "app.js": ENTRY,
  "index.html": html(' src="/app.js">'),
  "vite.config.mjs": 'export default { worker: { format: "es" }, optimizeDeps: { exclude: ["vidsieve"] } };',
};

const HOSTS = {
  "node-20": { packages: ["node@20"], check: (_, folder) => example(folder, "node_modules/node/bin/node") },
  "node-22": { packages: ["node@22"], check: (_, folder) => example(folder, "node_modules/node/bin/node") },
  bun: { packages: ["bun@1"], check: (_, folder) => example(folder, "node_modules/.bin/bun", "run") },
  deno: {
    packages: ["deno@2"],
    check: (_, folder) => example(folder, "node_modules/.bin/deno", "run", "--allow-all", "--node-modules-dir=manual"),
  },
  rollup: {
    packages: ["rollup@4", "@rollup/plugin-node-resolve@16"],
    async check(t, folder) {
      await write(folder, {
        "app.js": ENTRY,
        "rollup.config.mjs":
          'import resolve from "@rollup/plugin-node-resolve";\nexport default { input: "app.js", external: ["./media.js"], output: { dir: "out", format: "es" }, plugins: [resolve({ browser: true, exportConditions: ["browser"] })] };',
      });
      // It leaves URLs as they are: what they name lies beside the bundle.
      await cp(join(folder, "node_modules/vidsieve/dist"), join(folder, "out"), { recursive: true });
      await build(folder, "rollup", "--config");
      await write(folder, { "out/index.html": html(' src="app.js">') });
      await opens(t, join(folder, "out"));
    },
  },
  "vite-build": {
    packages: ["vite@8"],
    async check(t, folder) {
      await write(folder, VITE);
      await build(folder, "vite", "build");
      await opens(t, join(folder, "dist"));
    },
  },
  "vite-dev": {
    packages: ["vite@8"],
    async check(t, folder) {
      await write(folder, VITE);
      const server = spawn(bin(folder, "vite"), ["--port", "0", "--host", "127.0.0.1"], { cwd: folder });
      t.after(() => server.kill());
      const url = await new Promise((resolve, reject) => {
        let said = "";
        server.stdout.on("data", (piece) => {
          said += piece.toString().replaceAll(/\u001b\[\d+m/g, "");
          const found = /http:\/\/127\.0\.0\.1:\d+\//.exec(said);
          if (found) resolve(found[0]);
        });
        server.on("exit", () => reject(new Error(said)));
      });
      await works(await open(t.browser, url, t, undefined, ready));
    },
  },
  /** The package within a Worker of the application's own. */
  "vite-worker": {
    packages: ["vite@8"],
    async check(t, folder) {
      await write(folder, {
        ...VITE,
        "app.js":
          'const worker = new Worker(new URL("./own.js", import.meta.url), { type: "module" });\nworker.onmessage = ({ data }) => (window.answer = data);\nworker.onerror = (event) => (window.answer = event.message);',
        "own.js": `import { Encoder } from "vidsieve";
const encoder = await Encoder.load();
const frame = (t) => ({ width: 64, height: 48, data: new Uint8ClampedArray(4 * 64 * 48).map((_, i) => (i * 7 + t * 40) % 256) });
const video = await encoder.encode([0, 1, 2].map(frame));
postMessage({ frames: video.frames, bundle: video.bundle });
`,
      });
      await build(folder, "vite", "build");
      const { page } = await open(
        t.browser,
        await plainly(join(folder, "dist"), t),
        t,
        undefined,
        () => "answer" in window,
      );
      const answer = await page.evaluate(() => window.answer);
      assert.equal(answer.frames, 3, JSON.stringify(answer));
    },
  },
  "next-turbopack": { packages: ["next@16", "react@19", "react-dom@19"], check: (t, folder) => next(t, folder) },
  "next-webpack": {
    packages: ["next@16", "react@19", "react-dom@19"],
    check: (t, folder) => next(t, folder, "--webpack"),
  },
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !HOSTS[name]);
if (unknown.length > 0)
  throw new Error(`no such host: ${unknown.join(", ")}; there are ${Object.keys(HOSTS).join(", ")}`);
let browser = null;
const browserEnds = [];
for (const [name, { packages, check }] of Object.entries(HOSTS)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const ends = [];
  const folder = await mkdtemp(join(tmpdir(), `vidsieve-${name}-`));
  const start = performance.now();
  const seconds = () => `${((performance.now() - start) / 1000).toFixed(0)} s`;
  try {
    await write(folder, { "package.json": '{ "type": "module", "private": true }' });
    await run("npm", ["install", "--no-audit", "--no-fund", ...packages], { cwd: folder, timeout: LIMIT });
    await installed(folder);
    if (!/^(node|bun|deno)/.test(name)) browser ??= await launch({ after: (work) => browserEnds.push(work) });
    await check({ browser, after: (work) => ends.push(work) }, folder);
    console.log(`${name}: works (${seconds()})`);
  } catch (error) {
    process.exitCode = 1;
    console.log(
      `${name}: FAILS (${seconds()})\n${error.killed ? `it did not end within ${LIMIT / 1000} s` : error.stderr || error.stdout || error.stack}`,
    );
  } finally {
    for (const end of ends.reverse()) await end();
    await rm(folder, { recursive: true, force: true });
  }
}
for (const end of browserEnds) await end();
