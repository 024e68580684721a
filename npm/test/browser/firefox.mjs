// Firefox by WebDriver BiDi, which it speaks itself: no geckodriver.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { RemotePage, named, start, until } from "./remote.mjs";

/** Settings of the profile: no requests of its own, a camera that draws its own picture. */
const SETTINGS = {
  "app.normandy.enabled": false,
  "app.update.disabledForTesting": true,
  "browser.aboutwelcome.enabled": false,
  "browser.safebrowsing.downloads.remote.enabled": false,
  "browser.safebrowsing.malware.enabled": false,
  "browser.safebrowsing.phishing.enabled": false,
  "browser.shell.checkDefaultBrowser": false,
  "datareporting.healthreport.uploadEnabled": false,
  "datareporting.policy.dataSubmissionEnabled": false,
  "dom.security.https_first": false,
  "extensions.update.enabled": false,
  "media.gmp-manager.updateEnabled": false,
  "media.navigator.permission.disabled": true,
  "media.navigator.streams.fake": true,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "remote.prefs.recommended": true,
  "services.settings.server": "data:,",
  "toolkit.telemetry.enabled": false,
  "toolkit.telemetry.reportingpolicy.firstRun": false,
};

/** The connection to a browser: commands with their results, and events. */
class Connection {
  #socket;
  #last = 0;
  #waiting = new Map();
  #listen = () => {};

  static async open(url) {
    if (typeof WebSocket === "undefined")
      throw new Error("this Node.js has no WebSocket: take version 22, or NODE_OPTIONS=--experimental-websocket");
    const connection = new Connection();
    const socket = new WebSocket(url);
    connection.#socket = socket;
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = () => reject(new Error(`${url}: no connection to the browser`));
    });
    socket.onmessage = ({ data }) => connection.#receive(JSON.parse(data));
    socket.onclose = () => connection.#end();
    return connection;
  }

  #receive({ type, id, method, params, result, error, message }) {
    if (type === "event") return this.#listen(method, params);
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (type === "success") waiting?.resolve(result);
    else waiting?.reject(new Error(`${waiting.method}: ${error}: ${message}`));
  }

  #end() {
    for (const { method, reject } of this.#waiting.values()) reject(new Error(`${method}: the browser ended`));
    this.#waiting.clear();
  }

  /** Takes the events. */
  listen(listener) {
    this.#listen = listener;
  }

  send(method, params = {}) {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { method, resolve, reject });
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }

  close() {
    this.#socket.close();
  }
}

/** Starts Firefox without a window. */
export async function firefox(cleanup) {
  const program = named("VIDSIEVE_FIREFOX", "Firefox", "browser-firefox");
  const profile = await mkdtemp(join(tmpdir(), "vidsieve-firefox-"));
  cleanup.after(() => rm(profile, { recursive: true, force: true, maxRetries: 10 }));
  const lines = Object.entries(SETTINGS).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});`);
  await writeFile(join(profile, "user.js"), lines.join("\n"));
  const args = ["--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0", "about:blank"];
  const child = start(cleanup, program, args, { env: { ...process.env, MOZ_CRASHREPORTER_DISABLE: "1" } });
  const address = await until(
    child,
    "Firefox",
    () => /WebDriver BiDi listening on (ws:\/\/\S+)/.exec(child.output)?.[1],
  );
  const connection = await Connection.open(`${address}/session`);
  const { capabilities } = await connection.send("session.new", { capabilities: {} });
  await connection.send("session.subscribe", { events: ["log.entryAdded"] });
  /** Pages by their browsing contexts. */
  const pages = new Map();
  connection.listen((method, { type, level, text, source }) => {
    const page = method === "log.entryAdded" && level === "error" ? pages.get(source.context) : undefined;
    if (type === "javascript") page?.emit("pageerror", new Error(text));
    else page?.emit("console", { type: () => level, text: () => text });
  });

  async function newPage(userContext) {
    // A tab that another one covers is hidden, which slows timers and stops the frames of a <video>.
    const { context } = await connection.send("browsingContext.create", { type: "window", userContext });
    const page = new RemotePage({
      reports: true,
      goto: (url) => connection.send("browsingContext.navigate", { context, url, wait: "complete" }),
      close: () => connection.send("browsingContext.close", { context }),
      run: async (expression) => {
        const options = { target: { context }, awaitPromise: true, resultOwnership: "none" };
        const { type, result, exceptionDetails } = await connection.send("script.evaluate", { expression, ...options });
        if (type !== "success") throw new Error(`page.evaluate: ${exceptionDetails.text}`);
        return result.value;
      },
    });
    pages.set(context, page);
    return page;
  }

  async function newContext() {
    const { userContext } = await connection.send("browser.createUserContext");
    return {
      newPage: () => newPage(userContext),
      close: () => connection.send("browser.removeUserContext", { userContext }),
    };
  }

  return {
    newContext,
    version: () => capabilities.browserVersion,
    async close() {
      await connection.send("browser.close").catch(() => {});
      connection.close();
    },
  };
}
