// What is decided about duplicates, without a page.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";

import * as esbuild from "../../npm/node_modules/esbuild/lib/main.js";

let review;

before(async () => {
  const entryPoints = [fileURLToPath(new URL("../src/dedupe/review.ts", import.meta.url))];
  const { outputFiles } = await esbuild.build({ entryPoints, bundle: true, format: "esm", write: false, logLevel: "warning" });
  review = await import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`);
});

const file = (path, bytes, duration = 10) => ({ path, bytes, duration, width: 320, height: 240, codec: "h264", state: "present", names: [] });
const member = (id, bytes, duration) => ({ id, keep: false, score: 0.95, ...file(`/v/${id}`, bytes, duration) });
const side = (seconds, share) => ({ seconds, share });

function report() {
  return {
    min_score: 0.9,
    clusters: [
      { keep: "a.mp4", reason: "largest picture", videos: [member("a.mp4", 50), member("sub/b.mp4", 10)], pairs: [{ a: "sub/b.mp4", b: "a.mp4", coverage: { query: side(9, 0.9), target: side(9, 0.8) } }] },
      { keep: "c.mp4", reason: "longest", videos: [member("c.mp4", 900, 60), member("d.mp4", 300, 59), member("e.mp4", 200, 58)], pairs: [{ a: "c.mp4", b: "d.mp4", coverage: { query: side(59, 1), target: side(58, 0.98) } }] },
    ],
    unfit: [{ keep: "f.mp4", reason: "file exists", videos: [member("f.mp4", 7), member("g.mp4", 7)], pairs: [] }],
    excerpts: [{ id: "h.mp4", of: "c.mp4", seconds: 5, share: 1, score: 0.99, start: 12, segments: [], ...file("/v/h.mp4", 40, 5) }],
  };
}

test("the most to gain comes first, and excerpts have the file of their holder", () => {
  const items = review.itemsOf(report());
  assert.deepEqual(items.map(({ keep, kind }) => [keep, kind]), [["c.mp4", "copies"], ["a.mp4", "copies"], ["f.mp4", "unfit"], ["c.mp4", "excerpt"]]);
  assert.deepEqual(items.map(review.gain), [500, 10, 0, 0]);
  assert.equal(items[3].members[0].file.bytes, 900);
  assert.equal(new Set(items.map(({ key }) => key)).size, 4);
  // How much the kept one shows of the copy, whichever was the query.
  assert.deepEqual([items[1].shown.get("sub/b.mp4"), items[0].shown.get("d.mp4")], [side(9, 0.9), side(58, 0.98)]);
});

test("what is kept, what stays, what is different", () => {
  const [item] = review.itemsOf(report());
  const states = () => item.members.map(({ id }) => review.stateOf(item, id));
  assert.deepEqual(states(), ["kept", "may go", "may go"]);
  assert.deepEqual(review.planRequest([item], 0.9).groups, [], "nothing is decided yet");
  review.toggle(item, "e.mp4");
  assert.deepEqual([states(), review.gain(item)], [["kept", "may go", "stays"], 300]);
  assert.deepEqual(review.planRequest([item], 0.9), { min_score: 0.9, groups: [{ keep: "c.mp4", go: ["d.mp4"] }] });
  // The one that is kept cannot be let go by itself.
  review.toggle(item, "c.mp4");
  assert.equal(states()[0], "kept");
  review.keep(item, "e.mp4");
  assert.deepEqual([states(), review.gain(item)], [["may go", "may go", "kept"], 1200]);
  item.different.set("d.mp4", "e.mp4");
  assert.deepEqual(review.planRequest([item], 0.9).groups, [{ keep: "e.mp4", go: ["c.mp4"] }]);
  item.reviewed = true;
  assert.deepEqual([review.planRequest([item], 0.9).groups, review.gain(item)], [[], 0]);
});

test("excerpts and groups without a sound file are in no plan", () => {
  const items = review.itemsOf(report()).slice(2);
  assert.deepEqual(items.map(({ members, ...item }) => members.map(({ id }) => review.stateOf({ members, ...item }, id))), [["stays", "stays"], ["stays", "stays"]]);
  assert.deepEqual(items.map((item) => review.subject(item).id), ["f.mp4", "h.mp4"]);
  for (const item of items) review.keep(item, item.members[1].id);
  assert.deepEqual(review.planRequest(items, 0.9).groups, []);
});

test("files that no plan acts on stay, and some cannot be kept", () => {
  const states = (facts) => {
    const [item] = review.itemsOf(report());
    Object.assign(item.members[1].file, facts);
    return [review.stateOf(item, "d.mp4"), review.whyNotKept(item.members[1]) === null];
  };
  assert.deepEqual(states({}), ["may go", true]);
  for (const facts of [{ state: "gone" }, { state: "changed" }, { state: "unreadable" }, { state: "none" }, { is_link: true }, { in_bin: true }]) {
    assert.deepEqual(states(facts), ["stays", false], JSON.stringify(facts));
  }
  assert.deepEqual(states({ protected: true }), ["stays", true]);
  assert.deepEqual(states({ damage: "cut off" }), ["may go", false]);
});

test("filters", () => {
  const items = review.itemsOf(report());
  const shown = (filter) => items.filter((item) => review.matches(item, { ...review.ALL, ...filter })).map(({ kind, keep }) => `${kind} ${keep}`);
  assert.equal(shown({}).length, 4);
  assert.deepEqual(shown({ bytes: 11 }), ["copies c.mp4"]);
  assert.deepEqual(shown({ seconds: [20, Infinity] }), ["copies c.mp4"]);
  // Of an excerpt its own length counts.
  assert.deepEqual(shown({ seconds: [0, 6] }), ["excerpt c.mp4"]);
  assert.deepEqual(shown({ folder: " /V/SUB" }), ["copies a.mp4"]);
  assert.deepEqual(shown({ kind: "unfit" }), ["unfit f.mp4"]);
  assert.deepEqual(review.foldersOf(items), ["/v", "/v/sub"]);
});

test("names and folders", () => {
  assert.deepEqual(["a", "b/a", "c\\a", ""].map(review.nameOf), ["a", "a", "a", ""]);
  const folder = (id, path) => review.folderOf({ id, file: path === undefined ? null : file(path, 1) });
  assert.deepEqual([folder("b/a"), folder("a"), folder("a", "/a"), folder("a", "/x/y/a")], ["b", "", "/", "/x/y"]);
});

test("both videos are at the same footage", () => {
  const match = { left: [10, 20], right: [100, 105] };
  assert.equal(review.rateOf(match), 0.5);
  assert.deepEqual([10, 15, 0, 30].map((time) => review.counterpart(match, time)), [100, 102.5, 95, 110]);
  const point = { left: [3, 3], right: [5, 5] };
  assert.deepEqual([review.rateOf(point), review.counterpart(point, 4)], [1, 6]);
  assert.equal(review.rateOf({ left: [0, 1], right: [0, 100] }), 4);
});
