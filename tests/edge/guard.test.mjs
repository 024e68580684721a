// What the guard around a module takes for the end of its instance, with a module that fails as it is told to.
import assert from "node:assert/strict";
import test from "node:test";

import { guard } from "../../workers/guard.mjs";

const STREAM = { headers: { "content-type": "application/x-ndjson" } };

function guarded() {
  let made = 0;
  const make = () => {
    made += 1;
  };
  return { ...guard({ initSync: make, __wbg_reset_state: make }, {}), made: () => made };
}

/** Errors after which an instance cannot be used: a trap, memory that cannot grow, a view beyond it, a stack that is too deep. */
const ends = {
  trap: () => new WebAssembly.RuntimeError("unreachable"),
  memory: () => new RangeError("WebAssembly.Memory.grow(): Maximum memory size exceeded"),
  view: () => new RangeError("Invalid typed array length: 4294967295"),
  stack: () => new RangeError("Maximum call stack size exceeded"),
};

for (const [what, error] of Object.entries(ends)) {
  test(`another instance after: ${what}`, async () => {
    const { answer, ready, made } = guarded();
    assert.equal((await answer(async () => new Response("fine"))).status, 200);
    assert.deepEqual([ready(), made()], [1, 1]);
    for (const [number, work] of [
      async () => {
        throw error();
      },
      () => {
        throw error();
      },
    ].entries()) {
      const failed = await answer(work);
      assert.deepEqual([failed.status, failed.headers.get("content-type")], [500, "application/problem+json"]);
      assert.equal((await failed.json()).type, "urn:vidsieve:problem:internal");
      assert.equal(ready(), 2 + number);
    }
    // In the middle of an answer.
    const body = new ReadableStream(
      {
        start: (controller) => controller.enqueue(new TextEncoder().encode('{"page":"coarse"}\n')),
        pull: (controller) => controller.error(error()),
      },
      { highWaterMark: 0 },
    );
    const text = await (await answer(async () => new Response(body, STREAM))).text();
    const last = JSON.parse(text.trim().split("\n").at(-1));
    assert.deepEqual([last.page, last.last, last.problem.status], ["error", true, 500]);
    assert.equal(ready(), 4);
  });

  test(`a module that cannot be made at first: ${what}`, async () => {
    let fails = true;
    const make = () => {
      if (fails) throw error();
    };
    const { answer } = guard({ initSync: make, __wbg_reset_state: make }, {});
    assert.equal((await answer(async () => new Response("fine"))).status, 500);
    fails = false;
    assert.equal((await answer(async () => new Response("fine"))).status, 200);
  });
}

test("who waits is told, and errors of Rust code end nothing", async () => {
  const { answer, ready } = guarded();
  await assert.rejects(
    answer(async () => {
      throw new Error("a result that is an error");
    }),
    /result/,
  );
  assert.equal(ready(), 1);
  const waiting = answer(() => new Promise(() => {}));
  await answer(async () => {
    throw new RangeError("Invalid typed array length: -1");
  });
  assert.equal((await waiting).status, 500);
});
