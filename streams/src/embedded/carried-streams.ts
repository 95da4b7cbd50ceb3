/**
 * What is carried of single streams when their events are pruned: events that still count, record by record as they were, and what the
 * others add up to, as whoever folds the stream encodes it. One file that every prune writes anew and the manifest names by its hash;
 * it is truth, because the records that gave it are gone (L-R28).
 *
 * `u32 magic, u32 version`, then for each stream `u32 length, u32 crc32c, u16 length of the name, name, msgpack [revision, records, state]`;
 * the length and the checksum are of what follows the two.
 */
import { createHash } from "node:crypto";
import {
  type CarriedStream,
  type Disk,
  type DiskFile,
  packState,
  type StreamCarry,
  unpackState,
} from "@millrace/engine";
import type { Crc32c } from "./crc32c.ts";
import type { Dictionary } from "./dictionary.ts";
import { embeddedLogError } from "./errors.ts";
import { viewOf } from "./little-endian.ts";
import type { Manifest } from "./manifest.ts";
import { positionAt } from "./record.ts";
import { LogRecord } from "./recorded-event.ts";
import type { RulesOff } from "./rules.ts";
import { readFully, unlinkIfThere, writeFully } from "./segment-files.ts";

const MAGIC = 0x5343_524d; // "MRCS"
const VERSION = 1;
const HEADER_BYTES = 8;
const ENTRY_BYTES = 8;
const NAME_BYTES = 2;
const PIECE_BYTES = 1024 * 1024;
/** Of an entry, with which most names are whole. */
const BEGIN_BYTES = 256;
const FILE_NAME = /^streams-\d{10}\.bin$/;

export type CarriedStreamsFile = NonNullable<Manifest["carriedStreams"]>;

/** A stream as the file has it. */
export interface StoredCarry {
  readonly stream: string;
  readonly revision: number;
  /** Whole records, by revision. */
  readonly records: readonly Uint8Array[];
  readonly state: Uint8Array | undefined;
}

export interface CarriedStreamsParts {
  readonly disk: Disk;
  readonly directory: string;
  readonly crc: Crc32c;
  readonly names: Dictionary;
  /** What the manifest names now. */
  readonly file: () => CarriedStreamsFile | undefined;
}

interface Place {
  readonly offset: number;
  readonly length: number;
}

interface Contents {
  readonly file: CarriedStreamsFile;
  readonly places: ReadonlyMap<string, Place>;
}

export class CarriedStreams {
  readonly #parts: CarriedStreamsParts;
  #contents: Promise<Contents> | undefined;
  #of: string | undefined;

  constructor(parts: CarriedStreamsParts) {
    this.#parts = parts;
  }

  /** @throws LOG-MANIFEST the file is missing or damaged */
  async find(stream: string): Promise<CarriedStream | undefined> {
    const stored = await this.stored(stream);
    if (stored === undefined) return undefined;
    const { revision, records, state } = stored;
    return { revision, state, events: records.map((r) => new LogRecord(r, viewOf(r), 0, this.#parts.names)) };
  }

  /** @throws LOG-MANIFEST */
  async stored(stream: string): Promise<StoredCarry | undefined> {
    const contents = await this.#open();
    const place = contents?.places.get(stream);
    if (contents === undefined || place === undefined) return undefined;
    try {
      return await this.#read(contents.file, place);
    } catch (thrown) {
      // A prune has put another file in its place meanwhile.
      if (this.#parts.file()?.file === contents.file.file) throw thrown;
      return this.stored(stream);
    }
  }

  /** @throws LOG-MANIFEST */
  async streams(): Promise<readonly string[]> {
    return [...((await this.#open())?.places.keys() ?? [])];
  }

  /** The bytes of everything that is carried, stream by stream. @throws LOG-MANIFEST */
  async *bytes(): AsyncGenerator<Uint8Array> {
    const contents = await this.#open();
    for (const place of contents?.places.values() ?? []) yield this.#entry((contents as Contents).file, place);
  }

  /** Once for every file: a prune names another. */
  async #open(): Promise<Contents | undefined> {
    const file = this.#parts.file();
    if (file === undefined) return undefined;
    if (this.#of !== file.file) {
      this.#of = file.file;
      this.#contents = readContents(this.#parts, file);
      this.#contents.catch(() => {
        this.#of = undefined;
      });
    }
    return this.#contents;
  }

  async #read(file: CarriedStreamsFile, place: Place): Promise<StoredCarry> {
    const bytes = await this.#entry(file, place);
    const { stream, at } = nameIn(bytes);
    // The checksum holds, so this is what `encodeEntry` wrote.
    const [revision, records, state] = unpackState(bytes.subarray(at)) as unknown as PackedCarry;
    return { stream, revision, records, state: state ?? undefined };
  }

  async #entry(file: CarriedStreamsFile, { offset, length }: Place): Promise<Buffer> {
    const { disk, directory, crc } = this.#parts;
    const path = `${directory}/${file.file}`;
    const bytes = Buffer.allocUnsafeSlow(ENTRY_BYTES + length);
    const open = await disk.open(path, { mode: "read" });
    try {
      await readFully(open, bytes, offset, path);
    } finally {
      await open.close();
    }
    const content = bytes.subarray(ENTRY_BYTES);
    if (crc(viewOf(content), 0, content.length) !== bytes.readUInt32LE(4)) throw damaged(path);
    return content;
  }
}

type PackedCarry = [number, readonly Uint8Array[], Uint8Array | null];

/**
 * Makes a new file durable, under a name of its own.
 *
 * @param serial of the first segment that is kept
 * @param recordsOf the records of a carried stream
 */
export async function writeCarriedStreams(
  { disk, directory, crc }: Pick<CarriedStreamsParts, "disk" | "directory" | "crc">,
  serial: number,
  carries: Iterable<StreamCarry> | AsyncIterable<StreamCarry>,
  recordsOf: (carry: StreamCarry) => Promise<readonly Uint8Array[]>,
  rulesOff: RulesOff,
): Promise<CarriedStreamsFile> {
  const file = `streams-${String(serial).padStart(10, "0")}.bin`;
  const temporary = `${directory}/${file}.tmp`;
  const hash = createHash("sha256");
  const open = await disk.open(temporary, { mode: "create" });
  let sizeBytes = 0;
  const write = async (bytes: Buffer): Promise<void> => {
    hash.update(bytes);
    await writeFully(open, bytes, sizeBytes, temporary);
    sizeBytes += bytes.length;
  };
  try {
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt32LE(MAGIC, 0);
    header.writeUInt32LE(VERSION, 4);
    await write(header);
    for await (const carry of carries) await write(encodeEntry(carry, await recordsOf(carry), crc));
    if (!rulesOff.has("L-R28")) await open.sync();
  } finally {
    await open.close();
  }
  await disk.rename(temporary, `${directory}/${file}`);
  await disk.syncDirectory(directory);
  return { file, sha256: hash.digest("hex"), bytes: sizeBytes };
}

function encodeEntry({ stream, revision, state }: StreamCarry, records: readonly Uint8Array[], crc: Crc32c): Buffer {
  const name = Buffer.from(stream, "utf8");
  const packed = packState([revision, records, state ?? null]);
  const bytes = Buffer.alloc(ENTRY_BYTES + NAME_BYTES + name.length + packed.length);
  const length = bytes.length - ENTRY_BYTES;
  bytes.writeUInt16LE(name.length, ENTRY_BYTES);
  bytes.set(name, ENTRY_BYTES + NAME_BYTES);
  bytes.set(packed, ENTRY_BYTES + NAME_BYTES + name.length);
  bytes.writeUInt32LE(length, 0);
  bytes.writeUInt32LE(crc(viewOf(bytes), ENTRY_BYTES, bytes.length), 4);
  return bytes;
}

/** Where which stream is. @throws LOG-MANIFEST the file is missing, or not what was written */
export async function readContents(
  { disk, directory }: Pick<CarriedStreamsParts, "disk" | "directory">,
  file: CarriedStreamsFile,
): Promise<Contents> {
  const path = `${directory}/${file.file}`;
  const found = await disk.stat(path);
  if (found === undefined) throw damaged(path, "are missing");
  if (found.sizeBytes !== file.bytes) throw damaged(path);
  const open = await disk.open(path, { mode: "read" });
  try {
    if ((await hashOf(open, file.bytes, path)) !== file.sha256) throw damaged(path);
    return { file, places: await placesIn(open, file.bytes, path) };
  } finally {
    await open.close();
  }
}

async function hashOf(file: DiskFile, sizeBytes: number, path: string): Promise<string> {
  const hash = createHash("sha256");
  const piece = Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, sizeBytes));
  for (let at = 0; at < sizeBytes; at += piece.length) {
    const bytes = piece.subarray(0, Math.min(piece.length, sizeBytes - at));
    await readFully(file, bytes, at, path);
    hash.update(bytes);
  }
  return hash.digest("hex");
}

/** Of a file whose hash holds; what is carried of a stream is passed over. */
async function placesIn(file: DiskFile, sizeBytes: number, path: string): Promise<ReadonlyMap<string, Place>> {
  const read = async (length: number, offset: number): Promise<Buffer> => {
    const bytes = Buffer.allocUnsafeSlow(length);
    await readFully(file, bytes, offset, path);
    return bytes;
  };
  const header = await read(HEADER_BYTES, 0);
  if (header.readUInt32LE(0) !== MAGIC || header.readUInt32LE(4) !== VERSION) {
    throw embeddedLogError("LOG-SCHEMA", "the format of the carried streams is not known", { place: { file: path } });
  }
  const places = new Map<string, Place>();
  for (let offset = HEADER_BYTES; offset < sizeBytes; ) {
    const begin = await read(Math.min(BEGIN_BYTES, sizeBytes - offset), offset);
    const length = begin.readUInt32LE(0);
    const nameEnd = ENTRY_BYTES + NAME_BYTES + begin.readUInt16LE(ENTRY_BYTES);
    const named = nameEnd <= begin.length ? begin : await read(nameEnd, offset);
    places.set(nameIn(named.subarray(ENTRY_BYTES)).stream, { offset, length });
    offset += ENTRY_BYTES + length;
  }
  return places;
}

function nameIn(content: Buffer): { readonly stream: string; readonly at: number } {
  const at = NAME_BYTES + content.readUInt16LE(0);
  return { stream: content.toString("utf8", NAME_BYTES, at), at };
}

/** Where a carried record was. */
export function positionOfRecord(record: Uint8Array): number {
  return positionAt(viewOf(record), 0);
}

/** Removes files that the manifest does not name. */
export async function sweepCarriedStreams(disk: Disk, directory: string, manifest: Manifest): Promise<void> {
  for (const name of await disk.list(directory))
    if (FILE_NAME.test(name) && name !== manifest.carriedStreams?.file)
      await unlinkIfThere(disk, `${directory}/${name}`);
}

function damaged(path: string, why = "are damaged"): Error {
  return embeddedLogError("LOG-MANIFEST", `the carried streams that the manifest names ${why}`, {
    place: { file: path },
  });
}
