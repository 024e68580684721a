// WebKitGTK's MiniBrowser by WebDriver, on a display of its own.
import { createServer } from "node:net";

import { RemotePage, named, start, until } from "./remote.mjs";

/** Milliseconds after which a script that gives no answer is an error, so that the tests after it can run. */
const SCRIPT_TIMEOUT = 110_000;

/** Returns a port that is free. */
async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts an X server, and returns its display. */
async function display(cleanup) {
  const args = ["-displayfd", "3", "-screen", "0", "1280x1024x24", "-nolisten", "tcp"];
  const child = start(cleanup, "Xvfb", args, { stdio: ["ignore", "ignore", "pipe", "pipe"] });
  let number = "";
  child.stdio[3].on("data", (piece) => (number += piece));
  return until(child, "Xvfb", () => (number.endsWith("\n") ? `:${number.trim()}` : null));
}

/** Starts WebKitGTK. */
export async function webkit(cleanup) {
  const program = named("VIDSIEVE_WEBKIT", "WebKitWebDriver", "browser-webkit");
  const env = { ...process.env, DISPLAY: await display(cleanup), GDK_BACKEND: "x11", NO_AT_BRIDGE: "1" };
  const port = await freePort();
  const address = `http://127.0.0.1:${port}`;
  const child = start(cleanup, program, ["--host=127.0.0.1", `--port=${port}`], { env });

  /** Sends a command and returns its value. */
  async function command(method, path, body) {
    const response = await fetch(`${address}${path}`, { method, ...(body ? { body: JSON.stringify(body) } : {}) });
    const { value } = await response.json();
    if (!response.ok) throw new Error(`${method} ${path}: ${value.error}: ${value.message}`);
    return value;
  }

  await until(child, "WebKitWebDriver", () => command("GET", "/status").catch(() => null));
  const { sessionId, capabilities } = await command("POST", "/session", { capabilities: {} });
  const session = `/session/${sessionId}`;
  await command("POST", `${session}/timeouts`, { script: SCRIPT_TIMEOUT, pageLoad: 60_000 });
  /** The last command: a command of a page follows one that chooses its window. */
  let last = Promise.resolve();
  function within(handle, work) {
    const result = last.then(() => command("POST", `${session}/window`, { handle })).then(work);
    last = result.catch(() => {});
    return result;
  }

  async function newPage() {
    const { handle } = await command("POST", `${session}/window/new`, { type: "window" });
    return new RemotePage({
      reports: false,
      goto: (url) => within(handle, () => command("POST", `${session}/url`, { url })),
      close: () => within(handle, () => command("DELETE", `${session}/window`)),
      run: (script) =>
        within(handle, () =>
          command("POST", `${session}/execute/async`, { script: `${script}.then(arguments[0])`, args: [] }),
        ),
    });
  }

  return {
    /** Windows of an automated WebKitGTK share their storage, which is dropped when it ends. */
    newContext: async () => {
      const pages = [];
      return {
        newPage: async () => {
          const page = await newPage();
          pages.push(page);
          return page;
        },
        close: () => Promise.allSettled(pages.map((page) => page.close())),
      };
    },
    version: () => capabilities.browserVersion,
    close: () => command("DELETE", session).catch(() => {}),
  };
}
