/**
 * What outlives the records below the base: the end of every stream, the names that numbers stand for, and the time of the
 * last event (L-R26). An index that has to be made again begins with it, so that a stream whose events are all gone goes on with
 * its revisions, a closed one stays closed, and metadata hold on.
 */
import { createHash } from "node:crypto";
import { type Disk, METASTREAM, type OrderedStore, type StoredRecord } from "@millrace/engine";
import { type CarriedEnd, encodeCarried, UNKNOWN_TYPE } from "./carried-end.ts";
import { type Dictionary, decodeNames, NAME_KINDS, type Name, TYPE_NAME } from "./dictionary.ts";
import { embeddedLogError } from "./errors.ts";
import { CARRIED_BASE_KEY, CARRIED_TABLE, positionKey, streamKey } from "./index-keys.ts";
import { writeName } from "./index-rows.ts";
import { viewOf } from "./little-endian.ts";
import type { Manifest } from "./manifest.ts";
import { revisionAt, schemaVersionAt, streamAt, timeMsAt, typeAt } from "./record.ts";
import { readFully, unlinkIfThere, writeFully } from "./segment-files.ts";

/** Beside the file in the manifest; absent: 1, which knew revisions only. */
export const CARRY_FORMAT = 2;
const CARRY_NAME = /^carry-\d{10}(-\d+)?\.json$/;
/** Rows of one transaction, so that others have their turn between. */
const ROWS_AT_ONCE = 1024;

export type CarryFile = NonNullable<Manifest["carry"]>;

/** Everything below a position, as far as appends and readers of streams need it. */
export class Carry {
  /** By the stream's number. */
  readonly ends: Map<number, CarriedEnd>;
  readonly names: Name[];
  /** Time of the last event, in ms since 1970. */
  timeMs: number;

  constructor(ends: Iterable<readonly [number, CarriedEnd]> = [], names: readonly Name[] = [], timeMs = 0) {
    this.ends = new Map(ends);
    this.names = [...names];
    this.timeMs = timeMs;
  }

  /** The next record. */
  add({ header, payload, isControl }: StoredRecord, streamName: (number: number) => string): void {
    const view = viewOf(header);
    this.timeMs = Math.max(this.timeMs, timeMsAt(view, 0));
    if (isControl) {
      if (typeAt(view, 0) === TYPE_NAME) this.names.push(...decodeNames(payload));
      return;
    }
    const stream = streamAt(view, 0);
    const keeps = streamName(stream).startsWith(METASTREAM);
    this.ends.set(stream, {
      revision: revisionAt(view, 0),
      type: typeAt(view, 0),
      schemaVersion: schemaVersionAt(view, 0),
      record: keeps ? Buffer.concat([header, payload]) : undefined,
    });
  }

  /** Into an index from which everything below `base` is gone, or will be. */
  async writeTo(store: OrderedStore, base: number): Promise<void> {
    const rows = [...this.ends];
    for (let at = 0; at < rows.length; at += ROWS_AT_ONCE) {
      const part = rows.slice(at, at + ROWS_AT_ONCE);
      await store.transact((tx) => {
        for (const [stream, end] of part) tx.put(CARRIED_TABLE, streamKey(stream, 0), encodeCarried(end));
      });
    }
    await store.transact((tx) => tx.put(CARRIED_TABLE, CARRIED_BASE_KEY, positionKey(base)));
  }

  /** Into an index that has nothing. */
  writeNamesTo(store: OrderedStore): Promise<void> {
    return store.transact((tx) => {
      for (const name of this.names) writeName(tx, name);
    });
  }

  teach(names: Dictionary): void {
    for (const name of this.names) names.learn(name);
  }
}

/**
 * Makes the carry of a log that is kept from segment `serial` on durable, under a name of its own.
 *
 * @param before the file that the manifest names now
 */
export async function writeCarry(
  disk: Disk,
  directory: string,
  serial: number,
  carry: Carry,
  before: CarryFile | null,
): Promise<CarryFile> {
  const { ends, names, timeMs } = carry;
  const text = JSON.stringify({
    format: CARRY_FORMAT,
    timeMs,
    ends: Array.from(ends, ([stream, { revision, type, schemaVersion, record }]) => [
      stream,
      revision,
      type,
      schemaVersion,
      ...(record === undefined ? [] : [Buffer.from(record).toString("base64")]),
    ]),
    names: names.map(({ kind, number, name }) => [NAME_KINDS.indexOf(kind), number, name]),
  });
  const bytes = Buffer.from(text, "utf8");
  const plain = `carry-${String(serial).padStart(10, "0")}`;
  const file = before?.file === `${plain}.json` ? `${plain}-${CARRY_FORMAT}.json` : `${plain}.json`;
  const temporary = `${directory}/${file}.tmp`;
  const open = await disk.open(temporary, { mode: "create" });
  try {
    await writeFully(open, bytes, 0, temporary);
    await open.sync();
  } finally {
    await open.close();
  }
  await disk.rename(temporary, `${directory}/${file}`);
  await disk.syncDirectory(directory);
  return { file, sha256: createHash("sha256").update(bytes).digest("hex"), format: CARRY_FORMAT };
}

/** @throws LOG-MANIFEST the file that the manifest names is missing or is not what was written */
export async function readCarry(disk: Disk, directory: string, { file, sha256 }: CarryFile): Promise<Carry> {
  const path = `${directory}/${file}`;
  const refuse = (why: string): Error => embeddedLogError("LOG-MANIFEST", why, { place: { file: path } });
  const found = await disk.stat(path);
  if (found === undefined) throw refuse("the carried heads that the manifest names are missing");
  const bytes = Buffer.alloc(found.sizeBytes);
  const open = await disk.open(path, { mode: "read" });
  try {
    await readFully(open, bytes, 0, path);
  } finally {
    await open.close();
  }
  if (createHash("sha256").update(bytes).digest("hex") !== sha256) throw refuse("the carried heads are damaged");
  // The hash holds, so these are the bytes that writeCarry wrote.
  const carry = JSON.parse(bytes.toString("utf8")) as StoredCarry;
  const names = carry.names.map(([kind, number, name]) => ({ kind: NAME_KINDS[kind] ?? "stream", number, name }));
  return new Carry(endsOf(carry), names, carry.timeMs);
}

interface StoredCarry {
  readonly timeMs: number;
  /** Of format 1: stream and revision. */
  readonly heads?: readonly (readonly [number, number])[];
  readonly ends?: readonly (readonly [number, number, number, number, string?])[];
  readonly names: readonly (readonly [number, number, string])[];
}

function endsOf({ heads = [], ends = [] }: StoredCarry): (readonly [number, CarriedEnd])[] {
  const old = heads.map(([stream, revision]) => {
    return [stream, { revision, type: UNKNOWN_TYPE, schemaVersion: 0, record: undefined }] as const;
  });
  const known = ends.map(([stream, revision, type, schemaVersion, record]) => {
    const bytes = record === undefined ? undefined : Buffer.from(record, "base64");
    return [stream, { revision, type, schemaVersion, record: bytes }] as const;
  });
  return [...old, ...known];
}

/** Removes carries that the manifest does not name. */
export async function sweepCarries(disk: Disk, directory: string, manifest: Manifest): Promise<void> {
  for (const name of await disk.list(directory)) {
    if (CARRY_NAME.test(name) && name !== manifest.carry?.file) await unlinkIfThere(disk, `${directory}/${name}`);
  }
}
