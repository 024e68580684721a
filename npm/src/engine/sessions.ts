/** Videos whose frames the page pushes one by one. */

import { VidsieveError } from "../data/errors.js";
import type { Encoder, Session } from "./glue.js";

/** The sessions of such videos, by number. */
export class Sessions {
  readonly #sessions = new Map<number, Session>();
  #last = 0;

  /** Begins a session and returns its number. */
  begin(encoder: Encoder): number {
    this.#sessions.set(++this.#last, encoder.session());
    return this.#last;
  }

  /** A session that has begun; fails with `disposed` after its end. */
  get(id: number): Session {
    const found = this.#sessions.get(id);
    if (found) return found;
    throw new VidsieveError("disposed", "this video's encoding has ended already");
  }

  /** Gives a session to the caller, who finishes it. */
  take(id: number): Session {
    const found = this.get(id);
    this.#sessions.delete(id);
    return found;
  }

  /** Frees a session, if it has not ended. */
  drop(id: number): void {
    this.#sessions.get(id)?.free();
    this.#sessions.delete(id);
  }
}
