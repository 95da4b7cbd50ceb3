/**
 * How the log's events stand in EventStoreDB: the payload is the data, as bytes; everything else that the record needs is JSON
 * metadata, under the names that EventStoreDB's own conventions give to causation and correlation. Events that somebody else
 * wrote are read with an empty context.
 */
import type { BinaryEventData, EventData } from "@eventstore/db-client";
import type { EventContext, EventInput, RecordedEvent } from "@millrace/engine";

/** What a read of the client returns, as far as it is used here. */
export interface ClientRecord {
  readonly streamId: string;
  readonly id: string;
  readonly revision: bigint;
  readonly type: string;
  readonly created: Date;
  readonly isJson: boolean;
  readonly data: unknown;
  readonly metadata?: unknown;
  readonly position?: { readonly commit: bigint };
}

export function wireEvent({ id, type, schemaVersion, context, payload }: EventInput): EventData {
  const { causationId, correlationId, ...names } = context;
  const event: BinaryEventData = {
    id: uuidOf(id),
    type,
    contentType: "application/octet-stream",
    data: payload,
    metadata: { $causationId: uuidOf(causationId), $correlationId: uuidOf(correlationId), schemaVersion, ...names },
  };
  return event;
}

/** Bytes of an event beside its payload, as the server counts them against the largest append. */
export function wireBytes(event: EventInput): number {
  const { metadata, type } = wireEvent(event);
  return event.payload.length + type.length + JSON.stringify(metadata).length + EVENT_BYTES;
}

const EVENT_BYTES = 160;

export function recordedEvent(record: ClientRecord): RecordedEvent {
  const id = bytesOf(record.id);
  const metadata = fieldsOf(record.metadata);
  const context: EventContext = {
    causationId: bytesOf(metadata.$causationId) ?? id ?? NO_ID,
    correlationId: bytesOf(metadata.$correlationId) ?? id ?? NO_ID,
    principal: text(metadata.principal),
    tenant: text(metadata.tenant),
    codeVersion: text(metadata.codeVersion),
    graph: text(metadata.graph),
    graphRevision: count(metadata.graphRevision),
    node: text(metadata.node),
    epoch: count(metadata.epoch),
  };
  return {
    id: id ?? NO_ID,
    type: record.type,
    schemaVersion: count(metadata.schemaVersion),
    context,
    payload: payloadOf(record),
    position: positionOf(record),
    stream: record.streamId,
    revision: Number(record.revision),
    timeMs: record.created.getTime(),
  };
}

export function positionOf({ position }: ClientRecord): number {
  return Number(position?.commit ?? 0n);
}

/** The client has parsed the JSON of events that others wrote. */
function payloadOf({ isJson, data }: ClientRecord): Uint8Array {
  if (!isJson && data instanceof Uint8Array) return data;
  return Buffer.from(typeof data === "string" ? data : JSON.stringify(data), "utf8");
}

const NO_ID = new Uint8Array(16);

export function uuidOf(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function bytesOf(uuid: unknown): Uint8Array | undefined {
  const hex = typeof uuid === "string" ? uuid.replaceAll("-", "") : "";
  return /^[0-9a-f]{32}$/i.test(hex) ? Uint8Array.from(Buffer.from(hex, "hex")) : undefined;
}

function fieldsOf(metadata: unknown): Readonly<Record<string, unknown>> {
  const isObject = typeof metadata === "object" && metadata !== null && !(metadata instanceof Uint8Array);
  return isObject ? (metadata as Readonly<Record<string, unknown>>) : {};
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function count(value: unknown): number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : 0;
}
