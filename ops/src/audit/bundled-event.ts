/** An event as a line of a bundle: its fields as they read, and the stored bytes that they are checked against. */
import type { JsonObject, RecordedEvent, StoredRecord } from "@millrace/engine";

/** `records` are those of the event's position: its control records, then itself. */
export function bundledEvent(event: RecordedEvent, records: readonly StoredRecord[]): JsonObject {
  return { ...eventFields(event), records: records.map(bundledRecord) };
}

/** Fields whose values follow from the event's stored header. */
export function eventFields(event: RecordedEvent): Record<string, string | number> {
  const { context } = event;
  return {
    position: event.position,
    time: new Date(event.timeMs).toISOString(),
    stream: event.stream,
    revision: event.revision,
    type: event.type,
    schemaVersion: event.schemaVersion,
    id: hex(event.id),
    correlationId: hex(context.correlationId),
    causationId: hex(context.causationId),
    principal: context.principal,
    tenant: context.tenant,
    codeVersion: context.codeVersion,
    graph: context.graph,
    graphRevision: context.graphRevision,
    node: context.node,
    epoch: context.epoch,
  };
}

export function bundledRecord({ header, payload }: StoredRecord): JsonObject {
  return { header: base64(header), payload: base64(payload) };
}

export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}
