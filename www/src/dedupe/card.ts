/** A group of copies, or an excerpt, as an entry of the list. */

import { describe } from "vidsieve";

import { make } from "../dom.js";
import { bytes, clock, count, percent } from "../text.js";
import { PairPlayer, type Played } from "./player.js";
import { folderOf, gain, going, nameOf, stateOf, subject, whyNotKept, whyStays, type MemberState, type ReviewItem, type ReviewMember } from "./review.js";
import { compareOnServer, type ComparedPair } from "./server.js";
import { thumbnail } from "./thumbnails.js";

/** Pictures of an entry that is closed. */
const PICTURES = 3;

/** What a person can do with a member. */
export type MemberAction = "pick" | "keep" | "different" | "toggle";

/** What is done when a button of an entry is pressed. */
export interface CardActions {
  open(card: Card): void;
  act(card: Card, action: MemberAction, id: string): void;
  reviewed(card: Card): void;
  undo(card: Card): void;
}

const BADGES: Record<MemberState, string> = { kept: "kept", "may go": "may go", stays: "stays", different: "marked as different" };

/** Size, length, picture and codec of a file, and what is wrong with it. */
function factsOf({ id, file }: ReviewMember): string {
  if (!file) return "";
  const { width, height, codec, damage, names } = file;
  const facts = [bytes(file.bytes), clock(file.duration)];
  if (width > 0) facts.push(`${width} × ${height}`);
  if (codec) facts.push(codec);
  if (damage) facts.push(damage);
  const stays = whyStays({ id, file });
  if (stays) facts.push(stays);
  if (names.length > 0) facts.push(`also ${names.map(({ id, kind }) => `${id} (${kind})`).join(", ")}`);
  return facts.join(", ");
}

/** How a member is related to the one that is kept, in words. */
function relationOf(item: ReviewItem, id: string): string {
  if (id === item.keep) return "";
  const shown = item.shown.get(id);
  if (!shown || item.keep !== item.members[0]?.id) return "A copy of the video that was suggested; the plan compares it with the one that is kept";
  const amount = `${shown.seconds.toFixed(1)} s of it match (${percent(shown.share)})`;
  if (item.kind !== "excerpt") return `The same footage: ${amount}`;
  return `An excerpt: ${amount}${item.start === null ? "" : `, from ${clock(item.start)} on`}`;
}

const KINDS: Record<ReviewItem["kind"], (item: ReviewItem) => string> = {
  copies: ({ members }) => `The same footage, ${count(members.length - 1, "copy", "copies")}`,
  excerpt: ({ keep }) => `An excerpt of ${nameOf(keep)}`,
  unfit: ({ members }) => `The same footage in ${members.length} files, none fit to be kept: all stay`,
};

function stateText(item: ReviewItem): string {
  if (item.reviewed) return "Looked at: all stay";
  const others = item.members.length - 1;
  if (item.different.size >= others) return "Decided: different footage";
  if (!item.decided) return item.different.size > 0 ? `Not decided, ${count(item.different.size, "video")} marked as different` : "Not decided";
  const go = going(item).length;
  return go > 0 ? `Decided: ${count(go, "file")} may go` : "Decided: all stay";
}

/** An entry of the list. */
export class Card {
  readonly element: HTMLLIElement;
  readonly item: ReviewItem;
  readonly #actions: CardActions;
  readonly #head: HTMLButtonElement;
  readonly #title = make("span", { className: "name" });
  readonly #facts = make("span", { className: "facts" });
  readonly #state = make("span", { className: "state" });
  readonly #inside = make("div", { className: "inside", hidden: true });
  readonly #members = make("ul", { className: "members" });
  #player: PairPlayer | null = null;
  #picked: string;
  #compared = "";
  #comparing = new AbortController();

  constructor(item: ReviewItem, actions: CardActions) {
    this.item = item;
    this.#actions = actions;
    this.#picked = item.keep;
    const pictures = item.members.slice(0, PICTURES).map(({ id, file }) => thumbnail(id, file?.duration ?? 0, file?.codec ?? null));
    const words = make("span", { className: "words" }, this.#title, this.#facts, this.#state);
    this.#head = make("button", { type: "button", className: "head" }, make("span", { className: "pictures" }, ...pictures), words);
    this.#head.addEventListener("click", () => actions.open(this));
    this.element = make("li", { className: "item", tabIndex: -1 }, this.#head, this.#inside);
    this.update();
    this.close();
  }

  /** The member that was chosen: it is compared with the one that is kept. */
  get picked(): string {
    return this.#picked;
  }

  get isOpen(): boolean {
    return this.#player !== null;
  }

  /** Shows what is decided. */
  update(): void {
    const { item } = this;
    const video = subject(item);
    this.#title.textContent = nameOf(video?.id ?? item.keep);
    const size = gain(item);
    const facts = [KINDS[item.kind](item), size > 0 ? `${bytes(size)} to gain` : "", video?.file ? clock(video.file.duration) : "", video ? folderOf(video) : ""];
    this.#facts.textContent = facts.filter(Boolean).join(", ");
    this.#state.textContent = stateText(item);
    this.element.dataset.state = item.reviewed || item.decided || item.different.size >= item.members.length - 1 ? "decided" : "open";
    if (this.isOpen) this.#updateInside();
  }

  open(): void {
    if (this.isOpen) return;
    this.#player = new PairPlayer();
    const reviewed = make("button", { type: "button", className: "quiet" }, "Keep all, do not show again");
    reviewed.addEventListener("click", () => this.#actions.reviewed(this));
    const undo = make("button", { type: "button", className: "quiet" }, "Undo");
    undo.addEventListener("click", () => this.#actions.undo(this));
    this.#inside.replaceChildren(this.#player.element, this.#members, make("p", { className: "actions" }, reviewed, undo));
    this.#inside.hidden = false;
    this.#head.setAttribute("aria-expanded", "true");
    this.element.setAttribute("aria-current", "true");
    this.#compared = "";
    this.#updateInside();
  }

  close(): void {
    this.#comparing.abort();
    this.#player?.release();
    this.#player = null;
    this.#inside.hidden = true;
    this.#inside.replaceChildren();
    this.#head.setAttribute("aria-expanded", "false");
    this.element.removeAttribute("aria-current");
  }

  /** A member that is not the one that is kept. */
  #another(): string {
    return this.item.members.find(({ id }) => id !== this.item.keep)?.id ?? this.item.keep;
  }

  /** Chooses a member, which is compared with the one that is kept. */
  pick(id: string): void {
    this.#picked = id;
    if (this.isOpen) this.#updateInside();
  }

  /** Chooses the next member, or the one before. */
  step(by: 1 | -1): void {
    const { members } = this.item;
    const at = members.findIndex(({ id }) => id === this.#picked);
    const next = members[(at + by + members.length) % members.length];
    if (next) this.pick(next.id);
  }

  togglePlay(): void {
    this.#player?.toggle();
  }

  #updateInside(): void {
    // What had the focus has it again.
    const focused = document.activeElement instanceof HTMLElement && this.#members.contains(document.activeElement) ? { ...document.activeElement.dataset } : null;
    const old = new Map([...this.#members.children].map((row) => [(row as HTMLElement).dataset.id, row.querySelector(".thumbnail")]));
    this.#members.replaceChildren(...this.item.members.map((member) => this.#row(member, old.get(member.id))));
    if (focused) {
      const again = [...this.#members.querySelectorAll("button")].find(({ dataset }) => dataset.id === focused.id && dataset.action === focused.action && dataset.id);
      (again && !again.disabled ? again : this.element).focus({ preventScroll: true });
    }
    void this.#compare();
  }

  #row(member: ReviewMember, picture: Element | null | undefined): HTMLLIElement {
    const { item } = this;
    const { id, file } = member;
    const state = stateOf(item, id);
    const button = (action: MemberAction, text: string, label: string) => {
      const made = make("button", { type: "button", className: "quiet" }, text);
      Object.assign(made.dataset, { id, action });
      made.setAttribute("aria-label", label);
      made.addEventListener("click", () => this.#actions.act(this, action, id));
      return made;
    };
    const actions: HTMLButtonElement[] = [];
    const name = nameOf(id);
    if (state !== "different" && item.kind === "copies" && !whyNotKept(member) && (state !== "kept" || !item.decided)) actions.push(button("keep", "Keep", `Keep ${name}`));
    if (item.kind === "copies" && (state === "may go" || item.stays.has(id))) {
      actions.push(state === "may go" ? button("toggle", "Let it stay", `Let it stay: ${name}`) : button("toggle", "Let it go", `Let it go: ${name}`));
    }
    if (state !== "different" && id !== item.keep) actions.push(button("different", "Different", `Mark ${name} as different from ${nameOf(item.keep)}`));
    const pick = button("pick", name, `Compare ${name} with ${nameOf(item.keep)}`);
    pick.className = "pick";
    pick.setAttribute("aria-pressed", String(id === this.#picked));
    const texts = [folderOf(member), factsOf(member), relationOf(item, id)].filter(Boolean).map((text) => make("span", { className: "facts" }, text));
    const row = make(
      "li",
      {},
      picture ?? thumbnail(id, file?.duration ?? 0, file?.codec ?? null),
      make("div", { className: "words" }, pick, make("span", { className: "badge" }, state === "kept" && !item.decided ? "suggested" : BADGES[state]), ...texts),
      make("div", { className: "actions" }, ...actions),
    );
    row.dataset.id = id;
    row.dataset.state = state;
    row.dataset.picked = String(id === this.#picked);
    return row;
  }

  #played(id: string): Played {
    const codec = this.item.members.find((member) => member.id === id)?.file?.codec ?? null;
    return { id, codec };
  }

  /** Plays the picked member beside the one to keep, in step from where they match. */
  async #compare(): Promise<void> {
    const { keep } = this.item;
    const other = this.#picked === keep ? this.#another() : this.#picked;
    const asked = `${keep}\n${other}`;
    if (this.#compared === asked || !this.#player) return;
    this.#compared = asked;
    this.#comparing.abort();
    this.#comparing = new AbortController();
    const { signal } = this.#comparing;
    const player = this.#player;
    player.load(this.#played(keep), this.#played(other));
    try {
      const pair = await compareOnServer(other, keep, signal);
      if (signal.aborted) return;
      const { matches, words } = aligned(pair, nameOf(other), nameOf(keep));
      player.align(matches, words);
    } catch (error) {
      if (!signal.aborted) player.fail(error instanceof Error ? error.message : String(error));
    }
  }
}

/** Where a pair matches, the video to keep on the left, and its relation in words. */
function aligned(pair: ComparedPair, name: string, kept: string): { matches: { left: [number, number]; right: [number, number] }[]; words: string } {
  const matches = pair.segments.map(({ query, target }) => ({ left: target, right: query }));
  const words = describe({ ...pair, coarse: pair.score, fine: pair.score, doubt: null, paths: [] });
  return { matches, words: `${name} beside ${kept}: ${words}.${matches.length > 0 ? " They match at" : ""}` };
}
