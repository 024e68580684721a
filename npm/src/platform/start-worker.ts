/** Workers of scripts that lie on another host than the page, as those of a CDN do. */

/** Addresses of the small scripts of this origin, by the address of the script that each imports. */
const scripts = new Map<string, string>();

/**
 * Starts a Worker. `start` names its script by a literal URL, by which bundlers find it. Browsers
 * refuse scripts of another origin: if the module `base` is of one, a script of this origin imports
 * the script `name` that lies beside it.
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
