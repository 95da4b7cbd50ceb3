/**
 * What the index adds to posting lists so that their events have numbers: of every list, one anchor per run of blocks. An anchor says
 * which number the first event of the run has, at which position it is and how many follow; numbers between anchors are counted
 * in the list itself. Categories and tags have no numbers in the dictionary: their names are in the keys.
 */
import { createHash } from "node:crypto";
import type { OrderedReader, OrderedWriter } from "@millrace/engine";
import { categoryOf } from "@millrace/engine/worker";
import { afterPrefix, LIST_TABLE, NAME_TABLE, nameKey, numberOfKey, positionKey, postingPrefix } from "./index-keys.ts";

/** Events of one stream in a run of blocks, by their numbers in the run. */
export interface StreamRows {
  readonly firstRevision: number;
  readonly events: number[];
}

export interface Anchor {
  /** Of its first event in the list. */
  readonly number: number;
  readonly position: number;
  readonly count: number;
}

const NAME_BYTES_MAX = 300;
const STREAMS_KEPT = 50_000;
/** One event of so many is enough for marks to be cheaper than a sort. */
const MARKED_SHARE = 16;

/** A category or tag as part of a key: no name's key begins another's, and long ones are known by their hash. */
export function textKey(text: string): Buffer {
  const name = Buffer.from(text, "utf8");
  const short = name.length <= NAME_BYTES_MAX ? name : createHash("sha256").update(name).digest();
  const length = Buffer.allocUnsafe(2);
  length.writeUInt16BE(Math.min(name.length, 0xffff), 0);
  return Buffer.concat([length, short]);
}

/** Categories of streams by their numbers, kept from job to job. */
export class StreamCategories {
  readonly #known = new Map<number, string | undefined>();

  of(stream: number, names: OrderedReader): string | undefined {
    if (this.#known.has(stream)) return this.#known.get(stream);
    const name = names.get(NAME_TABLE, nameKey("stream", stream));
    if (name === undefined) return undefined;
    const category = categoryOf(Buffer.from(name).toString("utf8"));
    if (this.#known.size >= STREAMS_KEPT) this.#known.clear();
    this.#known.set(stream, category);
    return category;
  }
}

/** Events by the prefix of their category's list, each ascending. */
export function categoryRows(
  tx: OrderedReader,
  streams: ReadonlyMap<number, StreamRows>,
  categories: StreamCategories,
): ReadonlyMap<Buffer, readonly number[]> {
  const parts = new Map<string, (readonly number[])[]>();
  for (const [stream, { events }] of streams) {
    const category = categories.of(stream, tx);
    if (category === undefined) continue;
    const known = parts.get(category);
    if (known === undefined) parts.set(category, [events]);
    else known.push(events);
  }
  return new Map(
    Array.from(parts, ([category, lists]) => [postingPrefix("category", textKey(category)), merged(lists)] as const),
  );
}

/** The first events of streams, ascending. */
export function startRows(streams: ReadonlyMap<number, StreamRows>): readonly number[] {
  const starts: number[] = [];
  for (const { firstRevision, events } of streams.values()) if (firstRevision === 0) starts.push(events[0] as number);
  return starts.sort((a, b) => a - b);
}

/** The next `count` events of a list, the first of them at `position`. */
export function writeAnchor(tx: OrderedWriter, prefix: Buffer, position: number, count: number): void {
  // Beside the anchors, under the prefix alone: a look at it is far cheaper than one for the last anchor.
  const next = tx.get(LIST_TABLE, prefix);
  const number = next === undefined ? 0 : numberOfKey(next, 0);
  tx.put(LIST_TABLE, prefix, positionKey(number + count));
  const value = Buffer.allocUnsafe(12);
  positionKey(position).copy(value, 0);
  value.writeUInt32BE(count, 8);
  tx.put(LIST_TABLE, Buffer.concat([prefix, positionKey(number)]), value);
}

/** Anchors of a list, the last first; of those that hold numbers up to `number` when that is given. */
export function* anchorsBack(reader: OrderedReader, prefix: Buffer, number?: number): Generator<Anchor> {
  const lt = number === undefined ? afterPrefix(prefix) : Buffer.concat([prefix, positionKey(number + 1)]);
  const range = { gte: Buffer.concat([prefix, positionKey(0)]), lt, reverse: true };
  for (const { key, value } of reader.range(LIST_TABLE, range)) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    yield { number: numberOfKey(key, prefix.length), position: numberOfKey(bytes, 0), count: bytes.readUInt32BE(8) };
  }
}

/** Of ascending lists. Most categories have most events of a run: they are marked and gathered, which takes far less than to sort them. */
export function merged(lists: readonly (readonly number[])[]): readonly number[] {
  if (lists.length === 1) return lists[0] as readonly number[];
  const count = lists.reduce((sum, list) => sum + list.length, 0);
  const end = lists.reduce((most, list) => Math.max(most, (list.at(-1) ?? -1) + 1), 0);
  if (count * MARKED_SHARE < end) return Array.from(Uint32Array.from(lists.flat()).sort());
  const marks = new Uint8Array(end);
  for (const list of lists) for (const event of list) marks[event] = 1;
  const events: number[] = [];
  for (let event = 0; event < end; event++) if (marks[event] === 1) events.push(event);
  return events;
}
