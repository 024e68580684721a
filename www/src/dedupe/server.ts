/** What the page asks its server for: copies, plans, decisions, and where two videos match. */

import type { Comparison } from "vidsieve";

import type { DecisionRequest, DedupeReport, PlanRequest, ProgressLine } from "./wire.generated.js";

const RECORD = "application/vnd.vidsieve.record";
/** Where a token is kept until the tab is closed. */
const TOKEN = "token";

/** A refusal of the server, or an answer that broke off. */
export class ServerError extends Error {
  constructor(
    /** The status, 0 if there was no answer. */
    readonly status: number,
    /** The stable code. */
    readonly code: string,
    message: string,
  ) {
    super(message);
    this.name = "ServerError";
  }
}

interface ProblemJson {
  type?: string;
  status?: number;
  title?: string;
  detail?: string;
}

function refusal(status: number, { type = "", title, detail }: ProblemJson): ServerError {
  const code = /^urn:vidsieve:problem:(.+)$/.exec(type)?.[1] ?? "unknown";
  return new ServerError(status, code, [title, detail].filter(Boolean).join(": ") || `The server answered with ${status}`);
}

/** Uses this token from now on. */
export function useToken(token: string): void {
  sessionStorage.setItem(TOKEN, token);
}

async function ask(path: string, init: RequestInit): Promise<Response> {
  const headers = new Headers(init.headers);
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.set("authorization", `Bearer ${token}`);
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ServerError(0, "network", "The server cannot be reached");
  }
  if (response.ok) return response;
  throw refusal(response.status, ((await response.json().catch(() => null)) ?? {}) as ProblemJson);
}

type Line =
  | ({ page: "progress" } & ProgressLine)
  | { page: "report"; left_out: number; report: DedupeReport }
  | { page: "plan"; plan: string }
  | { page: "error"; problem: ProblemJson };

/** The last line of an answer; `onProgress` gets those before it. */
async function lastLine(response: Response, onProgress: (progress: ProgressLine) => void): Promise<Line> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let pieces: string[] = [];
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
    if (done) throw new ServerError(0, "network", "The server's answer broke off");
    const parts = value.split("\n");
    const rest = parts.pop() ?? "";
    for (const part of parts) {
      const line = JSON.parse(pieces.join("") + part) as Line;
      pieces = [];
      if (line.page === "error") throw refusal(line.problem.status ?? 0, line.problem);
      if (line.page !== "progress") return line;
      onProgress(line);
    }
    pieces.push(rest);
  }
}

/** The groups and excerpts of the server's index. */
export async function findCopies(onProgress: (progress: ProgressLine) => void, signal: AbortSignal): Promise<{ report: DedupeReport; leftOut: number }> {
  const line = await lastLine(await ask("/v1/dedupe", { method: "POST", signal }), onProgress);
  if (line.page !== "report") throw new ServerError(0, "network", "The server's answer holds no report");
  return { report: line.report, leftOut: line.left_out };
}

/** The text of a plan. */
export async function makePlan(request: PlanRequest, onProgress: (progress: ProgressLine) => void, signal: AbortSignal): Promise<string> {
  const init = { method: "POST", body: JSON.stringify(request), headers: { "content-type": "application/json" }, signal };
  const line = await lastLine(await ask("/v1/dedupe/plan", init), onProgress);
  if (line.page !== "plan") throw new ServerError(0, "network", "The server's answer holds no plan");
  return line.plan;
}

/** Keeps a decision in the server's index, or takes it back. */
export async function decide(request: DecisionRequest): Promise<void> {
  const init = { method: "PUT", body: JSON.stringify(request), headers: { "content-type": "application/json" } };
  await (await ask("/v1/dedupe/decisions", init)).arrayBuffer();
}

/** A pair that the server compared frame by frame. */
export type ComparedPair = Pick<Comparison, "relation" | "coverage" | "untold" | "segments" | "score">;

/** Compares a video of the server with another one of it: how the first is related to the second, and where they match. */
export async function compareOnServer(id: string, other: string, signal: AbortSignal): Promise<ComparedPair> {
  const record = await (await ask(`/v1/videos/${encodeURIComponent(id)}`, { headers: { accept: RECORD }, signal })).arrayBuffer();
  const head = new TextEncoder().encode(JSON.stringify({ ids: [other], segments: true }));
  const length = new DataView(new ArrayBuffer(4));
  length.setUint32(0, head.length, true);
  const body = new Blob([length, head, record]);
  const response = await ask("/v1/rerank", { method: "POST", body, headers: { "content-type": "application/vnd.vidsieve.rerank" }, signal });
  const { pairs, missing } = (await response.json()) as { pairs: ComparedPair[]; missing: { reason: string }[] };
  const [pair] = pairs;
  if (!pair) throw new ServerError(0, "missing", `They cannot be compared: ${missing[0]?.reason ?? "no answer"}`);
  return { ...pair, segments: pair.segments ?? [] };
}
