/** What the index knows, read synchronously: streams, postings, blocks, names, and how far it has come. */
import type { OrderedReader, OrderedStore } from "@millrace/engine";
import { type CarriedEnd, decodeCarried } from "./carried-end.ts";
import type { NameKind, NameSource } from "./dictionary.ts";
import {
  afterPrefix,
  BLOCK_TABLE,
  CARRIED_BASE_KEY,
  CARRIED_TABLE,
  CURSOR_KEY,
  CURSOR_TABLE,
  decodeLocations,
  INDEX_TABLES,
  locationsIn,
  NAME_TABLE,
  NUMBER_TABLE,
  nameKey,
  numberKey,
  numberOfKey,
  POSTING_TABLE,
  type PostingKind,
  positionKey,
  postingPrefix,
  STREAM_TABLE,
  streamKey,
} from "./index-keys.ts";
import type { BlockLocation, RecordLocation } from "./tail-table.ts";
import type { Witness } from "./witnesses.ts";

/** How far the index has come: the block that ends at `pos`, whose header checksum is `chain` (L-R22). */
export interface IndexCursor {
  readonly logId: string;
  readonly pos: number;
  readonly chain: number;
  readonly serial: number;
  readonly offset: number;
  readonly bytes: number;
  /** Next dictionary numbers. */
  readonly names: readonly number[];
}

export class LogIndex implements NameSource {
  readonly store: OrderedStore;

  constructor(store: OrderedStore) {
    this.store = store;
  }

  cursor(): IndexCursor | undefined {
    const value = this.store.get(CURSOR_TABLE, CURSOR_KEY);
    // Written by the follower in the same format; another version of it would be another table.
    return value === undefined ? undefined : (JSON.parse(Buffer.from(value).toString("utf8")) as IndexCursor);
  }

  /** Deletes everything: the next catch-up begins at the log's base. */
  async wipe(): Promise<void> {
    for (const table of INDEX_TABLES) await this.store.drop(table);
  }

  numberOf(kind: NameKind, name: string): number | undefined {
    return numberIn(this.store, kind, name);
  }

  nameOf(kind: NameKind, number: number): string | undefined {
    const value = this.store.get(NAME_TABLE, nameKey(kind, number));
    return value === undefined ? undefined : Buffer.from(value).toString("utf8");
  }

  /** Revision of the stream's last indexed or carried event, -1 when there is none. */
  headOf(stream: number): number {
    const range = { gte: streamKey(stream, 0), lt: streamKey(stream + 1, 0), reverse: true, limit: 1 };
    for (const { key, value } of this.store.range(STREAM_TABLE, range)) {
      return numberOfKey(key, 4) + locationsIn(value) - 1;
    }
    return this.carriedEnd(stream)?.revision ?? -1;
  }

  carriedEnd(stream: number): CarriedEnd | undefined {
    const value = this.store.get(CARRIED_TABLE, streamKey(stream, 0));
    return value === undefined ? undefined : decodeCarried(value);
  }

  /** The base that the carried ends belong to, 0 when there are none. */
  carriedBase(): number {
    const value = this.store.get(CARRIED_TABLE, CARRIED_BASE_KEY);
    return value === undefined ? 0 : numberOfKey(value, 0);
  }

  /** Where exactly this revision is; `undefined` when the index has no row of it. */
  locationOf(stream: number, revision: number): RecordLocation | undefined {
    const range = { gte: streamKey(stream, 0), lt: streamKey(stream, revision + 1), reverse: true, limit: 1 };
    for (const { key, value } of this.store.range(STREAM_TABLE, range))
      return decodeLocations(value)[revision - numberOfKey(key, 4)];
    return undefined;
  }

  /** Locations of a stream's events from `revision` on, in the direction, at most `limit`. */
  streamFrom(stream: number, revision: number, backward: boolean, limit: number): RecordLocation[] {
    const found: RecordLocation[] = [];
    const start = backward ? revision + 1 : this.#entryStart(stream, revision);
    const range = backward
      ? { gte: streamKey(stream, 0), lt: streamKey(stream, start), reverse: true }
      : { gte: streamKey(stream, start), lt: streamKey(stream + 1, 0) };
    for (const { key, value } of this.store.range(STREAM_TABLE, range)) {
      const first = numberOfKey(key, 4);
      const locations = decodeLocations(value);
      const wanted = backward
        ? locations.slice(0, Math.max(0, revision - first + 1)).reverse()
        : locations.slice(Math.max(0, revision - first));
      found.push(...wanted);
      if (found.length >= limit) break;
    }
    return found.slice(0, limit);
  }

  /** Locations of events that a posting list holds, from `position` on in the direction; whole entries, at least `limit` if there are. */
  postings(
    kind: PostingKind,
    value: number | Uint8Array,
    position: number,
    backward: boolean,
    limit: number,
  ): RecordLocation[] {
    const prefix = postingPrefix(kind, value);
    const at = (from: number): Buffer => Buffer.concat([prefix, positionKey(from)]);
    const found: RecordLocation[] = [];
    const range = backward
      ? { gte: at(0), lt: at(position + 1), reverse: true }
      : { gte: this.#postingStart(prefix, position), lt: afterPrefix(prefix) };
    for (const entry of this.store.range(POSTING_TABLE, range)) {
      const locations = decodeLocations(entry.value);
      const wanted = backward
        ? locations.filter((location) => location.position <= position).reverse()
        : locations.filter((location) => location.position >= position);
      found.push(...wanted);
      if (found.length >= limit) break;
    }
    return found;
  }

  /** The last indexed block that begins at or before `position`. */
  blockAt(position: number): BlockLocation | undefined {
    const range = { lt: positionKey(position + 1), reverse: true, limit: 1 };
    for (const { key, value } of this.store.range(BLOCK_TABLE, range)) return decodeBlock(key, value);
    return undefined;
  }

  #entryStart(stream: number, revision: number): number {
    const range = { gte: streamKey(stream, 0), lt: streamKey(stream, revision + 1), reverse: true, limit: 1 };
    for (const { key } of this.store.range(STREAM_TABLE, range)) return numberOfKey(key, 4);
    return revision;
  }

  #postingStart(prefix: Buffer, position: number): Buffer {
    const range = {
      gte: Buffer.concat([prefix, positionKey(0)]),
      lt: Buffer.concat([prefix, positionKey(position + 1)]),
      reverse: true,
      limit: 1,
    };
    for (const { key } of this.store.range(POSTING_TABLE, range)) return Buffer.from(key);
    return Buffer.concat([prefix, positionKey(position)]);
  }
}

/** Names too long for a key are chained in one value: (number, length, name) after each other. */
export function numberIn(reader: OrderedReader, kind: NameKind, name: string): number | undefined {
  const value = reader.get(NUMBER_TABLE, numberKey(kind, name));
  if (value === undefined) return undefined;
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  for (let at = 0; at + 8 <= bytes.length; ) {
    const end = at + 8 + bytes.readUInt32BE(at + 4);
    if (bytes.toString("utf8", at + 8, end) === name) return bytes.readUInt32BE(at);
    at = end;
  }
  return undefined;
}

export function encodeBlock(block: BlockLocation): Buffer {
  const value = Buffer.allocUnsafe(20);
  value.writeUInt32BE(block.serial, 0);
  value.writeUInt32BE(block.offset, 4);
  value.writeUInt32BE(block.bytes, 8);
  value.writeUInt32BE(block.count, 12);
  value.writeUInt32BE(block.headCrc, 16);
  return value;
}

function decodeBlock(key: Uint8Array, value: Uint8Array): BlockLocation {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return {
    first: numberOfKey(key, 0),
    serial: bytes.readUInt32BE(0),
    offset: bytes.readUInt32BE(4),
    bytes: bytes.readUInt32BE(8),
    count: bytes.readUInt32BE(12),
    headCrc: bytes.readUInt32BE(16),
  };
}

/** What the index in a store has seen of its log, for somebody else than the log; `undefined` when it has seen nothing. */
export function indexWitness(store: OrderedStore): Omit<Witness, "name"> | undefined {
  const cursor = new LogIndex(store).cursor();
  return cursor === undefined ? undefined : { logId: cursor.logId, pos: cursor.pos, chain: cursor.chain };
}
