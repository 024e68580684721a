/** Groups of copies and excerpts as people decide about them: what is kept, what may go, what is gained. Nothing of the page. */

import type { CoverageSide } from "vidsieve";

import type { CopyFile, CopyGroup, DedupeReport, ExcerptVideo, PlanRequest } from "./wire.generated.js";

/** What the videos of an item have to do with each other; the files of an unfit group all stay. */
export type ItemKind = "copies" | "excerpt" | "unfit";

/** A video of an item. */
export interface ReviewMember {
  id: string;
  /** Null of the holder of an excerpt that is in no group: the report does not describe its file. */
  file: CopyFile | null;
}

/** A group of copies, or an excerpt and the video that holds it (the first member). */
export interface ReviewItem {
  /** Unique in a report. */
  key: string;
  kind: ItemKind;
  members: ReviewMember[];
  /** Why the report keeps the first member. */
  reason: string;
  /** How much of a member the first one shows, by id. */
  shown: Map<string, CoverageSide>;
  /** Where an excerpt begins in the first member, in seconds. */
  start: number | null;
  /** Id of the video that is kept. */
  keep: string;
  /** Whether a person chose what is kept. */
  decided: boolean;
  /** Copies that stay although another one is kept. */
  stays: Set<string>;
  /** Members that are marked as different from another one, and from which. */
  different: Map<string, string>;
  /** Whether people looked at it and keep all. */
  reviewed: boolean;
}

/** Which items are shown. */
export interface ReviewFilter {
  /** Fewest bytes to gain. */
  bytes: number;
  /** Shortest and longest video, in seconds; of the one that is kept, or of the excerpt. */
  seconds: [number, number];
  /** A part of the folder of any member. */
  folder: string;
  kind: ItemKind | "all";
}

/** The filter that shows everything. */
export const ALL: ReviewFilter = { bytes: 0, seconds: [0, Number.POSITIVE_INFINITY], folder: "", kind: "all" };

function itemOf(kind: ItemKind, members: ReviewMember[], more: Pick<ReviewItem, "reason" | "shown" | "start">): ReviewItem {
  const keep = members[0]?.id ?? "";
  const key = `${kind}:${members.map(({ id }) => id).join("\n")}`;
  return { key, kind, members, keep, decided: false, stays: new Set(), different: new Map(), reviewed: false, ...more };
}

function groupItem(kind: "copies" | "unfit", { keep, reason, videos, pairs }: CopyGroup): ReviewItem {
  const shown = new Map(pairs.map(({ a, b, coverage }) => (a === keep ? [b, coverage.target] : [a, coverage.query])));
  return itemOf(kind, videos.map((video) => ({ id: video.id, file: video })), { reason, shown, start: null });
}

function excerptItem(excerpt: ExcerptVideo, files: Map<string, CopyFile>): ReviewItem {
  const { id, of, seconds, share, start } = excerpt;
  const members = [{ id: of, file: files.get(of) ?? null }, { id, file: excerpt }];
  return itemOf("excerpt", members, { reason: "it holds the excerpt", shown: new Map([[id, { seconds, share }]]), start });
}

/** The items of a report: copies by the bytes to gain, then groups of which all stays, then excerpts. */
export function itemsOf({ clusters, unfit, excerpts }: DedupeReport): ReviewItem[] {
  const files = new Map<string, CopyFile>([...clusters, ...unfit].flatMap(({ videos }) => videos.map((video) => [video.id, video])));
  for (const excerpt of excerpts) files.set(excerpt.id, excerpt);
  const copies = clusters.map((group) => groupItem("copies", group)).sort((a, b) => gain(b) - gain(a));
  return [...copies, ...unfit.map((group) => groupItem("unfit", group)), ...excerpts.map((excerpt) => excerptItem(excerpt, files))];
}

/** Why no plan acts on a file, in words; null of one that may go. */
export function whyStays({ file }: ReviewMember): string | null {
  if (!file || file.state === "none") return "it has no file";
  if (file.state === "gone") return "the file is gone";
  if (file.state === "changed") return "the file has changed since it was indexed";
  if (file.state === "unreadable") return "the file cannot be read";
  if (file.is_link) return "it is a symbolic link";
  if (file.in_bin) return "it lies in a recycle bin";
  return file.protected ? "it lies in a reference folder" : null;
}

/** Why a file cannot be kept while others go, in words; null of one that can. */
export function whyNotKept(member: ReviewMember): string | null {
  return member.file?.damage ?? (member.file?.protected ? null : whyStays(member));
}

/** The copies that may go. */
export function going(item: ReviewItem): ReviewMember[] {
  if (item.kind !== "copies" || item.reviewed) return [];
  return item.members.filter((member) => {
    const { id } = member;
    return id !== item.keep && !item.stays.has(id) && !item.different.has(id) && whyStays(member) === null;
  });
}

/** The video that an item is named by: the one that is kept, or the excerpt. */
export function subject(item: ReviewItem): ReviewMember | undefined {
  return item.kind === "excerpt" ? item.members[1] : keeper(item);
}

/** Bytes that are gained where the copies go. */
export function gain(item: ReviewItem): number {
  return going(item).reduce((sum, { file }) => sum + (file?.bytes ?? 0), 0);
}

/** The video that is kept. */
export function keeper(item: ReviewItem): ReviewMember | undefined {
  return item.members.find(({ id }) => id === item.keep);
}

/** What is said of a member. */
export type MemberState = "kept" | "may go" | "stays" | "different";

export function stateOf(item: ReviewItem, id: string): MemberState {
  if (item.different.has(id)) return "different";
  if (id === item.keep && item.kind === "copies") return "kept";
  return going(item).some((member) => member.id === id) ? "may go" : "stays";
}

/** Keeps a member: the others may go, as far as they do not stay. */
export function keep(item: ReviewItem, id: string): void {
  item.keep = id;
  item.stays.delete(id);
  item.decided = true;
  item.reviewed = false;
}

/** Lets a copy stay, or go again. */
export function toggle(item: ReviewItem, id: string): void {
  if (id === item.keep) return;
  if (!item.stays.delete(id)) item.stays.add(id);
  item.decided = true;
}

/** The folder of a file: that of its path, or of its id. */
export function folderOf({ id, file }: ReviewMember): string {
  const path = file?.path || id;
  const at = Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\"));
  return at > 0 ? path.slice(0, at) : path.slice(0, at + 1);
}

/** The name of a video without its folder. */
export function nameOf(id: string): string {
  return id.slice(Math.max(id.lastIndexOf("/"), id.lastIndexOf("\\")) + 1);
}

/** Whether a filter shows an item. */
export function matches(item: ReviewItem, { bytes, seconds: [least, most], folder, kind }: ReviewFilter): boolean {
  if (kind !== "all" && item.kind !== kind) return false;
  if (gain(item) < bytes) return false;
  const length = subject(item)?.file?.duration;
  if (length !== undefined && (length < least || length > most)) return false;
  const wanted = folder.trim().toLowerCase();
  return wanted === "" || item.members.some((member) => folderOf(member).toLowerCase().includes(wanted));
}

/** The folders of all members, for a list to choose from. */
export function foldersOf(items: ReviewItem[]): string[] {
  return [...new Set(items.flatMap(({ members }) => members.map(folderOf)))].filter(Boolean).sort();
}

/** What the plan is asked for: the groups that were decided and of which something may go. */
export function planRequest(items: ReviewItem[], minScore: number): PlanRequest {
  const decided = items.filter((item) => item.decided && going(item).length > 0);
  return { min_score: minScore, groups: decided.map((item) => ({ keep: item.keep, go: going(item).map(({ id }) => id) })) };
}

/** An interval of both videos that show the same, of the left one and of the right one, in seconds. */
export interface Match {
  left: [number, number];
  right: [number, number];
}

/** How fast the right video runs while the left one runs as it is. */
export function rateOf({ left: [a, b], right: [c, d] }: Match): number {
  const rate = (d - c) / Math.max(b - a, 1e-6);
  return Math.min(4, Math.max(0.25, rate || 1));
}

/** Where the right video is when the left one is at a time; outside of the match both go on alike. */
export function counterpart(match: Match, time: number): number {
  return match.right[0] + (time - match.left[0]) * rateOf(match);
}
