// A folder of media, answered with parts of files so that players can seek: what `vidsieve serve --media` does.
import { createReadStream } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";
import { Readable } from "node:stream";

import { Response } from "miniflare";

const TYPES = {
  ".mp4": "video/mp4",
  ".m4v": "video/mp4",
  ".mov": "video/quicktime",
  ".webm": "video/webm",
  ".mkv": "video/x-matroska",
  ".avi": "video/x-msvideo",
};

const problem = (code, title, status, detail, headers) =>
  new Response(JSON.stringify({ type: `urn:vidsieve:problem:${code}`, title, status, detail }), {
    status,
    headers: { "content-type": "application/problem+json", "x-content-type-options": "nosniff", ...headers },
  });

const nothing = () => problem("not-found", "Not found", 404, "there is no such file");

/** The file that a path below a folder leads to: a regular one of it, by no hidden name; null for any other. */
async function served(folder, names) {
  try {
    const [root, path] = await Promise.all([realpath(folder), realpath(join(folder, ...names))]);
    const inside = relative(root, path).split(sep);
    const file = await stat(path);
    return file.isFile() && !inside.some((name) => name.startsWith(".")) ? { path, size: file.size } : null;
  } catch {
    return null;
  }
}

/** The part of a file that a request asks for: first and last byte; the whole file without a range that is understood. */
function part(range, size) {
  const asked = /^bytes=(\d*)-(\d*)$/.exec(range ?? "");
  if (!asked || !(asked[1] || asked[2])) return null;
  const first = asked[1] ? Number(asked[1]) : Math.max(0, size - Number(asked[2]));
  const last = asked[1] && asked[2] ? Math.min(Number(asked[2]), size - 1) : size - 1;
  return first <= last ? [first, last] : null;
}

/** Answers requests below `/media/`; hidden files do not exist for it, and folders are not listed. */
export function media(folder) {
  return async (request) => {
    let names;
    try {
      names = new URL(request.url).pathname.split("/").slice(2).map(decodeURIComponent);
    } catch {
      return nothing();
    }
    if (!["GET", "HEAD"].includes(request.method)) {
      return problem("method-not-allowed", "Method not allowed", 405, "files are read with GET and HEAD", {
        allow: "GET,HEAD",
      });
    }
    if (names.some((name) => !name || name.startsWith(".") || /[/\\\0]/.test(name))) return nothing();
    const file = await served(folder, names);
    if (!file) return nothing();
    const { path } = file;
    const range = part(request.headers.get("range"), file.size);
    const [first, last] = range ?? [0, file.size - 1];
    const headers = {
      "content-type": TYPES[extname(path).toLowerCase()] ?? "application/octet-stream",
      "content-length": String(last - first + 1),
      "accept-ranges": "bytes",
      "content-security-policy": "sandbox",
      "x-content-type-options": "nosniff",
      ...(range && { "content-range": `bytes ${first}-${last}/${file.size}` }),
    };
    const empty = request.method === "HEAD" || file.size === 0;
    const body = empty ? null : Readable.toWeb(createReadStream(path, { start: first, end: last }));
    return new Response(body, { status: range ? 206 : 200, headers });
  };
}
