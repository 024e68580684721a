// The package in workerd, the runtime of Cloudflare's Workers.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import * as esbuild from "esbuild";
import { Encoder, compare } from "vidsieve";
import workerd from "workerd";

import { drawn } from "./frames.mjs";
import { folder } from "./native.mjs";

const program = workerd.default;
const root = fileURLToPath(new URL("..", import.meta.url));

/** Takes two records with their lengths in front; answers with the comparison and a search. */
const slim = `
import { LocalIndex, compare, loadModel } from "vidsieve/slim";
import bytes from "model";
let model;
export default {
  async fetch(request) {
    model ??= loadModel({ model: bytes });
    await model;
    const body = new Uint8Array(await request.arrayBuffer());
    const length = new DataView(body.buffer).getUint32(0, true);
    const [a, b] = [body.slice(4, 4 + length), body.slice(4 + length)];
    const index = await LocalIndex.open("edge");
    await index.add("b", b);
    const pages = [];
    for await (const { page, hits } of index.search(a)) pages.push({ page, id: hits[0].id, score: hits[0].score });
    const { score, segments, matrix } = await compare(a, b);
    return Response.json({ score, segments, cells: matrix.values.length, pages });
  },
};`;

/** Encodes the raw frame of its request. */
const full = `
import { Encoder } from "vidsieve";
import bytes from "model";
export default {
  async fetch(request) {
    const encoder = await Encoder.load({ model: bytes });
    const data = new Uint8ClampedArray(await request.arrayBuffer());
    const video = await encoder.encode([{ width: 160, height: data.length / 640, data }]);
    encoder.dispose();
    return new Response(video.toBytes());
  },
};`;

/** Runs a Worker until the test ends. */
async function run(t, contents, module) {
  const path = await folder(t);
  await esbuild.build({
    stdin: { contents, resolveDir: root },
    bundle: true,
    format: "esm",
    outfile: join(path, "worker.js"),
    conditions: ["workerd"],
    tsconfigRaw: {},
    external: ["*.wasm", "model", "./media.js"],
  });
  await mkdir(join(path, "wasm"));
  await cp(join(root, "dist/wasm", module), join(path, "wasm", module));
  await cp(join(root, "dist/model/default.safetensors"), join(path, "model"));
  const port = await new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
  await writeFile(
    join(path, "config.capnp"),
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .worker)],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  modules = [
    (name = "worker.js", esModule = embed "worker.js"),
    (name = "wasm/${module}", wasm = embed "wasm/${module}"),
    (name = "model", data = embed "model"),
  ],
  compatibilityDate = "2026-11-01",
);
`,
  );
  const child = spawn(program, ["serve", join(path, "config.capnp")], { stdio: ["ignore", "inherit", "inherit"] });
  t.after(() => child.kill());
  return async (body) => {
    for (let attempt = 0; ; attempt++) {
      try {
        const response = await fetch(`http://127.0.0.1:${port}/`, { method: "POST", body });
        assert.equal(response.status, 200, await response.clone().text());
        return response;
      } catch (error) {
        if (attempt >= 50 || error instanceof assert.AssertionError) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  };
}

test("the slim entry compares and searches", async (t) => {
  const encoder = await Encoder.load();
  t.after(() => encoder.dispose());
  const frames = drawn(10, 160, 90, 3);
  const [a, b] = [await encoder.encode(frames.slice(2, 8)), await encoder.encode(frames)];
  const ask = await run(t, slim, "slim.wasm");
  const got = await (await ask(new Blob([Uint32Array.of(a.toBytes().length), a.toBytes(), b.toBytes()]))).json();
  const here = await compare(a, b);
  assert.ok(Math.abs(got.score - here.score) < 1e-5);
  assert.deepEqual(
    got.segments.map((s) => [s.query, s.target]),
    here.segments.map((s) => [s.query, s.target]),
  );
  assert.equal(got.cells, 60);
  assert.deepEqual(
    got.pages.map((p) => [p.page, p.id]),
    [
      ["coarse", "b"],
      ["refined", "b"],
    ],
  );
});

test("the full entry encodes", async (t) => {
  const encoder = await Encoder.load();
  t.after(() => encoder.dispose());
  const [frame] = drawn(1, 160, 90, 8);
  const ask = await run(t, full, "full.wasm");
  const got = new Uint8Array(await (await ask(frame.data)).arrayBuffer());
  const here = await encoder.encode([frame]);
  assert.equal(got.length, here.toBytes().length);
  assert.deepEqual(got.subarray(-here.codes.length), here.codes);
});
