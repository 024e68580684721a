// The default bundle in the page against onnxruntime-web, one thread each, interleaved in one page of Chromium: the backbone alone on the
// same normalised frames, its results checked, and the whole encoder beside it. `cargo xtask bench-web` builds what it needs and runs it.
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { launch, open, plainly, site } from "../test/browser/browser.mjs";
import { onnx, tensors } from "./model.mjs";

const runs = Number(process.argv[2] ?? 5);
const rounds = Number(process.argv[3] ?? 15);
const frames = 8;
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** One page: rounds in which everything comes by turns. Milliseconds for all frames, by name, of every round. */
async function measure({ rounds, frames }) {
  const ort = await import("/ort/ort.wasm.min.mjs");
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = "/ort/";
  const session = await ort.InferenceSession.create("/backbone.onnx", {
    executionProviders: ["wasm"],
    graphOptimizationLevel: "all",
  });
  const glue = await import("/bench/vidsieve.js");
  await glue.default({ module_or_path: "/bench/vidsieve_bg.wasm" });
  const sides = [112, 224];
  const bundle = new Uint8Array(await (await fetch("/model/default.safetensors")).arrayBuffer());
  const backbone = new glue.Backbone(new glue.Model("default", bundle), sides);
  vidsieve.configure({ worker: false });
  const encoder = await vidsieve.Encoder.load();

  const noise = (n) => Uint8ClampedArray.from({ length: n }, () => Math.random() * 256);
  const images = Array.from({ length: frames }, () => new ImageData(noise(4 * 448 * 252), 448, 252));
  const pixels = sides.map((side) =>
    Float32Array.from({ length: frames * 3 * side * side }, () => Math.random() * 4 - 2),
  );
  const one = (i, at) => pixels[i].subarray((at * pixels[i].length) / frames, ((at + 1) * pixels[i].length) / frames);
  const tensor = (data, side) => new ort.Tensor("float32", data, [data.length / (3 * side * side), 3, side, side]);

  // The same maps, to rounding.
  let difference = 0;
  for (const [i, side] of sides.entries()) {
    const mine = backbone.run(pixels[i], frames, side);
    const answer = await session.run({ x: tensor(pixels[i], side) });
    let at = 0;
    for (const name of session.outputNames) {
      const { data } = answer[name];
      const largest = data.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
      for (const value of data) difference = Math.max(difference, Math.abs(value - mine[at++]) / largest);
    }
    if (at !== mine.length) throw new Error(`${mine.length} values where onnxruntime-web has ${at}`);
  }

  const work = {
    backbone: () => {
      for (let at = 0; at < frames; at++) sides.forEach((side, i) => backbone.run(one(i, at), 1, side));
    },
    backboneBatch: () => sides.forEach((side, i) => backbone.run(pixels[i], frames, side)),
    onnxruntime: async () => {
      for (let at = 0; at < frames; at++)
        for (const [i, side] of sides.entries()) await session.run({ x: tensor(one(i, at), side) });
    },
    onnxruntimeBatch: async () => {
      for (const [i, side] of sides.entries()) await session.run({ x: tensor(pixels[i], side) });
    },
    encoder: () => encoder.encode(images),
  };
  const times = Object.fromEntries(Object.keys(work).map((name) => [name, []]));
  for (let round = -3; round < rounds; round++) {
    for (const [name, run] of Object.entries(work)) {
      const start = performance.now();
      await run();
      if (round >= 0) times[name].push(performance.now() - start);
    }
  }
  const operations = 2 * backbone.multiplyAdds.reduce((a, b) => a + b, 0);
  return { times, difference, operations, instructions: glue.instructionSet() };
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const cleanups = [];
const cleanup = { after: (work) => cleanups.push(work) };
try {
  const folder = await mkdtemp(join(tmpdir(), "vidsieve-bench-"));
  cleanup.after(() => rm(folder, { recursive: true, force: true }));
  const www = await site(folder);
  const require = createRequire(
    process.env.ONNXRUNTIME_WEB ? join(process.env.ONNXRUNTIME_WEB, "x.js") : import.meta.url,
  );
  await cp(dirname(require.resolve("onnxruntime-web")), join(www, "ort"), { recursive: true });
  await cp(here("../build/bench"), join(www, "bench"), { recursive: true });
  await writeFile(
    join(www, "backbone.onnx"),
    onnx(tensors(await readFile(here("../../models/default.safetensors"))), 3),
  );
  const browser = await launch(cleanup);
  const url = await plainly(www, cleanup);
  for (let run = 0; run < runs; run++) {
    const { page } = await open(browser, url, cleanup);
    const { times, difference, operations, instructions } = await page.evaluate(measure, { rounds, frames });
    await page.close();
    const each = Object.fromEntries(Object.entries(times).map(([name, values]) => [name, median(values) / frames]));
    const rounded = Object.fromEntries(Object.entries(each).map(([name, ms]) => [name, Number(ms.toFixed(3))]));
    console.log(
      JSON.stringify({
        run,
        browser: browser.version(),
        instructions,
        rounds,
        largest_relative_difference: difference,
        ms_a_frame: rounded,
        gflop_a_frame: operations / 1e9,
        ratio: Number(
          (Math.min(each.onnxruntime, each.onnxruntimeBatch) / Math.min(each.backbone, each.backboneBatch)).toFixed(3),
        ),
        ratio_one_by_one: Number((each.onnxruntime / each.backbone).toFixed(3)),
      }),
    );
    if (difference > 1e-4) throw new Error("the two engines do not agree");
  }
} finally {
  for (const work of cleanups.reverse()) await work();
}
