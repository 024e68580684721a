// The native command: what the package is compared with, and a server to talk to.
import { execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

function program() {
  const named = process.env.VIDSIEVE;
  if (!named || !existsSync(named)) throw new Error("VIDSIEVE must name the native command: run `cargo xtask test --only package`");
  return named;
}

/** Runs the command and gives its standard output. */
export function vidsieve(...args) {
  return execFileSync(program(), args, { encoding: "utf8", maxBuffer: 1 << 26 });
}

/** A folder that is removed when the tests end. */
export async function folder(t) {
  const path = await mkdtemp(join(tmpdir(), "vidsieve-"));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** Sample clips and copies of them, indexed. */
export async function samples(t) {
  const path = await folder(t);
  vidsieve("samples", "--out", join(path, "videos"), "--seed", "1");
  vidsieve("index", "--index", join(path, "index"), join(path, "videos"));
  const index = join(path, "index");
  let copies = 0;
  // One server writes an index at a time.
  const copy = async () => {
    const to = join(path, `index-${++copies}`);
    await cp(index, to, { recursive: true });
    return to;
  };
  return { path, videos: join(path, "videos"), index, copy };
}

/** Serves an index until the tests end; gives the address. */
export async function serve(t, index, ...args) {
  const child = spawn(program(), ["serve", "--index", index, "--addr", "127.0.0.1:0", "--log", "none", "--json", ...args]);
  t.after(() => child.kill());
  let text = "";
  let problems = "";
  child.stderr.on("data", (piece) => (problems += piece));
  return new Promise((resolve, reject) => {
    child.stdout.on("data", (piece) => {
      text += piece;
      const address = /127\.0\.0\.1:\d+/.exec(text);
      if (address) resolve(`http://${address[0]}`);
    });
    child.on("exit", (code) => reject(new Error(`the server ended with ${code}: ${problems}`)));
  });
}
