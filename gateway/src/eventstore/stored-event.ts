/**
 * How an event of an EventStoreDB client stands in the log. The log has one payload per event; a client has data, metadata and
 * a content type, and reads them back byte for byte. So the payload is what the wire wants to see again, encoded once:
 *
 *     field 6  map entry "content-type" → content type
 *     field 7  the client's metadata, when there is some
 *     field 8  the client's data, when there is some
 *
 * of `RecordedEvent` in streams.proto, and a read copies it. `schemaVersion` {@link CLIENT_SCHEMA} marks such events; everything
 * else in the log was written by Millrace itself and is shown to clients as JSON.
 */
import { CLIENT_SCHEMA, type EventContext, type EventInput, type Json, type RecordedEvent } from "@millrace/engine";
import { type EventHead, eventHead, hex } from "../event-json.ts";
import type { DescribeEvent } from "../ports.ts";
import { eventStoreError } from "./errors.ts";
import { readUuid, uuidBytes, uuidText, writeUuid } from "./uuid.ts";
import { WireMessage } from "./wire-reader.ts";
import { WireWriter } from "./wire-writer.ts";

export const JSON_TYPE = "application/json";
const BINARY_TYPE = "application/octet-stream";
const CONTENT_TYPE = "content-type";

/** Types that EventStoreDB gives a meaning. */
export const METADATA_TYPE = "$metadata";
export const TOMBSTONE_TYPE = "$streamDeleted";
export const LINK_TYPE = "$>";

/** Revision that EventStoreDB gives a tombstone: nothing can come after it. */
const TOMBSTONE_REVISION = 0x7fff_ffff_ffff_ffffn;
const NAME_BYTES_MAX = 32_768;

export interface ClientEvent {
  /** 16 bytes. */
  readonly id: Uint8Array;
  readonly type: string;
  readonly contentType: string;
  readonly metadata: Uint8Array;
  readonly data: Uint8Array;
}

/** Who writes, for the context of the events. */
export interface Author {
  readonly principal: string;
  readonly codeVersion: string;
}

/** `AppendReq.ProposedMessage`, of which `BatchAppendReq.ProposedMessage` is a twin. @throws EVENTSTORE-METADATA, EVENTSTORE-INVALID */
export function readProposed(message: WireMessage): ClientEvent {
  const { type, contentType } = propertiesOf(message);
  if (type === undefined || type === "" || contentType === undefined) {
    const details = { properties: "type,content-type" };
    throw eventStoreError("EVENTSTORE-METADATA", "a proposed event lacks type or content-type", { details });
  }
  mustBeWritableType(type);
  if (Buffer.byteLength(type) > NAME_BYTES_MAX)
    throw eventStoreError("EVENTSTORE-INVALID", "the type of an event is too long");
  return {
    id: readUuid(message.message(1)),
    type,
    contentType: contentType === JSON_TYPE ? JSON_TYPE : BINARY_TYPE,
    metadata: message.bytes(3),
    data: message.bytes(4),
  };
}

/** Of a name that is there twice the last counts, as in any map of protobuf. */
function propertiesOf(message: WireMessage): Readonly<Record<"type" | "contentType", string | undefined>> {
  let type: string | undefined;
  let contentType: string | undefined;
  for (const property of message.messages(2)) {
    const name = property.text(1);
    if (name === "type") type = property.text(2);
    else if (name === CONTENT_TYPE) contentType = property.text(2);
  }
  return { type, contentType };
}

/** A tombstone is what `Tombstone` writes, and nothing else may pass for one. @throws EVENTSTORE-INVALID */
export function mustBeWritableType(type: string): void {
  if (type === TOMBSTONE_TYPE)
    throw eventStoreError("EVENTSTORE-INVALID", `events of the type ${type} are written by Tombstone alone`);
}

export function storedEvent(event: ClientEvent, { principal, codeVersion }: Author): EventInput {
  const { id, metadata } = event;
  const context: EventContext = {
    causationId: idIn(metadata, "$causationId") ?? id,
    correlationId: idIn(metadata, "$correlationId") ?? id,
    principal,
    tenant: "",
    codeVersion,
    graph: "",
    graphRevision: 0,
    node: "",
    epoch: 0,
  };
  return { id, type: event.type, schemaVersion: CLIENT_SCHEMA, context, payload: payloadOf(event) };
}

/** An event with a JSON object as its data, as the endpoint itself writes. */
export function jsonEvent(id: Uint8Array, type: string, json: string): ClientEvent {
  return { id, type, contentType: JSON_TYPE, metadata: NOTHING, data: Buffer.from(json, "utf8") };
}

export function isClientEvent(event: RecordedEvent): boolean {
  return event.schemaVersion === CLIENT_SCHEMA;
}

/** The client's data of an event that {@link isClientEvent}. */
export function dataOf(event: RecordedEvent): Buffer {
  return new WireMessage(asBuffer(event.payload)).bytes(8);
}

/** What a client's event holds, or what Millrace's own is shown as. */
export function clientParts(
  event: RecordedEvent,
  describe: DescribeEvent,
): { readonly contentType: string; readonly data: string; readonly metadata: string } {
  const fields = new WireMessage(asBuffer(isClientEvent(event) ? event.payload : describedPayload(event, describe)));
  const contentType =
    fields
      .messages(6)
      .findLast((entry) => entry.text(1) === CONTENT_TYPE)
      ?.text(2) ?? BINARY_TYPE;
  return { contentType, data: fields.bytes(8).toString("utf8"), metadata: fields.bytes(7).toString("utf8") };
}

/** The same for people: data and metadata as JSON where they are, else their first bytes. Nothing for events of Millrace's own. */
export function describeClientEvent(event: RecordedEvent): Json | undefined {
  if (!isClientEvent(event)) return undefined;
  const fields = new WireMessage(asBuffer(event.payload));
  return { data: readable(fields.bytes(8)), metadata: fields.has(7) ? readable(fields.bytes(7)) : null };
}

function readable(bytes: Buffer): Json {
  try {
    return JSON.parse(bytes.toString("utf8")) as Json;
  } catch {
    return { bytes: bytes.length, hex: hex(bytes.subarray(0, 64)) };
  }
}

export interface RecordedOptions {
  readonly structuredIds: boolean;
  readonly describe: DescribeEvent;
}

/** The fields of `ReadResp.ReadEvent.RecordedEvent`. */
export function writeRecorded(writer: WireWriter, event: RecordedEvent, options: RecordedOptions): void {
  writeUuid(writer, 1, event.id, options.structuredIds);
  writeBody(writer, event, options.describe);
}

/** The same without the id, whose form the reader chooses. */
export function writeBody(writer: WireWriter, event: RecordedEvent, describe: DescribeEvent): void {
  const { position } = event;
  writer
    .message(2, (stream) => stream.text(3, event.stream))
    .uint(3, event.type === TOMBSTONE_TYPE && isClientEvent(event) ? TOMBSTONE_REVISION : event.revision)
    .uint(4, position)
    .uint(5, position);
  writeEntry(writer, "type", event.type);
  writeEntry(writer, "created", ticks(event.timeMs));
  writer.raw(isClientEvent(event) ? event.payload : describedPayload(event, describe));
}

/** Ticks of 100 ns since 1970, in decimal: of whole milliseconds they end with four zeros. */
function ticks(timeMs: number): string {
  const ms = Math.floor(timeMs);
  return ms === 0 ? "0" : `${ms}0000`;
}

function payloadOf({ contentType, metadata, data }: Omit<ClientEvent, "id" | "type">): Buffer {
  const writer = new WireWriter(data.length + metadata.length + 64);
  if (contentType === JSON_TYPE) writer.raw(JSON_ENTRY);
  else writeEntry(writer, CONTENT_TYPE, contentType);
  if (metadata.length > 0) writer.bytes(7, metadata);
  if (data.length > 0) writer.bytes(8, data);
  return writer.finish();
}

/** The payload of a link to the event, as EventStoreDB's projections write it. */
export function linkPayload({ stream, revision }: Pick<RecordedEvent, "stream" | "revision">): Buffer {
  const metadata = Buffer.from(JSON.stringify({ $o: stream }), "utf8");
  return payloadOf({ contentType: BINARY_TYPE, metadata, data: Buffer.from(`${revision}@${stream}`, "utf8") });
}

/** What Millrace wrote, as JSON: the payload as people read it, and the rest of the record as the metadata. */
function describedPayload(event: RecordedEvent, describe: DescribeEvent): Buffer {
  const { causationId, correlationId, payloadBytes: _bytes, ...head }: EventHead = eventHead(event);
  const ids = { $correlationId: uuidOfHex(correlationId), $causationId: uuidOfHex(causationId) };
  return payloadOf({
    contentType: JSON_TYPE,
    metadata: Buffer.from(JSON.stringify({ ...ids, ...head }), "utf8"),
    data: Buffer.from(JSON.stringify(describe(event)), "utf8"),
  });
}

function writeEntry(writer: WireWriter, key: string, value: string): void {
  writer.message(6, (entry) => entry.text(1, key).text(2, value));
}

const NOTHING = Buffer.alloc(0);
/** What nearly all payloads begin with. */
const JSON_ENTRY = new WireWriter().message(6, (entry) => entry.text(1, CONTENT_TYPE).text(2, JSON_TYPE)).finish();

/** EventStoreDB's conventions for ids in JSON metadata. Ids that are no UUIDs stay in the metadata alone. */
function idIn(metadata: Uint8Array, name: string): Uint8Array | undefined {
  if (metadata.length === 0 || !asBuffer(metadata).includes(`"${name}"`)) return undefined;
  try {
    const parsed: unknown = JSON.parse(asBuffer(metadata).toString("utf8"));
    const id = typeof parsed === "object" && parsed !== null ? (parsed as Record<string, unknown>)[name] : undefined;
    return typeof id === "string" ? uuidBytes(id) : undefined;
  } catch {
    // Metadata is the client's own business, JSON or not.
    return undefined;
  }
}

function uuidOfHex(digits: string): string {
  return uuidText(Buffer.from(digits, "hex"));
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
