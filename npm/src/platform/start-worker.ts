/** Starts Workers whose scripts are on another origin than the page, such as a CDN. */

/** Blob URLs of small scripts of this origin, by the URL of the script that each imports. */
const scripts = new Map<string, string>();

/**
 * Starts a Worker. `start` has the literal URL of the script, for bundlers. Browsers refuse Worker
 * scripts of another origin: if the module `base` is of one, a small script of this origin imports the
 * script `name` beside `base`.
 */
export function startWorker(start: () => Worker, name: string, base: string, options: WorkerOptions): Worker {
  const url = new URL(name, base);
  if (!/^https?:$/.test(url.protocol) || url.origin === location.origin) return start();
  let script = scripts.get(url.href);
  if (!script) {
    const text = `import ${JSON.stringify(url.href)};`;
    scripts.set(url.href, (script = URL.createObjectURL(new Blob([text], { type: "text/javascript" }))));
  }
  return new Worker(script, options);
}
