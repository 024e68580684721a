import type { Coverage, Relation, Segment, Untold } from "vidsieve";
export interface ProgressLine { stage: string; done: number; total: number | null; unit: string; }
export type FileState = "present" | "changed" | "unreadable" | "gone" | "none";
export interface OtherName { id: string; path: string; kind: string; }
export interface CopyFile { path: string; exists: boolean; state: FileState; damage?: string; is_link: boolean; in_bin: boolean; protected: boolean; duration: number; width: number; height: number; bytes: number; codec: string | null; frame_rate: number | null; bitrate: number | null; names: OtherName[]; }
export interface CopyMember extends CopyFile { id: string; keep: boolean; score: number; }
export interface CopyPair { a: string; b: string; score: number; coverage: Coverage; }
export interface CopyGroup { keep: string; reason: string; videos: CopyMember[]; pairs: CopyPair[]; }
export interface ExcerptVideo extends CopyFile { id: string; of: string; seconds: number; share: number; score: number; start: number | null; segments: Segment[]; }
export interface LinkedVideo { id: string; names: OtherName[]; }
export interface RelatedPair { a: string; b: string; relation: Relation; score: number; coverage: Coverage; untold?: Untold; }
export interface UntoldVideo { id: string; reason: string; }
export interface DedupeReport { model: string; videos: number; min_score: number; budget: string; compared: number; missing: string[]; interrupted: boolean; clusters: CopyGroup[]; unfit: CopyGroup[]; excerpts: ExcerptVideo[]; linked: LinkedVideo[]; hidden: number; related?: RelatedPair[]; untold?: UntoldVideo[]; seconds: number; }
export type DecisionMark = "different" | "reviewed";
export interface DecisionRequest { kind: DecisionMark; ids: string[]; undo?: boolean; }
export interface ChosenCopies { keep: string; go: string[]; }
export interface PlanRequest { min_score: number; groups: ChosenCopies[]; }
