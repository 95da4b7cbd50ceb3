/**
 * Puts back what can be made again exactly as it was: a segment from its archive copy, an archive file from the segment or the
 * archive. Everything is compared with the hashes of the manifest before it takes the damaged file's place, which is kept aside.
 * Nothing is cut, guessed or left out, so the log's history stays what it was.
 */
import { type Disk, type Env, MillraceError } from "@millrace/engine";
import { ArchiveFile, writeArchive } from "./archive-file.ts";
import { archiveDirectory, archivePath } from "./archive-names.ts";
import { isAsSealed, sourceOf } from "./archive-segment.ts";
import type { LeafChecks } from "./archived-listing.ts";
import { blockKernels, type ReadingKernels } from "./block-kernels.ts";
import { BlockScanner } from "./block-scanner.ts";
import { crc32c } from "./crc32c.ts";
import { lockDirectory } from "./directory-lock.ts";
import { idOfSegment, type Manifest, readManifest, type SealedSegment } from "./manifest.ts";
import { readLogManifest } from "./open-stored-log.ts";
import { readWhole, sha256 } from "./pruned-leaves.ts";
import { prunedRecordOf, prunedRecords, writePrunedRecord } from "./pruned-record.ts";
import { restoreManifest } from "./restored-manifest.ts";
import { type ScrubFinding, scrubLog } from "./scrub-log.ts";
import { segmentPath, unlinkIfThere, writeFully } from "./segment-files.ts";
import { PAGE_SIZE_BYTES, SEGMENT_HEADER_BYTES } from "./segment-header.ts";
import type { SegmentSource } from "./segment-readers.ts";
import { SegmentReaders } from "./segment-readers.ts";
import { storedBatches } from "./stored-records.ts";

export interface RepairOptions extends LeafChecks {
  readonly disk: Disk;
  readonly env: Env;
  /** Of the log. */
  readonly directory: string;
  /** See {@link scrubLog}. */
  readonly seenEnd: (logId: string) => Promise<number>;
  readonly kernels?: ReadingKernels;
}

export interface RepairReport {
  /** Files that are again what was written. */
  readonly repaired: readonly string[];
  /** What is left: it has to come from a copy. */
  readonly findings: readonly ScrubFinding[];
}

const PIECE_BYTES = 256 * 1024;
const LOCK_WAIT_MS = 1000;
const noPause = async (): Promise<void> => undefined;

/** @throws LOG-LOCKED the log is open; LOG-MANIFEST its manifest is lost, and why it cannot be made again; LOG-FORK */
export async function repairLog(options: RepairOptions): Promise<RepairReport> {
  const { disk, directory, env } = options;
  const lock = await lockDirectory(disk, directory, env, LOCK_WAIT_MS);
  try {
    const repaired: string[] = [];
    if (await isManifestLost(options)) repaired.push(await restoreManifest({ ...options, checks: options }));
    const manifest = await readLogManifest(disk, directory);
    repaired.push(...(await restorePrunedRecord(disk, directory, manifest)));
    const { findings } = await scrubLog({ ...options, pause: noPause });
    for (const finding of findings) if (await repairFile(options, manifest, finding)) repaired.push(finding.file);
    if (repaired.length === 0) return { repaired, findings };
    return { repaired, findings: (await scrubLog({ ...options, pause: noPause })).findings };
  } finally {
    await lock.release();
  }
}

/** So that the manifest can be made again the next time; a former version did not write it. */
async function restorePrunedRecord(disk: Disk, directory: string, manifest: Manifest): Promise<readonly string[]> {
  const record = prunedRecordOf(manifest);
  if (record === undefined) return [];
  const found = (await prunedRecords(disk, directory)).find(({ serial }) => serial === record.serial);
  if (JSON.stringify(found) === JSON.stringify(record)) return [];
  return [await writePrunedRecord(disk, directory, record)];
}

async function isManifestLost({ disk, directory }: RepairOptions): Promise<boolean> {
  try {
    return (await readManifest(disk, directory, crc32c)) === undefined;
  } catch (thrown) {
    if (thrown instanceof MillraceError && thrown.code === "LOG-MANIFEST") return true;
    throw thrown;
  }
}

/** False when there is nothing to make the file from. */
async function repairFile(
  options: RepairOptions,
  manifest: Manifest,
  { serial, file }: ScrubFinding,
): Promise<boolean> {
  const { disk, directory } = options;
  const sealed = serial === undefined ? undefined : manifest.segments[String(serial)];
  if (serial === undefined || sealed === undefined) return false;
  const isMade =
    file === segmentPath(directory, serial)
      ? await unpackSegment(options, manifest, serial, sealed)
      : file === archivePath(directory, serial, "zst")
        ? await packAgain(options, manifest, serial, sealed)
        : file === archivePath(directory, serial, "leaves") && (await hashAgain(options, manifest, serial, sealed));
  const temporary = `${file}.tmp`;
  if (!isMade) {
    await unlinkIfThere(disk, temporary);
    return false;
  }
  if ((await disk.stat(file)) !== undefined) await disk.rename(file, `${file}.damaged`);
  await disk.rename(temporary, file);
  await disk.syncDirectory(directory);
  await disk.syncDirectory(archiveDirectory(directory));
  return true;
}

async function unpackSegment(
  { disk, directory, kernels = blockKernels(crc32c) }: RepairOptions,
  { segmentBytes }: Manifest,
  serial: number,
  sealed: SealedSegment,
): Promise<boolean> {
  const archive = await wholeArchive(disk, kernels, archivePath(directory, serial, "zst"), serial, sealed);
  if (archive === undefined) return false;
  try {
    const temporary = `${segmentPath(directory, serial)}.tmp`;
    await writeSynced(disk, temporary, async (write) => {
      for (let at = 0; at < segmentBytes; at += PIECE_BYTES) {
        const piece = Buffer.alloc(Math.min(PIECE_BYTES, segmentBytes - at));
        await archive.read(piece, at);
        await write(piece);
      }
    });
    return true;
  } finally {
    await archive.close();
  }
}

/** The archive again, from the segment: it must come out as it was, to the byte. */
async function packAgain(
  { disk, directory, kernels = blockKernels(crc32c) }: RepairOptions,
  manifest: Manifest,
  serial: number,
  sealed: SealedSegment,
): Promise<boolean> {
  if (sealed.state !== "sealed") return false;
  const path = `${archivePath(directory, serial, "zst")}.tmp`;
  const files = new SegmentReaders(disk, directory, kernels, () => idOfSegment(manifest, serial));
  const file = await disk.open(path, { mode: "create" });
  try {
    if (!(await isWhole(files, serial, sealed))) return false;
    const read = (into: Uint8Array, offset: number): Promise<void> => files.read(serial, into, offset);
    const written = await writeArchive(read, manifest.segmentBytes, file, path, kernels, noPause);
    await file.sync();
    return written.sha256 === sealed.archiveHash;
  } finally {
    await file.close();
    await files.close();
  }
}

async function hashAgain(
  { disk, directory, leavesOf, kernels = blockKernels(crc32c) }: RepairOptions,
  { segmentBytes }: Manifest,
  serial: number,
  sealed: SealedSegment,
): Promise<boolean> {
  const archive = await wholeArchive(disk, kernels, archivePath(directory, serial, "zst"), serial, sealed);
  if (archive === undefined) return false;
  try {
    const files = sourceOf(archive);
    const scanner = new BlockScanner(files, crc32c, PAGE_SIZE_BYTES, segmentBytes);
    const blocks = scanner.blocks({ serial, offset: SEGMENT_HEADER_BYTES }, sealed.endPos);
    const leaves: Uint8Array[] = [];
    for await (const batch of storedBatches(blocks, { kernels, files }, sealed.firstPos, sealed.endPos))
      leaves.push(await leavesOf(batch));
    const bytes = Buffer.concat(leaves);
    await writeSynced(disk, `${archivePath(directory, serial, "leaves")}.tmp`, (write) => write(bytes));
    return sha256(bytes) === sealed.archive?.leavesHash;
  } finally {
    await archive.close();
  }
}

/** `undefined` when the archive is not what was written either. */
async function wholeArchive(
  disk: Disk,
  kernels: ReadingKernels,
  path: string,
  serial: number,
  sealed: SealedSegment,
): Promise<ArchiveFile | undefined> {
  if (sealed.archiveHash === null || (await disk.stat(path)) === undefined) return undefined;
  if (sha256(await readWhole(disk, path)) !== sealed.archiveHash) return undefined;
  const archive = await ArchiveFile.open(disk, path, kernels);
  if (await isWhole(sourceOf(archive), serial, sealed)) return archive;
  await archive.close();
  return undefined;
}

/** A damaged source is a reason not to repair from it. */
async function isWhole(source: SegmentSource, serial: number, sealed: SealedSegment): Promise<boolean> {
  try {
    return await isAsSealed(source, serial, sealed, noPause);
  } catch {
    return false;
  }
}

async function writeSynced(
  disk: Disk,
  path: string,
  fill: (write: (bytes: Uint8Array) => Promise<void>) => Promise<void>,
): Promise<void> {
  const file = await disk.open(path, { mode: "create" });
  let at = 0;
  try {
    await fill(async (bytes) => {
      await writeFully(file, bytes, at, path);
      at += bytes.length;
    });
    await file.sync();
  } finally {
    await file.close();
  }
}
