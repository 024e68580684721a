// How the encoding of a file is shared, and when its file is opened and closed. The Workers here
// record their calls and describe nothing; the records of real ones are compared in
// browser/parallel.test.mjs.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as esbuild from "esbuild";

/** A module of src/, with `media` in the place of sources/media.ts. */
async function module(path, media = "") {
  const given = {
    name: "given",
    setup(build) {
      build.onResolve({ filter: /\/media\.js$/ }, () => ({ path: "media", namespace: "given" }));
      build.onLoad({ filter: /.*/, namespace: "given" }, () => ({ contents: media }));
    },
  };
  const entry = new URL(`../src/${path}`, import.meta.url).pathname;
  const built = await esbuild.build({
    entryPoints: [entry],
    bundle: true,
    format: "esm",
    write: false,
    plugins: [given],
  });
  return import(`data:text/javascript;base64,${Buffer.from(built.outputFiles[0].text).toString("base64")}`);
}

const { encodeFile } = await module("api/encode-file.ts");
const { OpenFiles } = await module(
  "engine/open-files.ts",
  "export const frames = async (file, fps) => ({ fps, file, open: true, close() { this.open = false; } });",
);

/**
 * Workers that record their calls. A range takes a turn of the event loop; `answer` may give its
 * result or fail.
 */
function workers(count, answer = () => undefined, opened = []) {
  const calls = [];
  const open = new Set();
  const make = (name) => ({
    async call(method, args, { signal, onEvent } = {}) {
      calls.push({ name, method, ...args });
      if (method === "openFile") return (open.add(name), { count, duration: count, fps: 1, warnings: opened });
      if (method === "closeFile") return void open.delete(name);
      if (method === "join") return args;
      assert.ok(open.has(name), `${name} reads a file that it has not opened`);
      await new Promise(setImmediate);
      signal?.throwIfAborted();
      if (method === "encodeFile") return { whole: true };
      onEvent({ phase: "encode", done: Math.min(args.to, count) - args.from });
      return answer(name, args) ?? { part: args.from, times: [args.from], warnings: [], ended: false };
    },
    helpers: (more) => Array.from({ length: more }, (_, i) => make(`helper ${i + 1}`)),
    close: () => open.delete(name),
  });
  return { backend: make("first"), calls, open };
}

const job = { model: "m", file: new Blob(["x"]), fps: "auto", maxFrames: 10_000, workers: 3 };
const quiet = { signal: undefined, onProgress: undefined };
const of = (calls, method) => calls.filter((call) => call.method === method);

test("a long file is opened once by each Worker, and its ranges are joined in order", async () => {
  const { backend, calls, open } = workers(310);
  const steps = [];
  const joined = await encodeFile(backend, job, {
    ...quiet,
    onProgress: ({ done, total }) => steps.push([done, total]),
  });
  assert.deepEqual(
    of(calls, "openFile")
      .map(({ name }) => name)
      .sort(),
    ["first", "helper 1", "helper 2"],
  );
  // The first Worker finds the rate; the others need not.
  assert.deepEqual(
    of(calls, "openFile").map(({ fps }) => fps),
    ["auto", 1, 1],
  );
  assert.equal(new Set(of(calls, "encodeRange").map(({ name }) => name)).size, 3);
  assert.deepEqual(joined.parts, [0, 60, 120, 180, 240, 300]);
  assert.deepEqual([...joined.times], joined.parts);
  assert.deepEqual(steps.at(-1), [310, 310]);
  assert.deepEqual([...open], []);
});

test("a file that is short, would be cut, or has one Worker is not shared", async () => {
  for (const [count, options] of [
    [60, {}],
    [9_990, {}],
    [310, { workers: 1 }],
  ]) {
    const { backend, calls, open } = workers(count);
    assert.deepEqual(await encodeFile(backend, { ...job, ...options }, quiet), { whole: true });
    assert.deepEqual(
      calls.map(({ method }) => method),
      ["openFile", "encodeFile", "closeFile"],
    );
    assert.deepEqual([...open], []);
  }
});

test("the video ends with the first range that damage ends; places in between only warn", async () => {
  const damaged = (_, { from }) => {
    if (from === 60) return { part: from, times: [from], warnings: ["damaged in places"], ended: false };
    return from === 180
      ? { part: from, times: [from], warnings: ["damaged in places", "damaged"], ended: true }
      : undefined;
  };
  const { backend } = workers(310, damaged, ["cut off"]);
  const { parts, warnings } = await encodeFile(backend, job, quiet);
  assert.deepEqual(parts, [0, 60, 120, 180]);
  assert.deepEqual(warnings, ["cut off", "damaged in places", "damaged"]);
});

test("a failure or an abort ends all Workers and closes the file", async () => {
  const failing = workers(3000, (_, { from }) => {
    if (from === 120) throw new Error("out of memory");
  });
  await assert.rejects(encodeFile(failing.backend, job, quiet), { message: "out of memory" });
  await new Promise(setImmediate);
  const ranges = of(failing.calls, "encodeRange").length;
  assert.ok(ranges < 10, `${ranges} ranges were begun`);
  assert.deepEqual([...failing.open], []);

  const controller = new AbortController();
  const aborted = workers(3000);
  const onProgress = ({ done }) => done >= 120 && controller.abort();
  await assert.rejects(encodeFile(aborted.backend, job, { signal: controller.signal, onProgress }), {
    name: "AbortError",
  });
  assert.deepEqual([...aborted.open], []);
});

test("an open file is closed after the calls that read it", async () => {
  const files = new OpenFiles();
  const reader = await files.open(7, "a", 2, new AbortController().signal);
  assert.deepEqual([reader.file, reader.fps], ["a", 2]);
  await files.read(7, async (same) => {
    assert.equal(same, reader);
    files.close(7);
    assert.equal(reader.open, true);
    await assert.rejects(
      files.read(7, async () => {}),
      { code: "disposed" },
    );
  });
  assert.equal(reader.open, false);
  await files.open(8, "b", 1, new AbortController().signal);
  await assert.rejects(
    files.read(8, async () => {
      throw new Error("damaged");
    }),
    { message: "damaged" },
  );
  const still = await files.read(8, async (b) => b);
  assert.equal(still.open, true);
  files.close(8);
  files.close(8);
  assert.equal(still.open, false);
});
