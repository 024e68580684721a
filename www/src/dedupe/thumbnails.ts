/** Pictures of the server's videos, drawn when they come into view, two at a time. */

import { make } from "../dom.js";
import { mediaOf, whyNot } from "../media.js";
import { clock } from "../text.js";

/** Pictures that are drawn at the same time. */
const AT_ONCE = 2;
/** Longest time for a picture, in milliseconds. */
const LONGEST = 15_000;

interface Job {
  canvas: HTMLCanvasElement;
  id: string;
  at: number;
  codec: string | null;
}

const jobs = new WeakMap<Element, Job>();
const waiting: Job[] = [];
let running = 0;

const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    const job = jobs.get(target);
    if (!isIntersecting || !job) continue;
    seen.unobserve(target);
    waiting.push(job);
  }
  next();
});

function next(): void {
  while (running < AT_ONCE) {
    const job = waiting.shift();
    if (!job) return;
    // It was taken off the page meanwhile.
    if (!job.canvas.isConnected) continue;
    running++;
    void draw(job).finally(() => {
      running--;
      next();
    });
  }
}

async function draw({ canvas, id, at, codec }: Job): Promise<void> {
  const video = make("video", { muted: true, preload: "auto", playsInline: true });
  try {
    await new Promise<void>((resolve, reject) => {
      setTimeout(() => reject(new Error("late")), LONGEST);
      video.onerror = () => reject(new Error("unreadable"));
      video.onloadedmetadata = () => (video.currentTime = Math.min(at, video.duration / 2 || 0));
      video.onseeked = () => resolve();
      video.src = mediaOf(id);
    });
    const scale = Math.max(canvas.width / video.videoWidth, canvas.height / video.videoHeight);
    const [width, height] = [video.videoWidth * scale, video.videoHeight * scale];
    canvas.getContext("2d")?.drawImage(video, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
    canvas.dataset.drawn = "true";
  } catch {
    canvas.replaceWith(make("span", { className: "thumbnail none", title: await whyNot(mediaOf(id), codec) }, "No picture"));
  } finally {
    video.onerror = null;
    video.removeAttribute("src");
    video.load();
  }
}

/** A picture of a video, about a time in seconds. */
export function thumbnail(id: string, duration: number, codec: string | null): HTMLCanvasElement {
  const at = duration / 3;
  const canvas = make("canvas", { className: "thumbnail", width: 192, height: 108 });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Picture of ${id} at ${clock(at)}`);
  jobs.set(canvas, { canvas, id, at, codec });
  seen.observe(canvas);
  return canvas;
}
