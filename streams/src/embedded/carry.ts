/**
 * What outlives the records below the base: the head of every stream, the names that numbers stand for, and the time of the
 * last event (L-R26). An index that has to be made again begins with it, so that a stream whose events are all gone goes on with
 * its revisions.
 */
import { createHash } from "node:crypto";
import type { Disk, OrderedWriter } from "@millrace/engine";
import { type Dictionary, NAME_KINDS, type Name } from "./dictionary.ts";
import { embeddedLogError } from "./errors.ts";
import { CARRIED_TABLE, positionKey, streamKey } from "./index-keys.ts";
import { writeName } from "./index-rows.ts";
import type { Manifest } from "./manifest.ts";
import { readFully, unlinkIfThere, writeFully } from "./segment-files.ts";

const FORMAT = 1;
const CARRY_NAME = /^carry-\d{10}\.json$/;

export type CarryFile = NonNullable<Manifest["carry"]>;

/** Everything below a position, as far as appends need it. */
export class Carry {
  /** Revision of the last event of each stream, by the stream's number. */
  readonly heads: Map<number, number>;
  readonly names: Name[];
  /** Time of the last event, in ms since 1970. */
  timeMs: number;

  constructor(heads: Iterable<readonly [number, number]> = [], names: readonly Name[] = [], timeMs = 0) {
    this.heads = new Map(heads);
    this.names = [...names];
    this.timeMs = timeMs;
  }

  copy(): Carry {
    return new Carry(this.heads, this.names, this.timeMs);
  }

  writeTo(tx: OrderedWriter): void {
    for (const name of this.names) writeName(tx, name);
    for (const [stream, head] of this.heads) tx.put(CARRIED_TABLE, streamKey(stream, 0), positionKey(head));
  }

  teach(names: Dictionary): void {
    for (const name of this.names) names.learn(name);
  }
}

/** Makes the carry of a log that is kept from segment `serial` on durable, under a name of its own. */
export async function writeCarry(disk: Disk, directory: string, serial: number, carry: Carry): Promise<CarryFile> {
  const { heads, names, timeMs } = carry;
  const text = JSON.stringify({
    format: FORMAT,
    timeMs,
    heads: [...heads],
    names: names.map(({ kind, number, name }) => [NAME_KINDS.indexOf(kind), number, name]),
  });
  const bytes = Buffer.from(text, "utf8");
  const file = `carry-${String(serial).padStart(10, "0")}.json`;
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
  return { file, sha256: createHash("sha256").update(bytes).digest("hex") };
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
  const carry = JSON.parse(bytes.toString("utf8")) as {
    readonly timeMs: number;
    readonly heads: readonly (readonly [number, number])[];
    readonly names: readonly (readonly [number, number, string])[];
  };
  const names = carry.names.map(([kind, number, name]) => ({ kind: NAME_KINDS[kind] ?? "stream", number, name }));
  return new Carry(carry.heads, names, carry.timeMs);
}

/** Removes carries that the manifest does not name. */
export async function sweepCarries(disk: Disk, directory: string, manifest: Manifest): Promise<void> {
  for (const name of await disk.list(directory)) {
    if (CARRY_NAME.test(name) && name !== manifest.carry?.file) await unlinkIfThere(disk, `${directory}/${name}`);
  }
}
