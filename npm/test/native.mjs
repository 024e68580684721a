// What the package is compared with: the native command, and a server to talk to; and the package as it is installed.
import { execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

function program() {
  const named = process.env.VIDSIEVE;
  if (!named || !existsSync(named))
    throw new Error("VIDSIEVE must name the native command: run `cargo xtask test --only package`");
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

/** The package's tarball, unpacked into a project as npm installs it; gives its path. */
export async function installed(project) {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const packed = execFileSync("npm", ["pack", "--json", "--pack-destination", project], {
    cwd: root,
    encoding: "utf8",
  });
  const tarball = join(project, JSON.parse(packed)[0].filename);
  const to = join(project, "node_modules/vidsieve");
  await mkdir(to, { recursive: true });
  execFileSync("tar", ["-xzf", tarball, "-C", to, "--strip-components=1"]);
  await writeFile(join(project, "package.json"), '{ "type": "module", "private": true }');
  return tarball;
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
  const child = spawn(program(), [
    "serve",
    "--index",
    index,
    "--addr",
    "127.0.0.1:0",
    "--log",
    "none",
    "--json",
    ...args,
  ]);
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
