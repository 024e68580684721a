/** Sessions: videos whose frames the page pushes one by one. */

import { VidsieveError } from "../data/errors.js";
import type { Encoder, Session } from "./glue.js";

/** The running sessions, by number. */
export class Sessions {
  readonly #sessions = new Map<number, Session>();
  #last = 0;

  /** Begins a session, and returns its number. */
  begin(encoder: Encoder): number {
    this.#sessions.set(++this.#last, encoder.session());
    return this.#last;
  }

  /** Returns a running session; fails with `disposed` after its end. */
  get(id: number): Session {
    const found = this.#sessions.get(id);
    if (found) return found;
    throw new VidsieveError("disposed", "this video's encoding has ended already");
  }

  /** Removes a session, and returns it to be finished. */
  take(id: number): Session {
    const found = this.get(id);
    this.#sessions.delete(id);
    return found;
  }

  /** Frees a session unless it has ended. */
  drop(id: number): void {
    this.#sessions.get(id)?.free();
    this.#sessions.delete(id);
  }
}
