/** Shows why two videos match: both side by side, the matching parts, the matrix of their frames. */

import { compare, describe, type ComparisonWithMatrix, type CoverageSide, type EncodedVideo, type Hit, type Segment, type SimilarityMatrix } from "vidsieve";

import { byId, make } from "./dom.js";
import { clock, percent } from "./text.js";

/** A video, with its URL if it can be played. */
export interface Playable {
  name: string;
  video: EncodedVideo;
  /** URL of the video file, if it is available. */
  url: string | null;
}

const section = byId("section", "detail");
const left = byId("video", "left");
const right = byId("video", "right");
const canvas = byId("canvas", "map");

/** The part that is playing. */
let playing: Segment | null = null;

/** Returns the time in the second video for a time in the first. */
function counterpart(segment: Segment, time: number): number {
  const [a, b] = segment.query;
  const [c, d] = segment.target;
  return c + ((time - a) / Math.max(b - a, 1e-6)) * (d - c);
}

left.addEventListener("timeupdate", () => {
  if (!playing) return;
  if (left.currentTime >= playing.query[1]) {
    left.pause();
    right.pause();
    return;
  }
  const due = counterpart(playing, left.currentTime);
  if (right.readyState > 0 && Math.abs(right.currentTime - due) > 0.2) right.currentTime = due;
});
left.addEventListener("pause", () => playing && right.pause());
left.addEventListener("play", () => {
  if (playing) right.play().catch(() => {});
});

function play(segment: Segment): void {
  playing = segment;
  left.currentTime = segment.query[0];
  right.currentTime = segment.target[0];
  const [a, b] = segment.query;
  const [c, d] = segment.target;
  right.playbackRate = Math.min(4, Math.max(0.25, (d - c) / Math.max(b - a, 1e-6)));
  for (const video of [left, right]) video.play().catch(() => {});
}

function show(video: HTMLVideoElement, caption: string, playable: Playable): void {
  const label = byId("figcaption", caption);
  label.textContent = playable.url ? playable.name : `${playable.name} - the video itself is not here`;
  video.hidden = !playable.url;
  video.playbackRate = 1;
  if (playable.url) video.src = playable.url;
  else video.removeAttribute("src");
  video.onerror = () => {
    video.hidden = true;
    // A file of the user's is there, but browsers play no GIF in a <video>, for example.
    const why = playable.url?.startsWith("blob:") ? "this browser cannot play it" : "the video itself is not here";
    label.textContent = `${playable.name} - ${why}`;
  };
}

/** Draws the matrix, large enough for thin lines, and the aligned frames on it. */
function draw(matrix: SimilarityMatrix, paths: [number, number][][]): void {
  const side = Math.max(1, Math.round(900 / Math.max(matrix.width, matrix.height)));
  canvas.width = matrix.width * side;
  canvas.height = matrix.height * side;
  const context = canvas.getContext("2d");
  if (!context) return;
  const small = new OffscreenCanvas(matrix.width, matrix.height);
  small.getContext("2d")?.putImageData(matrix.image, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  const at = (frame: number) => ((frame + 0.5) / matrix.stride) * side;
  for (const [width, colour] of [[7, "#000"], [3, "#fff"]] as const) {
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.lineCap = context.lineJoin = "round";
    for (const path of paths) {
      context.beginPath();
      for (const [a, b] of path) context.lineTo(at(b), at(a));
      if (path.length === 1) context.lineTo(at(path[0]?.[1] ?? 0) + 0.1, at(path[0]?.[0] ?? 0));
      context.stroke();
    }
  }
}

const matching = ({ seconds, share }: CoverageSide): string => `${seconds.toFixed(1)} s, ${percent(share)}`;

/** Shows the numbers of a pair; `hit` is null if no search found it. */
function numbers(hit: Hit | null, pair: ComparisonWithMatrix): void {
  const { score, coverage } = pair;
  const rows: [string, string][] = [
    ["Relation", describe(pair)],
    [hit ? "Of your video" : "Of the first video", matching(coverage.query)],
    [hit ? "Of the video that was found" : "Of the second video", matching(coverage.target)],
    ["Score", percent(score)],
    ["Score of one vector each", percent(hit?.coarse ?? pair.coarse)],
    ["Score frame by frame", hit?.fine === null ? "not compared by the search" : percent(hit?.fine ?? pair.fine)],
  ];
  if (hit && hit.doubt !== null) rows.push(["Doubt of the vectors", `${percent(hit.doubt)}${hit.fine === null ? "" : ", settled by comparing the frames"}`]);
  if (hit?.explain) {
    rows.push(["Place by the vectors", String(hit.explain.coarse_rank)]);
    rows.push(["Selected for comparing", hit.explain.selected ? "yes: within the budget" : "no: the budget went to pairs with a higher doubt"]);
    rows.push(["Cosine of the vectors", hit.explain.coarse_cosine.toFixed(3)]);
  }
  byId("dl", "numbers").replaceChildren(...rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

/** Shows why two videos match; `hit` is the result of the search that found the pair, or null. */
export async function detail(query: Playable, target: Playable, hit: Hit | null, signal: AbortSignal): Promise<void> {
  const pair = await compare(query.video, target.video, { signal });
  const { segments, paths, matrix } = pair;
  playing = null;
  section.hidden = false;
  show(left, "left-name", query);
  show(right, "right-name", target);
  byId("p", "relation").textContent = describe(pair);
  const buttons = segments.map((segment) => {
    const [[a, b], [c, d]] = [segment.query, segment.target];
    const button = make("button", { type: "button", className: "quiet" }, `▶ ${clock(a)}–${clock(b)} is ${clock(c)}–${clock(d)}`);
    button.addEventListener("click", () => play(segment));
    return button;
  });
  byId("div", "segments").replaceChildren(...(buttons.length ? buttons : [make("p", { className: "dim" }, "No part of the two matches clearly.")]));
  draw(matrix, paths);
  const parts = segments.map(({ query: [a, b], target: [c, d] }) => `${clock(a)} to ${clock(b)} matches ${clock(c)} to ${clock(d)}`);
  canvas.setAttribute("aria-label", `Frame similarities of ${query.name} and ${target.name}. ${parts.join("; ") || "No matching part"}.`);
  canvas.onclick = ({ offsetX, offsetY }) => {
    // The picture keeps its proportions within the element.
    const scale = Math.min(canvas.clientWidth / canvas.width, canvas.clientHeight / canvas.height);
    const [x, y] = [offsetX - (canvas.clientWidth - canvas.width * scale) / 2, offsetY - (canvas.clientHeight - canvas.height * scale) / 2];
    const cell = (canvas.width / matrix.width) * scale;
    playing = null;
    left.currentTime = query.video.times[Math.floor(y / cell) * matrix.stride] ?? 0;
    right.currentTime = target.video.times[Math.floor(x / cell) * matrix.stride] ?? 0;
  };
  numbers(hit, pair);
  section.focus({ preventScroll: true });
  section.scrollIntoView({ block: "start" });
}

/** Hides the comparison. */
export function hideDetail(): void {
  playing = null;
  section.hidden = true;
  for (const video of [left, right]) {
    video.pause();
    video.removeAttribute("src");
  }
}
