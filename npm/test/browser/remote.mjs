// What the drivers of Firefox and WebKitGTK share: programs that are started, and pages with the methods of Playwright that the tests use.
import { spawn } from "node:child_process";
import { EventEmitter } from "node:events";

/** Milliseconds in which a browser has to start. */
const START = 60_000;

/** Returns a program that an environment variable names. */
export function named(variable, what, step) {
  const program = process.env[variable];
  if (program) return program;
  throw new Error(`${variable} must name ${what}: run \`cargo xtask test --only ${step}\``);
}

/** Starts a program, and ends it when the tests end. */
export function start(cleanup, program, args, options = {}) {
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"], ...options });
  const ended = new Promise((resolve) => child.once("close", resolve).once("error", resolve));
  child.output = "";
  for (const stream of child.stdio)
    stream?.on("data", (piece) => (child.output = (child.output + piece).slice(-20_000)));
  cleanup.after(async () => {
    child.kill();
    // A browser that does not end by itself would keep its files.
    const timer = setTimeout(() => child.kill("SIGKILL"), 5000);
    await ended;
    clearTimeout(timer);
  });
  return child;
}

/** Waits until a function gives a value. Fails if the program ends before, or after a minute. */
export async function until(child, what, found) {
  for (const begin = Date.now(); ; await new Promise((resolve) => setTimeout(resolve, 50))) {
    const value = await found();
    if (value) return value;
    if (child.exitCode !== null || child.signalCode || Date.now() - begin > START)
      throw new Error(`${what} did not start: ${child.output}`);
  }
}

/**
 * A script that runs a function with an argument, or an expression, and gives a JSON text: the value, or why there is
 * none, and the complaints that `complaints.js` collected.
 */
function scriptOf(what, argument) {
  const call = typeof what === "function" ? `(${what})(${JSON.stringify(argument) ?? ""})` : `(${what})`;
  return `(async () => {
    const answer = {};
    try {
      answer.value = await ${call};
    } catch (thrown) {
      answer.thrown = thrown instanceof Error || thrown instanceof DOMException ? \`\${thrown.name}: \${thrown.message}\` : String(thrown);
    }
    answer.complaints = globalThis.complaints?.splice(0) ?? [];
    return JSON.stringify(answer);
  })()`;
}

/** A page. Events are those of Playwright: `pageerror` with an error, `console` with a message. */
export class RemotePage extends EventEmitter {
  #run;

  #reports;

  /**
   * `run` gives the text of a script's promise, `goto` opens an address, `close` closes the page. `reports`: the driver
   * reports what the page complains about.
   */
  constructor({ run, goto, close, reports }) {
    super();
    this.#reports = reports;
    this.#run = run;
    this.goto = goto;
    this.close = close;
  }

  async evaluate(what, argument) {
    const { value, thrown, complaints } = JSON.parse(await this.#run(scriptOf(what, argument)));
    for (const complaint of this.#reports ? [] : complaints) this.emit("pageerror", new Error(complaint));
    if (thrown) throw new Error(`page.evaluate: ${thrown}`);
    return value;
  }

  async waitForFunction(what) {
    for (const begin = Date.now(); Date.now() - begin < 30_000; ) {
      if (await this.evaluate(what)) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`page.waitForFunction: not within 30 s: ${what}`);
  }
}
