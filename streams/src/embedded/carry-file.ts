/**
 * The file of what is carried below the base (L-R26): written and read in pieces, so that it takes no more memory however many
 * streams there were. An index that has to be made again begins with it, so that a stream whose events are all gone goes on with
 * its revisions, a closed one stays closed, and metadata hold on.
 *
 * `u32 magic, u32 version`, then pieces `u32 length, u32 crc32c, msgpack`: one `[0, timeMs]`, any number of `[1, names]` and `[2, ends]`, and
 * last `[3, number of names, number of ends]`, by which a file that was cut is told. So it can be trusted without the manifest, too.
 */
import { createHash, type Hash } from "node:crypto";
import { type Disk, type DiskFile, type OrderedStore, packState, type StateEvent, unpackState } from "@millrace/engine";
import { type CarriedEnd, encodeCarried } from "./carried-end.ts";
import type { Carry } from "./carry.ts";
import { crc32c } from "./crc32c.ts";
import { type Dictionary, NAME_KINDS, type Name } from "./dictionary.ts";
import { embeddedLogError } from "./errors.ts";
import { CARRIED_BASE_KEY, CARRIED_TABLE, positionKey, streamKey } from "./index-keys.ts";
import { writeName } from "./index-rows.ts";
import { viewOf } from "./little-endian.ts";
import type { Manifest } from "./manifest.ts";
import { readFully, unlinkIfThere, writeFully } from "./segment-files.ts";

const CARRY_FORMAT = 3;
const MAGIC = 0x5943_524d; // "MRCY"
const HEADER_BYTES = 8;
const CARRY_NAME = /^carry-(\d{10})(?:-\d+)?\.bin$/;
/** A piece ends with the row that reaches either. */
const PIECE_ROWS = 1024;
const PIECE_BYTES = 64 * 1024;
const ROW_BYTES = 32;
/** Read at once. */
const READ_BYTES = 256 * 1024;

const TIME = 0;
const NAMES = 1;
const ENDS = 2;
const LAST = 3;

type PackedName = [kind: number, number: number, name: string];
type PackedEnd = [stream: number, revision: number, type: number, schemaVersion: number, record: Uint8Array | null];
type Piece =
  | [typeof TIME, number]
  | [typeof NAMES, PackedName[]]
  | [typeof ENDS, PackedEnd[]]
  | [typeof LAST, number, number];

export type CarryFile = NonNullable<Manifest["carry"]>;
type StreamEnd = readonly [stream: number, end: CarriedEnd];

/** Some of what is carried; the time in the first. */
interface CarriedPart {
  readonly timeMs: number;
  readonly names: readonly Name[];
  readonly ends: readonly StreamEnd[];
}

/** What is carried, as the manifest names it; nothing for `null`. */
export class StoredCarry {
  /** Of the last event, in ms since 1970. */
  readonly timeMs: number;
  readonly #parts: () => AsyncIterable<CarriedPart>;

  private constructor(timeMs: number, parts: () => AsyncIterable<CarriedPart>) {
    this.timeMs = timeMs;
    this.#parts = parts;
  }

  /** Reads all of it, to see that it is what was written. @throws LOG-MANIFEST it is missing or damaged */
  static async open(disk: Disk, directory: string, file: CarryFile | null): Promise<StoredCarry> {
    const parts = (): AsyncIterable<CarriedPart> => partsOf(disk, directory, file);
    let timeMs = 0;
    for await (const part of parts()) timeMs = Math.max(timeMs, part.timeMs);
    return new StoredCarry(timeMs, parts);
  }

  async *names(): AsyncGenerator<Name> {
    for await (const { names } of this.#parts()) yield* names;
  }

  async *ends(): AsyncGenerator<StreamEnd> {
    for await (const { ends } of this.#parts()) yield* ends;
  }

  /** Into an index from which everything below `base` is gone, or will be. */
  async writeTo(store: OrderedStore, base: number): Promise<void> {
    for await (const { ends } of this.#parts()) {
      await store.transact((tx) => {
        for (const [stream, end] of ends) tx.put(CARRIED_TABLE, streamKey(stream, 0), encodeCarried(end));
      });
    }
    await store.transact((tx) => tx.put(CARRIED_TABLE, CARRIED_BASE_KEY, positionKey(base)));
  }

  /** Into an index that has nothing; the dictionary is told which numbers are taken, and finds the names there. */
  async writeNamesTo(store: OrderedStore, dictionary: Dictionary): Promise<void> {
    const next = NAME_KINDS.map(() => 0);
    for await (const { names } of this.#parts()) {
      await store.transact((tx) => {
        for (const name of names) writeName(tx, name);
      });
      for (const { kind, number } of names) {
        const at = NAME_KINDS.indexOf(kind);
        next[at] = Math.max(next[at] ?? 0, number + 1);
      }
    }
    dictionary.restoreNextNumbers(next);
  }
}

/** The serial of the first segment that is not below a carry; `undefined` for any other file. */
export function serialOfCarry(name: string): number | undefined {
  const match = CARRY_NAME.exec(name);
  return match?.[1] === undefined ? undefined : Number(match[1]);
}

/** A file as a manifest would name it, seen without one; `undefined` when it is not whole or does not say so itself. */
export async function carryFileAt(disk: Disk, directory: string, file: string): Promise<CarryFile | undefined> {
  const hash = createHash("sha256");
  try {
    for await (const _ of storedParts(disk, `${directory}/${file}`, hash));
  } catch {
    return undefined;
  }
  return { file, sha256: hash.digest("hex") };
}

/**
 * Makes durable, under a name of its own, what is carried of a log that is kept from segment `serial` on: what was before, and what
 * `added` knows better.
 */
export async function writeCarry(
  disk: Disk,
  directory: string,
  serial: number,
  before: CarryFile | null,
  added: Carry,
): Promise<CarryFile> {
  const carried = await StoredCarry.open(disk, directory, before);
  const file = `carry-${String(serial).padStart(10, "0")}.bin`;
  const temporary = `${directory}/${file}.tmp`;
  const open = await disk.open(temporary, { mode: "create" });
  let sha256: string;
  try {
    const writer = new CarryWriter(open, temporary);
    await writer.begin(Math.max(carried.timeMs, added.timeMs));
    for await (const name of carried.names()) await writer.name(name);
    for (const name of added.names) await writer.name(name);
    for await (const [stream, end] of carried.ends()) if (!added.ends.has(stream)) await writer.end(stream, end);
    for (const [stream, end] of added.ends) await writer.end(stream, end);
    sha256 = await writer.finish();
    await open.sync();
  } finally {
    await open.close();
  }
  await disk.rename(temporary, `${directory}/${file}`);
  await disk.syncDirectory(directory);
  return { file, sha256 };
}

class CarryWriter {
  readonly #file: DiskFile;
  readonly #path: string;
  readonly #hash = createHash("sha256");
  #at = 0;
  #names: PackedName[] = [];
  #ends: PackedEnd[] = [];
  #bytes = 0;
  #nameCount = 0;
  #endCount = 0;

  constructor(file: DiskFile, path: string) {
    this.#file = file;
    this.#path = path;
  }

  async begin(timeMs: number): Promise<void> {
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt32LE(MAGIC, 0);
    header.writeUInt32LE(CARRY_FORMAT, 4);
    await this.#write(header);
    await this.#piece([TIME, timeMs]);
  }

  async name({ kind, number, name }: Name): Promise<void> {
    this.#names.push([NAME_KINDS.indexOf(kind), number, name]);
    this.#nameCount++;
    if (this.#isFull(this.#names, name.length)) await this.#flush();
  }

  async end(stream: number, { revision, type, schemaVersion, record }: CarriedEnd): Promise<void> {
    this.#ends.push([stream, revision, type, schemaVersion, record ?? null]);
    this.#endCount++;
    if (this.#isFull(this.#ends, record?.length ?? 0)) await this.#flush();
  }

  /** Resolves with the hash of the whole file. */
  async finish(): Promise<string> {
    await this.#flush();
    await this.#piece([LAST, this.#nameCount, this.#endCount]);
    return this.#hash.digest("hex");
  }

  #isFull(rows: readonly unknown[], bytes: number): boolean {
    this.#bytes += ROW_BYTES + bytes;
    return rows.length >= PIECE_ROWS || this.#bytes >= PIECE_BYTES;
  }

  async #flush(): Promise<void> {
    if (this.#names.length > 0) await this.#piece([NAMES, this.#names]);
    if (this.#ends.length > 0) await this.#piece([ENDS, this.#ends]);
    this.#names = [];
    this.#ends = [];
    this.#bytes = 0;
  }

  async #piece(piece: Piece): Promise<void> {
    const packed = packState(piece as unknown as StateEvent);
    const bytes = Buffer.alloc(HEADER_BYTES + packed.length);
    bytes.set(packed, HEADER_BYTES);
    bytes.writeUInt32LE(packed.length, 0);
    bytes.writeUInt32LE(crc32c(viewOf(bytes), HEADER_BYTES, bytes.length), 4);
    await this.#write(bytes);
  }

  async #write(bytes: Buffer): Promise<void> {
    this.#hash.update(bytes);
    await writeFully(this.#file, bytes, this.#at, this.#path);
    this.#at += bytes.length;
  }
}

/** @throws LOG-MANIFEST the file that the manifest names is missing or is not what was written */
async function* partsOf(disk: Disk, directory: string, file: CarryFile | null): AsyncGenerator<CarriedPart> {
  if (file === null) return;
  const path = `${directory}/${file.file}`;
  if ((await disk.stat(path)) === undefined)
    throw refuse(path, "the carried heads that the manifest names are missing");
  const hash = createHash("sha256");
  yield* storedParts(disk, path, hash);
  if (hash.digest("hex") !== file.sha256) throw damaged(path);
}

/** @throws LOG-MANIFEST a piece is not what was written, or is missing */
async function* storedParts(disk: Disk, path: string, hash: Hash): AsyncGenerator<CarriedPart> {
  const open = await disk.open(path, { mode: "read" });
  try {
    const sizeBytes = await open.size();
    let at = 0;
    let ahead = Buffer.alloc(0);
    const read = async (length: number): Promise<Buffer> => {
      if (at + length > sizeBytes) throw damaged(path);
      if (ahead.length < length) {
        ahead = Buffer.allocUnsafeSlow(Math.min(sizeBytes - at, Math.max(length, READ_BYTES)));
        await readFully(open, ahead, at, path);
      }
      const bytes = ahead.subarray(0, length);
      ahead = ahead.subarray(length);
      hash.update(bytes);
      at += length;
      return bytes;
    };
    const header = await read(HEADER_BYTES);
    if (header.readUInt32LE(0) !== MAGIC || header.readUInt32LE(4) !== CARRY_FORMAT) throw damaged(path);
    for (let [names, ends] = [0, 0]; ; ) {
      const place = await read(HEADER_BYTES);
      const [length, crc] = [place.readUInt32LE(0), place.readUInt32LE(4)];
      const bytes = await read(length);
      if (crc32c(viewOf(bytes), 0, length) !== crc) throw damaged(path);
      // The checksum holds, so this is what `CarryWriter` wrote.
      const piece = unpackState(bytes) as unknown as Piece;
      if (piece[0] === LAST) {
        if (piece[1] !== names || piece[2] !== ends || at !== sizeBytes) throw damaged(path);
        return;
      }
      const part = partOf(piece);
      names += part.names.length;
      ends += part.ends.length;
      yield part;
    }
  } finally {
    await open.close();
  }
}

function partOf(piece: Exclude<Piece, [typeof LAST, number, number]>): CarriedPart {
  switch (piece[0]) {
    case TIME:
      return { timeMs: piece[1], names: [], ends: [] };
    case NAMES:
      return { timeMs: 0, names: piece[1].map(nameOf), ends: [] };
    case ENDS:
      return { timeMs: 0, names: [], ends: piece[1].map(endOf) };
  }
}

function nameOf([kind, number, name]: readonly [number, number, string]): Name {
  return { kind: NAME_KINDS[kind] ?? "stream", number, name };
}

function endOf([stream, revision, type, schemaVersion, record]: PackedEnd): StreamEnd {
  return [stream, { revision, type, schemaVersion, record: record ?? undefined }];
}

/** Removes carries that the manifest does not name. */
export async function sweepCarries(disk: Disk, directory: string, manifest: Manifest): Promise<void> {
  for (const name of await disk.list(directory)) {
    if (serialOfCarry(name) !== undefined && name !== manifest.carry?.file)
      await unlinkIfThere(disk, `${directory}/${name}`);
  }
}

function damaged(path: string): Error {
  return refuse(path, "the carried heads are damaged");
}

function refuse(path: string, why: string): Error {
  return embeddedLogError("LOG-MANIFEST", why, { place: { file: path } });
}
