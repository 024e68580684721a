// The tarball in applications that bundlers make, and in pages without one: they run, with their Worker and its module, isolated or
// not. More bundlers and hosts are tried by `node npm/test/hosts.mjs`.
import assert from "node:assert/strict";
import { cp, mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

import * as esbuild from "esbuild";
import webpack from "webpack";

import { folder, installed } from "../native.mjs";
import { ENTRY, html, works } from "./apps.mjs";
import { ISOLATED, launch, open, plainly } from "./browser.mjs";

const cleanups = [];
const suite = { after: (work) => cleanups.push(work) };
const ready = () => "Encoder" in window;
let project, dist, browser, threads;

before(async () => {
  project = await folder(suite);
  await installed(project);
  dist = join(project, "node_modules/vidsieve/dist");
  ({ threads } = JSON.parse(await readFile(join(dist, "contents.json"), "utf8")));
  await writeFile(join(project, "app.js"), ENTRY);
  browser = await launch(suite);
});

after(async () => {
  for (const work of cleanups.reverse()) await work();
});

const BUNDLERS = {
  /** Finds Workers, modules and the model by their URLs. */
  async webpack(to) {
    const stats = await promisify(webpack)({
      mode: "production",
      context: project,
      entry: "./app.js",
      target: "web",
      output: { path: to, filename: "app.js" },
      performance: false,
    });
    assert.deepEqual(stats.toJson({ errors: true, warnings: true }, true).errors, []);
    assert.deepEqual(
      stats.toJson().warnings.map(({ message }) => message),
      [],
    );
  },
  /** Leaves URLs as they are: what they name lies beside the bundle. */
  async esbuild(to) {
    await cp(dist, to, { recursive: true });
    const options = {
      bundle: true,
      splitting: true,
      format: "esm",
      outdir: to,
      conditions: ["browser"],
      logLevel: "warning",
    };
    const { warnings } = await esbuild.build({ ...options, entryPoints: [join(project, "app.js")] });
    assert.deepEqual(warnings, []);
  },
};

for (const [name, bundle] of Object.entries(BUNDLERS)) {
  test(`an application that ${name} bundles`, async (t) => {
    const to = join(project, name);
    await mkdir(to);
    await bundle(to);
    await writeFile(join(to, "index.html"), html(' src="app.js">'));
    for (const headers of [{}, ISOLATED]) {
      const app = await open(browser, await plainly(to, t, headers), t, undefined, ready);
      const count = await works(app);
      // Two entries, a Worker each, and threads where there are some.
      assert.ok(app.page.workers().length >= 2, `${app.page.workers().length} Workers`);
      t.diagnostic(`${name}, ${headers === ISOLATED ? "isolated" : "not isolated"}: ${count} threads`);
    }
  });
}

test("a page without a bundler and without an import map", async (t) => {
  const to = join(project, "plain");
  await cp(dist, join(to, "vidsieve"), { recursive: true });
  await writeFile(
    join(to, "index.html"),
    html('>import * as vidsieve from "./vidsieve/browser.js"; Object.assign(window, vidsieve);'),
  );
  await works(await open(browser, await plainly(to, t), t, undefined, ready));
});

for (const isolated of [false, true]) {
  test(`from another host, as from a CDN${isolated ? ", on an isolated page" : ""}`, async (t) => {
    const shared = { "access-control-allow-origin": "*", "cross-origin-resource-policy": "cross-origin" };
    const cdn = await plainly(
      dist,
      t,
      isolated ? { ...shared, "cross-origin-embedder-policy": "require-corp" } : shared,
    );
    const to = join(project, `cdn-${isolated}`);
    await mkdir(to);
    await writeFile(
      join(to, "index.html"),
      html(`>import * as vidsieve from "${cdn}browser.js"; Object.assign(window, vidsieve);`),
    );
    const app = await open(browser, await plainly(to, t, isolated ? ISOLATED : {}), t, undefined, ready);
    const count = await works(app);
    assert.equal(count > 1, isolated && threads, `${count} threads`);
  });
}

test("no script of the package starts a Worker of itself", async () => {
  // Bundlers that make a bundle for each Worker would go on without end.
  for (const name of (await readdir(dist)).filter((name) => name.endsWith(".js"))) {
    const text = await readFile(join(dist, name), "utf8");
    const started = [...text.matchAll(/new URL\("\.\/([^"]+\.js)",\s*import\.meta\.url\)/g)].map(
      ([, script]) => script,
    );
    const loaded = [...text.matchAll(/import\("\.\/([^"]+\.js)"\)/g)].map(([, script]) => script);
    assert.ok(!started.includes(name) && !loaded.includes(name), `${name} names itself`);
  }
});
