/** What the gateway answers, and how it is asked. */
import type { EventDocument, EventHead } from "../../src/event-json.ts";
import type { PeekMessage } from "../../src/live/peek-sampler.ts";

export type { EventDocument, EventHead };
export type PeekedMessage = PeekMessage["messages"][number];

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type Row = { readonly [key: string]: Json };

export interface ErrorReport {
  readonly code: string;
  readonly kind: string;
  readonly message: string;
  readonly place?: { readonly file?: string; readonly line?: number; readonly column?: number };
  readonly causes?: readonly string[];
}

export interface NodeStatus {
  readonly node: string;
  readonly kind: string;
  readonly role: "source" | "pure" | "committed";
  readonly state: string;
  readonly guarantee?: string;
  readonly epoch: number;
  readonly details?: Json;
  readonly lastError: ErrorReport | null;
}

export interface EdgeStatus {
  readonly edge: string;
  readonly from: string;
  readonly port: string;
  readonly to: string;
  readonly subject: string;
  readonly via: string;
}

export interface GraphStatus {
  readonly graph: string;
  readonly revision: number;
  readonly nodes: readonly NodeStatus[];
  readonly edges: readonly EdgeStatus[];
}

export interface EventPage {
  readonly end: number;
  readonly events: readonly EventDocument[];
  readonly next: string | null;
}

export interface ProjectionInfo {
  readonly name: string;
  readonly version: number;
  readonly asOf: number;
  readonly lag: number;
  readonly lagMs?: number;
  readonly state: string;
  readonly reason?: string;
  readonly rows?: number;
  readonly key?: readonly string[];
}

export interface ProjectionPage {
  readonly asOf: number;
  readonly rows: readonly Row[];
  readonly next: string | null;
}

export interface DeadLetter {
  readonly id: string;
  readonly graph: string;
  readonly node: string;
  readonly lane: string;
  readonly pos: number;
  readonly ord: number;
  readonly attempts: number;
  readonly error: ErrorReport;
  readonly input: Json;
  readonly position: number;
  readonly timeMs: number;
  readonly state: string;
}

export interface Health {
  readonly status: string;
  readonly version: string;
  readonly host: string;
  readonly uptimeSeconds: number;
  readonly position: number;
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail: string }[];
}

export interface MetricFamily {
  readonly name: string;
  readonly values: readonly { readonly value: number; readonly labels: Readonly<Record<string, string>> }[];
}

/** A problem document of the gateway, or the reason why there was no answer. */
export class RequestFailure extends Error {
  readonly code: string;
  readonly remedy: string;
  constructor(code: string, message: string, remedy: string) {
    super(message);
    this.code = code;
    this.remedy = remedy;
  }
}

async function request(path: string, init?: RequestInit): Promise<Response> {
  const response = await fetch(path, init).catch(() => {
    throw new RequestFailure(
      "OFFLINE",
      "the server does not answer",
      "Start it again; this page reconnects by itself.",
    );
  });
  if (response.ok) return response;
  const problem = (await response.json().catch(() => ({}))) as { code?: string; detail?: string; remedy?: string };
  throw new RequestFailure(
    problem.code ?? `HTTP ${response.status}`,
    problem.detail ?? response.statusText,
    problem.remedy ?? "",
  );
}

export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await request(path, signal ? { signal } : undefined);
  return (await response.json()) as T;
}

export async function getText(path: string): Promise<string> {
  return (await request(path)).text();
}

/** What changes need where the server has a token. It stays in this page and is gone with it. */
let token = "";

export function setToken(given: string): void {
  token = given;
}

export async function postJson<T>(path: string, body: unknown): Promise<T> {
  const headers = {
    "content-type": "application/json",
    ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
  };
  const response = await request(path, { method: "POST", headers, body: JSON.stringify(body) });
  return (await response.json()) as T;
}

/** Health is an answer also when it is bad. */
export async function getHealth(): Promise<Health> {
  const response = await fetch("/healthz");
  return (await response.json()) as Health;
}

export const graphPath = (graph: string): string => `/api/v1/graphs/${encodeURIComponent(graph)}`;
