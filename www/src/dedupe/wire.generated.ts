// Generated from the Rust types; do not edit. To write it again:
// VIDSIEVE_WRITE_TYPES=1 cargo test -p vidsieve-wasm --features typescript --lib typescript

import type { Coverage, Relation, Segment, Untold } from "vidsieve";

/** A line of an answer that says how far the work is. */
export interface ProgressLine {
  /** What is being done, in a word or two. */
  stage: string;
  /** Units done, from 0 to `total`. */
  done: number;
  /** Units in all, if known. */
  total: number | null;
  /** What is counted. */
  unit: string;
}

/** What became of a video's file since it was indexed. */
export type FileState =
  | "present"
  | "changed"
  | "unreadable"
  | "gone"
  | "none";

/** Another name of a video's file. */
export interface OtherName {
  /** The id under which it is indexed. */
  id: string;
  /** Its path, with replacement characters where the name is not UTF-8. */
  path: string;
  /** How it leads to the file. */
  kind: string;
}

/** The file of a video, as it is now. */
export interface CopyFile {
  /** Its path, with replacement characters where the name is not UTF-8. */
  path: string;
  /** Whether it is still where it was when it was indexed. */
  exists: boolean;
  /** What became of it. */
  state: FileState;
  /** What could not be read of it when it was indexed, or why it cannot be opened now. */
  damage?: string;
  /** Whether the path is a symbolic link to a file that has no other name in the index. */
  is_link: boolean;
  /** Whether it lies in a recycle bin or another folder of a system. */
  in_bin: boolean;
  /** Whether it lies in a folder that is protected. */
  protected: boolean;
  /** Its length in seconds. */
  duration: number;
  /** Width of its pictures in pixels, 0 if unknown. */
  width: number;
  /** Height of its pictures in pixels, 0 if unknown. */
  height: number;
  /** Bytes of the file. */
  bytes: number;
  /** FFmpeg's name of its codec. */
  codec: string | null;
  /** Frames a second. */
  frame_rate: number | null;
  /** Bits a second of the whole file. */
  bitrate: number | null;
  /** Other names of the file in the index. */
  names: OtherName[];
}

/** A video of a `CopyGroup`. */
export interface CopyMember {
  /** Its id. */
  id: string;
  /** Whether it is the one to keep. */
  keep: boolean;
  /** Its score with the video to keep, in [0, 1]; of that one the best score. */
  score: number;
  /** Its path, with replacement characters where the name is not UTF-8. */
  path: string;
  /** Whether it is still where it was when it was indexed. */
  exists: boolean;
  /** What became of it. */
  state: FileState;
  /** What could not be read of it when it was indexed, or why it cannot be opened now. */
  damage?: string;
  /** Whether the path is a symbolic link to a file that has no other name in the index. */
  is_link: boolean;
  /** Whether it lies in a recycle bin or another folder of a system. */
  in_bin: boolean;
  /** Whether it lies in a folder that is protected. */
  protected: boolean;
  /** Its length in seconds. */
  duration: number;
  /** Width of its pictures in pixels, 0 if unknown. */
  width: number;
  /** Height of its pictures in pixels, 0 if unknown. */
  height: number;
  /** Bytes of the file. */
  bytes: number;
  /** FFmpeg's name of its codec. */
  codec: string | null;
  /** Frames a second. */
  frame_rate: number | null;
  /** Bits a second of the whole file. */
  bitrate: number | null;
  /** Other names of the file in the index. */
  names: OtherName[];
}

/** Two videos that are copies. */
export interface CopyPair {
  /** Id of one video, the query of the comparison. */
  a: string;
  /** Id of the other, the target. */
  b: string;
  /** Score of the pair, in [0, 1]. */
  score: number;
  /** How much of each the other one shows. */
  coverage: Coverage;
}

/** A video to keep and its copies. */
export interface CopyGroup {
  /** Id of the video to keep. */
  keep: string;
  /** Why that one. */
  reason: string;
  /** The videos: the one to keep, then its copies, the best one first. */
  videos: CopyMember[];
  /** The video to keep with each of its copies. */
  pairs: CopyPair[];
}

/**
 * A video that is an excerpt of a longer one. It is no copy: what to do with it is up to people.
 */
export interface ExcerptVideo {
  /** Its id. */
  id: string;
  /** Id of the video that contains the excerpt. */
  of: string;
  /** Seconds of its informative time that are in that video. */
  seconds: number;
  /** Their share of its informative time, in [0, 1]. */
  share: number;
  /** Its score in [0, 1]. */
  score: number;
  /**
   * Where in that video it begins, in seconds; `None` if the operation was cancelled before this
   * was looked for.
   */
  start: number | null;
  /** Where the videos match, best first; the excerpt is the query. */
  segments: Segment[];
  /** Its path, with replacement characters where the name is not UTF-8. */
  path: string;
  /** Whether it is still where it was when it was indexed. */
  exists: boolean;
  /** What became of it. */
  state: FileState;
  /** What could not be read of it when it was indexed, or why it cannot be opened now. */
  damage?: string;
  /** Whether the path is a symbolic link to a file that has no other name in the index. */
  is_link: boolean;
  /** Whether it lies in a recycle bin or another folder of a system. */
  in_bin: boolean;
  /** Whether it lies in a folder that is protected. */
  protected: boolean;
  /** Its length in seconds. */
  duration: number;
  /** Width of its pictures in pixels, 0 if unknown. */
  width: number;
  /** Height of its pictures in pixels, 0 if unknown. */
  height: number;
  /** Bytes of the file. */
  bytes: number;
  /** FFmpeg's name of its codec. */
  codec: string | null;
  /** Frames a second. */
  frame_rate: number | null;
  /** Bits a second of the whole file. */
  bitrate: number | null;
  /** Other names of the file in the index. */
  names: OtherName[];
}

/** A video that is indexed under several names, of which removing one gains nothing. */
export interface LinkedVideo {
  /** The id that stands for it. */
  id: string;
  /** The other names. */
  names: OtherName[];
}

/**
 * Two related videos that are neither copies nor excerpt and whole, or whose score is too low for
 * that.
 */
export interface RelatedPair {
  /** Id of one video, the query of the comparison. */
  a: string;
  /** Id of the other, the target. */
  b: string;
  /** Relation of the first to the second. */
  relation: Relation;
  /** Score of the pair, in [0, 1]. */
  score: number;
  /** How much of each the other one shows. */
  coverage: Coverage;
  /** Why the relation cannot be determined. */
  untold?: Untold;
}

/** A video of which nothing can be told. */
export interface UntoldVideo {
  /** Its id. */
  id: string;
  /** Why, in words. */
  reason: string;
}

/** The result of `Archive::dedupe`(crate::Archive::dedupe). */
export interface DedupeReport {
  /** Identity of the model: 64 hexadecimal digits. */
  model: string;
  /** Videos of the index. */
  videos: number;
  /** Score from which two videos are copies, or one an excerpt of the other. */
  min_score: number;
  /** The budget by name. */
  budget: string;
  /** Number of pairs compared frame by frame. */
  compared: number;
  /** Ids of videos whose record could not be read. */
  missing: string[];
  /** Whether the operation was cancelled: not all pairs were compared then. */
  interrupted: boolean;
  /** Groups of copies. */
  clusters: CopyGroup[];
  /**
   * Groups of copies of which no file is fit to be kept while the others go (`CopyFile::is_fit`):
   * each is gone, has changed, is damaged, a link, or in a recycle bin. All of them are marked as
   * kept; the best one is first.
   */
  unfit: CopyGroup[];
  /** Videos that are excerpts of longer ones, each once. */
  excerpts: ExcerptVideo[];
  /** Videos that are indexed under several names: links and second paths. */
  linked: LinkedVideo[];
  /** Groups and excerpts that are not shown since people looked at them. */
  hidden: number;
  /**
   * Other pairs that have something in common, by relation, the highest score first; `None` unless
   * asked for.
   */
  related?: RelatedPair[];
  /** Videos of which nothing can be told; `None` unless asked for. */
  untold?: UntoldVideo[];
  /** Time that it took, in seconds. */
  seconds: number;
}

/** What is decided about videos. */
export type DecisionMark =
  | "different"
  | "reviewed";

/** A decision about videos. */
export interface DecisionRequest {
  /** What is decided. */
  kind: DecisionMark;
  /** The videos, each once: 2 to `MAX_CHOSEN`. */
  ids: string[];
  /** Whether the decision is taken back. */
  undo?: boolean;
}

/** A video to keep, and its copies that may go. */
export interface ChosenCopies {
  /** Id of the video to keep. */
  keep: string;
  /** Ids of the copies that may go. */
  go: string[];
}

/** Choices that become a plan. */
export interface PlanRequest {
  /** Score from which two videos are copies, in [0, 1]; 0.9. */
  min_score: number;
  /** The groups, at most `MAX_CHOSEN` videos in all. */
  groups: ChosenCopies[];
}
