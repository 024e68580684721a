/** Two videos side by side with one control: both go on together from where they match. */

import { make } from "../dom.js";
import { mediaOf, whyNot } from "../media.js";
import { clock } from "../text.js";
import { counterpart, rateOf, type Match } from "./review.js";

/** Seconds by which the second video may differ from where it should be. */
const APART = 0.15;

/** A video that is played. */
export interface Played {
  id: string;
  codec: string | null;
}

/** Begin of both, where no match is known. */
const BEGINNING: Match = { left: [0, 1], right: [0, 1] };

/** Two videos in step. The left one leads; where it cannot be played, the right one plays alone. */
export class PairPlayer {
  readonly element: HTMLElement;
  readonly #videos: [HTMLVideoElement, HTMLVideoElement];
  readonly #captions: [HTMLElement, HTMLElement];
  readonly #faults: [HTMLElement, HTMLElement];
  readonly #button: HTMLButtonElement;
  readonly #slider: HTMLInputElement;
  readonly #time: HTMLElement;
  readonly #sound: HTMLInputElement;
  readonly #matches: HTMLElement;
  #match: Match = BEGINNING;
  #playing = false;
  #frame = 0;

  constructor() {
    const video = () => make("video", { muted: true, playsInline: true, preload: "auto" });
    this.#videos = [video(), video()];
    this.#captions = [make("figcaption"), make("figcaption")];
    this.#faults = [make("p", { className: "fault", hidden: true }), make("p", { className: "fault", hidden: true })];
    this.#button = make("button", { type: "button", className: "quiet" }, "Play both");
    this.#slider = make("input", { type: "range", min: "0", max: "0", step: "0.04", value: "0" });
    this.#slider.setAttribute("aria-label", "Time in the left video");
    this.#time = make("span", { className: "time" });
    this.#sound = make("input", { type: "checkbox" });
    this.#matches = make("p", { className: "matches" });
    const figure = (k: 0 | 1) => make("figure", {}, this.#videos[k], this.#faults[k], this.#captions[k]);
    const controls = make("div", { className: "controls" }, this.#button, this.#slider, this.#time, make("label", {}, this.#sound, " Sound"));
    this.element = make("div", { className: "player" }, make("div", { className: "pair" }, figure(0), figure(1)), controls, this.#matches);
    this.#button.addEventListener("click", () => this.toggle());
    this.#slider.addEventListener("input", () => this.seek(Number(this.#slider.value)));
    this.#sound.addEventListener("change", () => (this.#lead.muted = !this.#sound.checked));
    for (const one of this.#videos) {
      one.addEventListener("loadedmetadata", () => this.#ready());
      one.addEventListener("seeked", () => this.#show());
      one.addEventListener("ended", () => one === this.#lead && this.pause());
    }
  }

  /** The video that the control drives. */
  get #lead(): HTMLVideoElement {
    return this.#faults[0].hidden ? this.#videos[0] : this.#videos[1];
  }

  /** Shows two videos from their beginning, until it is known where they match. */
  load(left: Played, right: Played): void {
    this.pause();
    this.#match = BEGINNING;
    this.#matches.replaceChildren("Looking where they match…");
    for (const [k, { id, codec }] of [[0, left], [1, right]] as const) {
      const [video, fault] = [this.#videos[k], this.#faults[k]];
      const url = mediaOf(id);
      this.#captions[k].textContent = id;
      video.setAttribute("aria-label", id);
      if (video.getAttribute("src") === url) continue;
      video.hidden = false;
      fault.hidden = true;
      video.muted = k === 1 || !this.#sound.checked;
      video.onerror = () => {
        // One that was replaced or taken away meanwhile says nothing.
        if (video.getAttribute("src") !== url) return;
        fault.hidden = false;
        video.hidden = true;
        this.pause();
        void whyNot(url, codec).then((why) => (fault.textContent = `${why}.`));
      };
      video.src = url;
    }
    this.#ready();
  }

  /** Goes to where the videos match; `matches`, best first, may be empty. */
  align(matches: Match[], words: string): void {
    const [best] = matches;
    this.#matches.replaceChildren(words);
    if (!best) {
      this.#matches.append(" Both play from their beginning.");
      return;
    }
    for (const match of matches.slice(0, 6)) {
      const [[a, b], [c, d]] = [match.left, match.right];
      const button = make("button", { type: "button", className: "quiet" }, `${clock(a)}–${clock(b)} is ${clock(c)}–${clock(d)}`);
      button.addEventListener("click", () => this.#go(match));
      this.#matches.append(" ", button);
    }
    this.#go(best);
  }

  /** Says why it is not known where the videos match. */
  fail(why: string): void {
    this.#matches.replaceChildren(`${why}. Both play from their beginning.`);
  }

  #go(match: Match): void {
    this.#match = match;
    this.#videos[1].playbackRate = rateOf(match);
    this.seek(match.left[0]);
  }

  /** Where the video that does not lead should be. */
  #due(): number {
    return counterpart(this.#match, this.#videos[0].currentTime);
  }

  #follow(force: boolean): void {
    const [left, right] = this.#videos;
    if (this.#lead === right || right.readyState === 0) return;
    const due = this.#due();
    const end = Number.isFinite(right.duration) ? right.duration : due;
    const to = Math.min(Math.max(0, due), end);
    if ((force || (!right.seeking && Math.abs(right.currentTime - to) > APART)) && right.currentTime !== to) right.currentTime = to;
    // Before its beginning and after its end it waits.
    const runs = this.#playing && due >= 0 && due < end && !left.ended;
    if (runs && right.paused) right.play().catch(() => {});
    if (!runs && !right.paused) right.pause();
  }

  /** Goes to a time of the video that leads. */
  seek(time: number): void {
    this.#lead.currentTime = time;
    this.#follow(true);
    this.#show();
  }

  toggle(): void {
    if (this.#playing) this.pause();
    else this.play();
  }

  play(): void {
    if (this.#lead.ended) this.seek(Math.max(0, this.#match.left[0]));
    this.#playing = true;
    this.#button.textContent = "Pause both";
    this.#lead.play().catch(() => this.pause());
    const step = () => {
      this.#follow(false);
      this.#show();
      if (this.#playing) this.#frame = requestAnimationFrame(step);
    };
    step();
  }

  pause(): void {
    this.#playing = false;
    cancelAnimationFrame(this.#frame);
    this.#button.textContent = "Play both";
    for (const video of this.#videos) video.pause();
  }

  #ready(): void {
    const { duration } = this.#lead;
    this.#slider.max = String(Number.isFinite(duration) ? duration : 0);
    this.#follow(true);
    this.#show();
  }

  #show(): void {
    const { currentTime, duration } = this.#lead;
    this.#slider.value = String(currentTime);
    const text = `${clock(currentTime)} of ${clock(Number.isFinite(duration) ? duration : 0)}`;
    this.#time.textContent = text;
    this.#slider.setAttribute("aria-valuetext", text);
  }

  /** Lets go of both files. */
  release(): void {
    this.pause();
    for (const video of this.#videos) {
      video.onerror = null;
      video.removeAttribute("src");
      video.load();
    }
  }
}
