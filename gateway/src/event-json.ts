/** Events of the log as JSON for people and programs. */
import type { Json, JsonObject, RecordedEvent } from "@millrace/engine";
import type { DescribeEvent } from "./ports.ts";

/** Everything about an event but its payload: cheap, so that live feeds can afford it. */
export interface EventHead {
  readonly position: number;
  readonly stream: string;
  readonly revision: number;
  readonly type: string;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  readonly graph: string;
  readonly graphRevision: number;
  readonly node: string;
  readonly epoch: number;
  /** 32 hex digits. */
  readonly id: string;
  readonly causationId: string;
  readonly correlationId: string;
  readonly principal: string;
  readonly tenant: string;
  readonly codeVersion: string;
  readonly schemaVersion: number;
  readonly payloadBytes: number;
}

export interface EventDocument extends EventHead {
  readonly payload: Json;
}

export const hex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");

export function eventHead(event: RecordedEvent): EventHead {
  const { context } = event;
  return {
    position: event.position,
    stream: event.stream,
    revision: event.revision,
    type: event.type,
    timeMs: event.timeMs,
    graph: context.graph,
    graphRevision: context.graphRevision,
    node: context.node,
    epoch: context.epoch,
    id: hex(event.id),
    causationId: hex(context.causationId),
    correlationId: hex(context.correlationId),
    principal: context.principal,
    tenant: context.tenant,
    codeVersion: context.codeVersion,
    schemaVersion: event.schemaVersion,
    payloadBytes: event.payload.byteLength,
  };
}

const HEX_BYTES_MAX = 64;

/** JSON text as it is; anything else as its first bytes. The default where no decoder is wired in. */
export const describeBytes: DescribeEvent = ({ payload }) => {
  const first = payload[0];
  if (first === 0x7b || first === 0x5b) {
    try {
      return JSON.parse(Buffer.from(payload).toString("utf8")) as Json;
    } catch {
      // It only looked like JSON: shown as bytes below.
    }
  }
  return { bytes: payload.byteLength, hex: hex(payload.subarray(0, HEX_BYTES_MAX)) };
};

const ITEMS_MAX = 24;
const TEXT_MAX = 400;
const DEPTH_MAX = 8;

/** The same value, with long lists, texts and deep nesting cut and saying so. */
export function brief(value: Json, depth = 0): Json {
  if (typeof value === "string")
    return value.length <= TEXT_MAX ? value : `${value.slice(0, TEXT_MAX)}… (${value.length} characters)`;
  if (typeof value !== "object" || value === null) return value;
  if (depth >= DEPTH_MAX) return "…";
  if (Array.isArray(value)) return briefList(value as readonly Json[], depth);
  const entries = Object.entries(value as JsonObject);
  const kept = entries.slice(0, ITEMS_MAX).map(([key, item]) => [key, brief(item, depth + 1)] as const);
  if (entries.length > ITEMS_MAX) kept.push(["…", `${entries.length - ITEMS_MAX} more`]);
  return Object.fromEntries(kept);
}

function briefList(items: readonly Json[], depth: number): Json {
  const kept = items.slice(0, ITEMS_MAX).map((item) => brief(item, depth + 1));
  return items.length > ITEMS_MAX ? [...kept, `… ${items.length - ITEMS_MAX} more`] : kept;
}
