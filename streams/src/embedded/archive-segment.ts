/**
 * Makes the archive of one sealed segment: the packed segment, a leaf hash per record, and a twin in Parquet for analysts. All
 * are written to temporary files, synced, and read back and compared before anything is named (FORMAT.md, L-R25).
 */
import { createHash } from "node:crypto";
import { type Disk, type RecordedEvent, type StoredRecord, type StoredRecords, storedRecords } from "@millrace/engine";
import { ArchiveFile, archiveDamaged, writeArchive } from "./archive-file.ts";
import { ARCHIVE_KINDS, type ArchiveKind, archiveDirectory, archivedFile, archivePath } from "./archive-names.ts";
import type { ReadingKernels } from "./block-kernels.ts";
import { BlockScanner } from "./block-scanner.ts";
import type { Carry } from "./carry.ts";
import { crc32c } from "./crc32c.ts";
import type { Dictionary } from "./dictionary.ts";
import { embeddedLogError } from "./errors.ts";
import { viewOf } from "./little-endian.ts";
import type { ArchiveFacts, SealedSegment } from "./manifest.ts";
import { timeMsAt } from "./record.ts";
import { LogRecord } from "./recorded-event.ts";
import type { RulesOff } from "./rules.ts";
import { unlinkIfThere, writeFully } from "./segment-files.ts";
import { SEGMENT_HEADER_BYTES } from "./segment-header.ts";
import type { SegmentSource } from "./segment-readers.ts";
import { storedBatches } from "./stored-records.ts";

export const LEAF_BYTES = 32;
/** Records that are decoded for a twin before others have a turn: a millisecond or so. */
const TWIN_RECORDS = 64;

/** The leaves that proofs are made of, 32 bytes a position. */
export type LeavesOf = (records: StoredRecords) => Promise<Uint8Array>;

/** Collects events into a file for analysts. */
export interface TwinWriter {
  add(event: RecordedEvent): void;
  /** The whole file. @throws when it does not read back as what was added */
  finish(): Promise<Uint8Array>;
}

export interface ArchiveContext {
  readonly disk: Disk;
  readonly directory: string;
  readonly files: SegmentSource;
  readonly align: number;
  readonly segmentBytes: number;
  readonly kernels: ReadingKernels;
  readonly names: Dictionary;
  readonly rulesOff: RulesOff;
}

export interface ArchiveMaking {
  readonly leavesOf: LeavesOf;
  /** Compares leaves with what was signed for these positions. @throws LOG-FORK, AUDIT-TILE */
  readonly checkLeaves: (firstPosition: number, leaves: Uint8Array) => Promise<void>;
  /** Default: no twin. */
  readonly twin?: (() => TwinWriter) | undefined;
  /** Called between pieces of work, for whoever shares disk and thread. */
  readonly pause: () => Promise<void>;
}

export interface MadeArchive {
  readonly archiveHash: string;
  readonly facts: ArchiveFacts;
}

/**
 * Writes and names the archive of a segment, and adds what it holds to `carry`. Nothing but the archive's own files is changed.
 *
 * @throws LOG-CORRUPT the segment is not what was sealed; LOG-ARCHIVE what was written does not read back
 */
export async function archiveSegment(
  context: ArchiveContext,
  serial: number,
  sealed: SealedSegment,
  making: ArchiveMaking,
  carry: Carry,
): Promise<MadeArchive> {
  const { disk, directory, rulesOff } = context;
  await disk.makeDirectory(archiveDirectory(directory));
  if (!rulesOff.has("L-R25")) await disk.syncDirectory(directory);
  const { leaves, twin, firstMs, lastMs } = await contentsOf(context, context.files, serial, sealed, making, carry);
  await making.checkLeaves(sealed.firstPos, leaves);
  const packed = await packSegment(context, serial, sealed, making.pause);
  const leavesHash = await writeWhole(context, serial, "leaves", leaves);
  const parquetHash = twin === undefined ? null : await writeWhole(context, serial, "parquet", twin);
  await compareBack(context, serial, sealed, making, leaves);
  for (const kind of ARCHIVE_KINDS) {
    if (kind === "parquet" && twin === undefined) continue;
    await disk.rename(temporary(directory, serial, kind), archivePath(directory, serial, kind));
  }
  if (!rulesOff.has("L-R25")) await disk.syncDirectory(archiveDirectory(directory));
  const bytes = packed.bytes + leaves.length + (twin?.length ?? 0);
  return { archiveHash: packed.sha256, facts: { bytes, leavesHash, parquetHash, firstMs, lastMs } };
}

function temporary(directory: string, serial: number, kind: ArchiveKind): string {
  return `${archivePath(directory, serial, kind)}.tmp`;
}

interface Contents {
  readonly leaves: Buffer;
  readonly twin: Uint8Array | undefined;
  readonly firstMs: number;
  readonly lastMs: number;
}

/** Everything that one pass over a segment's records gives. @throws LOG-CORRUPT they are not those that were sealed */
async function contentsOf(
  { align, segmentBytes, kernels, names }: ArchiveContext,
  files: SegmentSource,
  serial: number,
  { firstPos, endPos }: SealedSegment,
  making: Pick<ArchiveMaking, "leavesOf" | "twin" | "pause">,
  carry: Carry | undefined,
): Promise<Contents> {
  const twin = making.twin?.();
  const leaves = Buffer.alloc((endPos - firstPos) * LEAF_BYTES);
  let next = firstPos;
  let firstMs = 0;
  let lastMs = 0;
  const scanner = new BlockScanner(files, crc32c, align, segmentBytes);
  const blocks = scanner.blocks({ serial, offset: SEGMENT_HEADER_BYTES }, endPos);
  for await (const batch of storedBatches(blocks, { kernels, files }, firstPos, endPos)) {
    leaves.set(await making.leavesOf(batch), (next - firstPos) * LEAF_BYTES);
    for (const record of storedRecords(batch)) {
      carry?.add(record, (number) => names.nameOf("stream", number));
      if (record.isControl) continue;
      if (record.position !== next) throw damaged(files, serial, next);
      lastMs = timeMsAt(viewOf(record.header), 0);
      if (next++ === firstPos) firstMs = lastMs;
      twin?.add(eventOf(record, names));
      if (twin !== undefined && next % TWIN_RECORDS === 0) await making.pause();
    }
    await making.pause();
  }
  if (next !== endPos) throw damaged(files, serial, next);
  return { leaves, twin: await twin?.finish(), firstMs, lastMs };
}

function eventOf({ header, payload }: StoredRecord, names: Dictionary): RecordedEvent {
  const bytes = new Uint8Array(header.buffer, header.byteOffset, header.length + payload.length);
  return new LogRecord(bytes, viewOf(bytes), 0, names);
}

/** Packs the segment file as it is, and checks on the way that it is the one that was sealed. */
async function packSegment(
  { disk, directory, files, segmentBytes, kernels, rulesOff }: ArchiveContext,
  serial: number,
  sealed: SealedSegment,
  pause: () => Promise<void>,
): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const path = temporary(directory, serial, "zst");
  const sum = new SealSum(sealed);
  const file = await disk.open(path, { mode: "create" });
  try {
    const read = async (into: Uint8Array, offset: number): Promise<void> => {
      await files.read(serial, into, offset);
      sum.add(into, offset);
    };
    const written = await writeArchive(read, segmentBytes, file, path, kernels, pause);
    if (!sum.holds()) throw damaged(files, serial, sealed.firstPos);
    if (!rulesOff.has("L-R25")) await file.sync();
    return written;
  } finally {
    await file.close();
  }
}

/** sha256 of a segment up to its seal, fed in order. */
class SealSum {
  readonly #sealed: SealedSegment;
  readonly #hash = createHash("sha256");

  constructor(sealed: SealedSegment) {
    this.#sealed = sealed;
  }

  add(bytes: Uint8Array, offset: number): void {
    const rest = this.#sealed.sealOffset - offset;
    if (rest > 0) this.#hash.update(bytes.subarray(0, rest));
  }

  holds(): boolean {
    return this.#hash.digest("hex") === this.#sealed.sha256;
  }
}

/** The same sum over a segment that is read from somewhere. */
export async function isAsSealed(
  source: SegmentSource,
  serial: number,
  sealed: SealedSegment,
  pause: () => Promise<void>,
): Promise<boolean> {
  const sum = new SealSum(sealed);
  const piece = Buffer.alloc(256 * 1024);
  for (let at = 0; at < sealed.sealOffset; at += piece.length) {
    const bytes = piece.subarray(0, Math.min(piece.length, sealed.sealOffset - at));
    await source.read(serial, bytes, at);
    sum.add(bytes, at);
    await pause();
  }
  return sum.holds();
}

async function writeWhole(
  { disk, directory, rulesOff }: ArchiveContext,
  serial: number,
  kind: ArchiveKind,
  bytes: Uint8Array,
): Promise<string> {
  const path = temporary(directory, serial, kind);
  const file = await disk.open(path, { mode: "create" });
  try {
    await writeFully(file, bytes, 0, path);
    if (!rulesOff.has("L-R25")) await file.sync();
  } finally {
    await file.close();
  }
  return createHash("sha256").update(bytes).digest("hex");
}

/** What was written is what was sealed: its bytes, positions and leaves. */
async function compareBack(
  context: ArchiveContext,
  serial: number,
  sealed: SealedSegment,
  making: ArchiveMaking,
  leaves: Buffer,
): Promise<void> {
  const path = temporary(context.directory, serial, "zst");
  const archive = await ArchiveFile.open(context.disk, path, context.kernels);
  try {
    const source = sourceOf(archive);
    const isSame = await isAsSealed(source, serial, sealed, making.pause);
    const found = await contentsOf(context, source, serial, sealed, { ...making, twin: undefined }, undefined);
    if (!isSame || !found.leaves.equals(leaves)) throw archiveDamaged(path, "what was written does not read back");
  } finally {
    await archive.close();
  }
}

/** One archived segment as the only place that segments are read from. */
export function sourceOf(archive: ArchiveFile): SegmentSource {
  return {
    pathOf: () => archive.path,
    read: async (_serial, into, offset) => {
      const count = await archive.read(into, offset);
      if (count < into.length) throw archiveDamaged(archive.path, "the archived segment is too short", offset + count);
    },
  };
}

/** Leftovers of a crash: temporary files, and what belongs to segments that are pruned. Leaf hashes stay. */
export async function sweepArchive(
  disk: Disk,
  directory: string,
  isPruned: (serial: number) => boolean,
): Promise<void> {
  const archive = archiveDirectory(directory);
  if (!(await disk.list(directory)).some((name) => name === "archive" || name.startsWith("archive/"))) return;
  for (const name of await disk.list(archive)) {
    const file = archivedFile(name);
    const isStale = file !== undefined && file.kind !== "leaves" && isPruned(file.serial);
    if (isStale || name.endsWith(".tmp")) await unlinkIfThere(disk, `${archive}/${name}`);
  }
}

function damaged(files: SegmentSource, serial: number, position: number): Error {
  return embeddedLogError("LOG-CORRUPT", "the segment is not the one that was sealed", {
    place: { file: files.pathOf(serial), position },
    details: { offset: SEGMENT_HEADER_BYTES },
  });
}
