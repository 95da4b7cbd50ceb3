/**
 * A segment file in the archive: Zstandard frames of 256 KiB each, then a table of them in a skippable frame, so that a record is
 * read without unpacking the segment, and `zstd -d` gives back the segment file byte for byte. Layout in FORMAT.md.
 *
 * Every byte is covered by a checksum that is compared before a frame is unpacked.
 */
import { createHash } from "node:crypto";
import type { Disk, DiskFile } from "@millrace/engine";
import type { Zstd } from "../compression/zstd.ts";
import type { ReadingKernels } from "./block-kernels.ts";
import { crc32c } from "./crc32c.ts";
import { embeddedLogError } from "./errors.ts";
import { getU64, putU64, viewOf } from "./little-endian.ts";
import { readFully, writeFully } from "./segment-files.ts";

const FRAME_BYTES = 256 * 1024;
/** Of Zstandard frames that decoders skip (RFC 8878, section 3.1.2). */
const SKIPPABLE = 0x184d2a50;
const SKIPPABLE_HEADER_BYTES = 8;
const MAGIC = 0x4941524d; // "MRAI" read as little-endian u32
const ENTRY_BYTES = 8;
const TRAILER_BYTES = 24;
const TRAILER_COVERED = 16;
/** Unpacked frames that an open file keeps. */
const FRAMES_KEPT = 8;

export interface WrittenArchive {
  readonly bytes: number;
  /** Of the archive file, 64 hex digits. */
  readonly sha256: string;
}

/** Packs what `read` gives, `sizeBytes` of it, into a file that is open and empty. `pause` is called between frames. */
export async function writeArchive(
  read: (into: Uint8Array, offset: number) => Promise<void>,
  sizeBytes: number,
  file: DiskFile,
  path: string,
  kernels: Pick<ReadingKernels, "zstd">,
  pause: () => Promise<void>,
): Promise<WrittenArchive> {
  const zstd = await kernels.zstd();
  const hash = createHash("sha256");
  const frames: Uint8Array[] = [];
  let at = 0;
  const write = async (bytes: Uint8Array): Promise<void> => {
    await writeFully(file, bytes, at, path);
    hash.update(bytes);
    at += bytes.length;
  };
  for (let offset = 0; offset < sizeBytes; offset += FRAME_BYTES) {
    const piece = Buffer.alloc(Math.min(FRAME_BYTES, sizeBytes - offset));
    await read(piece, offset);
    const frame = zstd.compress(piece);
    frames.push(entryOf(frame));
    await write(frame);
    await pause();
  }
  await write(encodeTable(frames, sizeBytes));
  return { bytes: at, sha256: hash.digest("hex") };
}

function entryOf(frame: Uint8Array): Buffer {
  const entry = Buffer.alloc(ENTRY_BYTES);
  entry.writeUInt32LE(frame.length, 0);
  entry.writeUInt32LE(crc32c(viewOf(frame), 0, frame.length), 4);
  return entry;
}

function encodeTable(entries: readonly Uint8Array[], sizeBytes: number): Buffer {
  const trailer = Buffer.alloc(TRAILER_BYTES);
  putU64(viewOf(trailer), 0, sizeBytes);
  trailer.writeUInt32LE(FRAME_BYTES, 8);
  trailer.writeUInt32LE(entries.length, 12);
  const body = Buffer.concat([...entries, trailer]);
  const covered = body.length - TRAILER_BYTES + TRAILER_COVERED;
  body.writeUInt32LE(crc32c(viewOf(body), 0, covered), covered);
  body.writeUInt32LE(MAGIC, covered + 4);
  const header = Buffer.alloc(SKIPPABLE_HEADER_BYTES);
  header.writeUInt32LE(SKIPPABLE, 0);
  header.writeUInt32LE(body.length, 4);
  return Buffer.concat([header, body]);
}

interface Frame {
  readonly offset: number;
  readonly bytes: number;
  readonly crc: number;
}

/** An archived segment, read as the segment file that it was made of. */
export class ArchiveFile {
  readonly path: string;
  readonly #file: DiskFile;
  readonly #sizeBytes: number;
  readonly #frames: readonly Frame[];
  readonly #zstd: Zstd;
  readonly #kept = new Map<number, Promise<Uint8Array>>();

  private constructor(path: string, file: DiskFile, sizeBytes: number, frames: readonly Frame[], zstd: Zstd) {
    this.path = path;
    this.#file = file;
    this.#sizeBytes = sizeBytes;
    this.#frames = frames;
    this.#zstd = zstd;
  }

  /** @throws LOG-ARCHIVE the file is no archive, or is cut or damaged */
  static async open(disk: Disk, path: string, kernels: Pick<ReadingKernels, "zstd">): Promise<ArchiveFile> {
    const file = await disk.open(path, { mode: "read" });
    try {
      const { sizeBytes, frames } = await readTable(file, path);
      return new ArchiveFile(path, file, sizeBytes, frames, await kernels.zstd());
    } catch (thrown) {
      await file.close();
      throw thrown;
    }
  }

  async size(): Promise<number> {
    return this.#sizeBytes;
  }

  /** Fills `into` from `position` and returns how many bytes there were. @throws LOG-ARCHIVE */
  async read(into: Uint8Array, position: number): Promise<number> {
    const end = Math.min(position + into.length, this.#sizeBytes);
    for (let at = position; at < end; ) {
      const frame = await this.#unpacked(Math.floor(at / FRAME_BYTES));
      const within = at % FRAME_BYTES;
      const piece = frame.subarray(within, within + end - at);
      into.set(piece, at - position);
      at += piece.length;
    }
    return Math.max(0, end - position);
  }

  async close(): Promise<void> {
    this.#kept.clear();
    await this.#file.close();
  }

  #unpacked(number: number): Promise<Uint8Array> {
    const kept = this.#kept.get(number);
    if (kept !== undefined) return kept;
    const unpacking = this.#unpack(number);
    this.#kept.set(number, unpacking);
    unpacking.catch(() => this.#kept.delete(number));
    if (this.#kept.size > FRAMES_KEPT) this.#kept.delete(this.#kept.keys().next().value ?? -1);
    return unpacking;
  }

  async #unpack(number: number): Promise<Uint8Array> {
    const { offset, bytes, crc } = this.#frames[number] as Frame;
    const packed = Buffer.alloc(bytes);
    await readFully(this.#file, packed, offset, this.path);
    if (crc32c(viewOf(packed), 0, bytes) !== crc)
      throw archiveDamaged(this.path, `frame ${number} does not have its checksum`, offset);
    const frame = this.#zstd.decompress(packed, FRAME_BYTES);
    if (frame.length !== Math.min(FRAME_BYTES, this.#sizeBytes - number * FRAME_BYTES))
      throw archiveDamaged(this.path, `frame ${number} has ${frame.length} bytes`, offset);
    return frame;
  }
}

async function readTable(
  file: DiskFile,
  path: string,
): Promise<{ readonly sizeBytes: number; readonly frames: readonly Frame[] }> {
  const fileBytes = await file.size();
  const refuse = (): Error => archiveDamaged(path, "the table of frames is cut or damaged", fileBytes);
  if (fileBytes < SKIPPABLE_HEADER_BYTES + TRAILER_BYTES) throw refuse();
  const trailer = Buffer.alloc(TRAILER_BYTES);
  await readFully(file, trailer, fileBytes - TRAILER_BYTES, path);
  const count = trailer.readUInt32LE(12);
  const bytes = SKIPPABLE_HEADER_BYTES + count * ENTRY_BYTES + TRAILER_BYTES;
  if (trailer.readUInt32LE(20) !== MAGIC || bytes > fileBytes || trailer.readUInt32LE(8) !== FRAME_BYTES)
    throw refuse();
  const table = Buffer.alloc(bytes);
  await readFully(file, table, fileBytes - bytes, path);
  const crc = crc32c(viewOf(table), SKIPPABLE_HEADER_BYTES, bytes - TRAILER_BYTES + TRAILER_COVERED);
  const isTable = table.readUInt32LE(0) === SKIPPABLE && table.readUInt32LE(4) === bytes - SKIPPABLE_HEADER_BYTES;
  if (!isTable || crc !== trailer.readUInt32LE(16)) throw refuse();
  const frames: Frame[] = [];
  let offset = 0;
  for (let i = 0; i < count; i++) {
    const at = SKIPPABLE_HEADER_BYTES + i * ENTRY_BYTES;
    frames.push({ offset, bytes: table.readUInt32LE(at), crc: table.readUInt32LE(at + 4) });
    offset += table.readUInt32LE(at);
  }
  if (offset + bytes !== fileBytes) throw refuse();
  return { sizeBytes: getU64(viewOf(trailer), 0), frames };
}

export function archiveDamaged(file: string, why: string, offset?: number): Error {
  return embeddedLogError("LOG-ARCHIVE", why, {
    place: { file },
    ...(offset === undefined ? {} : { details: { offset } }),
  });
}
