/** Runs a thread of the pool, which shares the module and its memory, until the page ends it. */

import * as glue from "#glue-threads";

import type { Start } from "./pool.js";

const scope = self as unknown as {
  onmessage: ((event: MessageEvent<Start>) => void) | null;
  postMessage(message: unknown): void;
};

scope.onmessage = ({ data: { module, memory, receiver } }) => {
  glue.initSync({ module, memory });
  scope.postMessage("ready");
  glue.wbg_rayon_start_worker(receiver);
};
