// The page as a fresh visitor opens it, and a folder of clips with copies and an excerpt: for several tests.
import { execFileSync } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import { folder, vidsieve } from "../../npm/test/native.mjs";

/** Opens the page in a context of its own; returns its errors, and its requests with those of its workers and its service worker. */
export async function visit(t, browser, address, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1180, height: 1400 }, ...options });
  t.after(() => context.close());
  const complaints = [];
  const asked = [];
  context.on("request", (request) => asked.push(request));
  const page = await context.newPage();
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  await page.addInitScript(() => {
    window.tasks = [];
    new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: "longtask" });
  });
  await page.goto(address);
  return { context, page, complaints, asked };
}

/** Returns the addresses of requests that went to another origin. */
export const foreign = (asked, address) => asked.map((request) => request.url()).filter((url) => !/^(blob|data):/.test(url) && new URL(url).origin !== new URL(address).origin);

const ffmpeg = (...args) => execFileSync("ffmpeg", ["-v", "error", "-nostdin", "-y", ...args]);
const H264 = ["-c:v", "libx264", "-pix_fmt", "yuv420p"];

/** A film with three copies, one of which no browser plays, and a fractal with an excerpt; and their index. */
export async function clips(cleanup) {
  const path = await folder(cleanup);
  const videos = join(path, "videos");
  const index = join(path, "index");
  await mkdir(join(videos, "copies"), { recursive: true });
  const film = join(videos, "film.mp4");
  ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=8", ...H264, film);
  for (const [name, width] of [["small", 192], ["tiny", 160]]) ffmpeg("-i", film, "-vf", `scale=${width}:-2`, ...H264, join(videos, `copies/film-${name}.mp4`));
  ffmpeg("-i", film, "-vf", "scale=240:-2", "-c:v", "mpeg4", "-q:v", "3", join(videos, "copies/film.avi"));
  ffmpeg("-f", "lavfi", "-i", "mandelbrot=s=192x144:r=5:end_scale=0.01:end_pts=50,trim=duration=12", ...H264, join(videos, "fractal.mp4"));
  ffmpeg("-ss", "4", "-t", "4", "-i", join(videos, "fractal.mp4"), "-vf", "scale=160:-2", ...H264, join(videos, "fractal-part.mp4"));
  vidsieve("index", "--index", index, videos);
  return { path, videos, index };
}
