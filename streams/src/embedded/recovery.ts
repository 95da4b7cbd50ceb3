/**
 * Opening a log directory: find what is there, decide what the end is, refuse damage, cut a torn tail, write the last block
 * again, and only then let anyone see it. The steps are those of FORMAT.md; each may be repeated after a crash.
 */
import { type Disk, type DiskFile, type Env, invariant } from "@millrace/engine";
import { sweepArchive } from "./archive-segment.ts";
import { BLOCK_SEAL, getBlockHeader, isZero, PADDING, paddedBytes, putBlockHeader } from "./block.ts";
import type { BlockKernels, SegmentHash } from "./block-kernels.ts";
import { BlockScanner } from "./block-scanner.ts";
import { type Expected, type Walk, type WalkEnd, walkSegment, wholeRecords } from "./block-walk.ts";
import type { ActiveSegment } from "./block-writer.ts";
import { sweepCarriedStreams } from "./carried-streams.ts";
import { sweepCarries } from "./carry-file.ts";
import type { Crc32c } from "./crc32c.ts";
import { embeddedLogError } from "./errors.ts";
import { hexOf, viewOf } from "./little-endian.ts";
import { idOfSegment, type Manifest, ManifestFile, newManifest, readManifest, type SealedSegment } from "./manifest.ts";
import { sweepPrunedRecords } from "./pruned-record.ts";
import type { RulesOff } from "./rules.ts";
import { decodeSeal, sealBytes } from "./seal.ts";
import { readFully, segmentPath, serialOf, unlinkIfThere, writeFully } from "./segment-files.ts";
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES, type SegmentHeader } from "./segment-header.ts";
import { openPrepared, type PreparedSegment, prepareSegment } from "./segment-preparation.ts";
import { SegmentReaders } from "./segment-readers.ts";
import type { BlockLocation } from "./tail-table.ts";
import { compareWitnesses, type Witness } from "./witnesses.ts";

const ZERO_PIECE = Buffer.alloc(1024 * 1024);

export interface RecoveryContext {
  readonly disk: Disk;
  readonly directory: string;
  readonly env: Env;
  readonly crc: Crc32c;
  readonly kernels: Pick<BlockKernels, "segmentHash" | "zstd">;
  readonly rulesOff: RulesOff;
  readonly align: number;
  /** For a log that is created; an existing one has its own. */
  readonly segmentBytes: number;
  readonly lockWaitMs: number;
  /** What has seen the log, once its id is known. */
  readonly witnesses: () => readonly Witness[];
}

/** A torn tail that was cut. */
export interface TailCut {
  /** Position from which on nothing was acknowledged. */
  readonly cutFrom: number;
  /** Of the torn block, when its header was there; else 0. */
  readonly bytes: number;
  /** Sectors of it that were missing. */
  readonly sectors: number;
}

export interface Recovered {
  readonly manifest: ManifestFile;
  readonly active: ActiveSegment;
  /** The segment after the active one, when an earlier process had prepared it. */
  readonly prepared: PreparedSegment | undefined;
  /** Next block number, chain value, position. */
  readonly next: Expected;
  readonly cut: TailCut | undefined;
  readonly created: boolean;
}

/** A segment that recovery read as a whole. */
interface Opened {
  readonly segment: PreparedSegment;
  readonly bytes: Buffer;
}

export async function recover(context: RecoveryContext): Promise<Recovered> {
  const found = await readManifest(context.disk, context.directory, context.crc);
  const created = found === undefined;
  const manifest = created ? await createLog(context) : fileOf(context, found);
  const { current } = manifest;
  await sweep(context, current);
  const unnamed = context.rulesOff.has("L-R7") ? await lastSerial(context) : 0;
  await manifest.update((m) => ({ ...m, epoch: m.epoch + 1, prepared: Math.max(m.prepared, unnamed) }));
  const expected = await checkListed(context, current);
  return new Recovery(context, manifest, expected, created).run();
}

/** Only with rule L-R7 off, when the manifest does not name what was prepared. */
async function lastSerial({ disk, directory }: RecoveryContext): Promise<number> {
  return Math.max(0, ...(await disk.list(directory)).map((name) => serialOf(name) ?? 0));
}

/** Steps 4 to 8: everything from the first segment on that the manifest does not list as sealed. */
class Recovery {
  readonly #context: RecoveryContext;
  readonly #manifest: ManifestFile;
  readonly #expected: Expected;
  readonly #created: boolean;
  readonly #walked: BlockLocation[] = [];
  readonly #seals: Record<string, SealedSegment> = {};
  /** The last block that verified, and where it is. */
  #last:
    | { readonly file: DiskFile; readonly path: string; readonly offset: number; readonly bytes: Buffer }
    | undefined;
  readonly #leaving: DiskFile[] = [];
  readonly #opened: DiskFile[] = [];

  constructor(context: RecoveryContext, manifest: ManifestFile, expected: Expected, created: boolean) {
    this.#context = context;
    this.#manifest = manifest;
    this.#expected = expected;
    this.#created = created;
  }

  async run(): Promise<Recovered> {
    try {
      return await this.#steps();
    } catch (thrown) {
      for (const file of this.#opened) await file.close();
      throw thrown;
    }
  }

  async #steps(): Promise<Recovered> {
    const { opened, walk, firstPos } = await this.#walkToEnd();
    const prepared = await this.#openUnused(opened.segment.serial + 1);
    await this.#compareWitnesses();
    const end = await this.#salvaged(opened, walk.end);
    await this.#cut(opened, end);
    await this.#rewriteLast();
    const next = { ...this.#expected };
    await this.#manifest.update((manifest) => ({
      ...manifest,
      segments: { ...manifest.segments, ...this.#seals },
      openEnd: { pos: next.position, chain: next.prev },
    }));
    for (const file of this.#leaving) await file.close();
    const cut = end.kind === "torn" ? { cutFrom: next.position, bytes: end.bytes, sectors: end.sectors } : undefined;
    const blocks = walk.blocks.length;
    const active: ActiveSegment = {
      ...opened.segment,
      firstPos,
      offset: end.offset,
      blocks,
      hash: this.#hashOf(opened, end.offset),
    };
    return { manifest: this.#manifest, active, prepared, next, cut, created: this.#created };
  }

  /** Step 4: through seals that the manifest does not list, to the segment that has none. */
  async #walkToEnd(): Promise<{ readonly opened: Opened; readonly walk: Walk; readonly firstPos: number }> {
    let serial = firstUnlisted(this.#manifest.current);
    for (;;) {
      const opened = await this.#openWhole(serial);
      const firstPos = this.#expected.position;
      const walk = walkSegment(opened.bytes, serial, opened.segment.salt, this.#expected, this.#context);
      this.#walked.push(...walk.blocks);
      this.#remember(opened, walk);
      this.#mustBeNewerThanBlocks();
      if (walk.end.kind === "corrupt") throw this.#corrupt(opened, walk.end.offset, walk.end.why);
      if (walk.end.kind !== "sealed") return { opened, walk, firstPos };
      this.#list(opened, walk, firstPos);
      this.#leaving.push(opened.segment.file);
      serial++;
    }
  }

  #remember(opened: Opened, walk: Walk): void {
    const { file, path } = opened.segment;
    const { end } = walk;
    const last = walk.blocks.at(-1);
    if (end.kind === "sealed") {
      const to = end.offset + sealBytes(this.#context.align);
      this.#last = { file, path, offset: end.offset, bytes: opened.bytes.subarray(end.offset, to) };
    } else if (last !== undefined) {
      this.#last = {
        file,
        path,
        offset: last.offset,
        bytes: opened.bytes.subarray(last.offset, last.offset + last.bytes),
      };
    }
  }

  #list(opened: Opened, walk: Walk, firstPos: number): void {
    const { end } = walk;
    if (end.kind !== "sealed") return;
    const sha256 = hexOf(this.#hashOf(opened, end.offset).digest());
    const { seal } = end;
    if (seal.sha256 !== sha256 || seal.firstPos !== firstPos || seal.endPos !== this.#expected.position) {
      throw this.#corrupt(opened, end.offset, "the seal does not describe its segment");
    }
    this.#seals[String(opened.segment.serial)] = {
      ...seal,
      sealHead: end.header.headCrc,
      sealOffset: end.offset,
      sealSeq: end.header.seq,
      state: "sealed",
      archiveHash: null,
    };
  }

  /** The epoch is durable in the manifest before the first block that carries it. */
  #mustBeNewerThanBlocks(): void {
    if (this.#expected.epoch < this.#manifest.current.epoch) return;
    throw embeddedLogError("LOG-MANIFEST", "the manifest is older than the blocks of the log", {
      place: { file: `${this.#context.directory}/MANIFEST` },
    });
  }

  /** Step 5: what was prepared behind the end must be unused. */
  async #openUnused(from: number): Promise<PreparedSegment | undefined> {
    let prepared: PreparedSegment | undefined;
    for (let serial = from; serial <= this.#manifest.current.prepared; serial++) {
      const segment = await this.#open(serial);
      if (!(await this.#isUnused(segment))) {
        throw embeddedLogError("LOG-CORRUPT", "a later segment is in use behind the end of this one", {
          place: { file: segment.path, position: this.#expected.position },
          details: { offset: SEGMENT_HEADER_BYTES },
        });
      }
      if (serial === from) prepared = segment;
      else await segment.file.close();
    }
    return prepared;
  }

  async #isUnused({ file, path, sizeBytes }: PreparedSegment): Promise<boolean> {
    const { rulesOff } = this.#context;
    if (rulesOff.has("L-R3") || rulesOff.has("L-R12")) return true;
    const piece = Buffer.allocUnsafeSlow(ZERO_PIECE.length);
    for (let at = SEGMENT_HEADER_BYTES; at < sizeBytes; at += piece.length) {
      const bytes = piece.subarray(0, Math.min(piece.length, sizeBytes - at));
      await readFully(file, bytes, at, path);
      if (!isZero(bytes, 0, bytes.length)) return false;
    }
    return true;
  }

  /** Step 6. */
  async #compareWitnesses(): Promise<void> {
    const { current } = this.#manifest;
    if (this.#context.rulesOff.has("L-R15")) return;
    const ends = new Map(this.#walked.map((block) => [block.first + block.count, block.headCrc]));
    const openEnd =
      current.openEnd === null ? [] : [{ name: "openEnd of the manifest", logId: current.logId, ...current.openEnd }];
    await compareWitnesses([...openEnd, ...this.#context.witnesses()], {
      logId: current.logId,
      base: { pos: current.base, chain: current.prev0 },
      end: this.#expected.position,
      chainsAt: async (pos) => {
        const segment = this.#segmentTo(pos);
        if (segment?.[1].state === "pruned") return undefined;
        return [ends.get(pos) ?? (await this.#chainInSealed(segment, pos)) ?? [], this.#sealsAt(pos)].flat();
      },
    });
  }

  #sealsAt(pos: number): number[] {
    const segments = Object.values({ ...this.#manifest.current.segments, ...this.#seals });
    return segments.filter((segment) => segment.endPos === pos).map((segment) => segment.sealHead);
  }

  /** The listed segment that holds the event before `pos`. */
  #segmentTo(pos: number): [serial: string, segment: SealedSegment] | undefined {
    const { segments } = this.#manifest.current;
    return Object.entries(segments).find(([, segment]) => segment.firstPos < pos && pos <= segment.endPos);
  }

  async #chainInSealed(found: readonly [string, SealedSegment] | undefined, pos: number): Promise<number | undefined> {
    if (found === undefined) return undefined;
    const { disk, directory, crc, kernels, align } = this.#context;
    const { segmentBytes } = this.#manifest.current;
    const files = new SegmentReaders(disk, directory, kernels);
    try {
      const scanner = new BlockScanner(files, crc, align, segmentBytes);
      for await (const blocks of scanner.blocks({ serial: Number(found[0]), offset: SEGMENT_HEADER_BYTES }, pos)) {
        const last = blocks.find((block) => block.header.first + block.header.count === pos);
        if (last !== undefined) return last.header.headCrc;
      }
      return undefined;
    } finally {
      await files.close();
    }
  }

  /** Only with rule L-R1 off: keeps the records of a torn block that verify by themselves. */
  async #salvaged(opened: Opened, end: WalkEnd): Promise<WalkEnd> {
    const { rulesOff, crc, align } = this.#context;
    if (!rulesOff.has("L-R1") || end.kind !== "torn") return end;
    const header = getBlockHeader(opened.bytes, end.offset, crc);
    if (header === undefined || header.kind === BLOCK_SEAL) return end;
    const whole = wholeRecords(viewOf(opened.bytes), end.offset, header, crc);
    if (whole.events === 0) return end;
    const bytes = whole.end - end.offset;
    const to = end.offset + paddedBytes(bytes, align);
    const block = opened.bytes.subarray(end.offset, to);
    const { headCrc: _, ...fields } = header;
    const headCrc = putBlockHeader(block, { ...fields, bytes, count: whole.events, bodyCrc: whole.pairsCrc }, crc);
    this.#expected.seq++;
    this.#expected.prev = headCrc;
    this.#expected.position += whole.events;
    this.#last = { ...opened.segment, offset: end.offset, bytes: block };
    return { ...end, offset: to };
  }

  /** Step 7: nothing of the torn block stays behind a shorter one that follows (L-R13). */
  async #cut(opened: Opened, end: WalkEnd): Promise<void> {
    if (end.kind !== "torn" || this.#context.rulesOff.has("L-R13")) return;
    const { file, path, sizeBytes } = opened.segment;
    for (let at = end.offset; at < sizeBytes; at += ZERO_PIECE.length) {
      await writeFully(file, ZERO_PIECE.subarray(0, Math.min(ZERO_PIECE.length, sizeBytes - at)), at, path);
    }
  }

  /**
   * The page cache may show a whole block that the disk does not have (L-R14). Its padding may be missing alone; left so, the
   * block would look torn once a bit of it flips.
   */
  async #rewriteLast(): Promise<void> {
    if (this.#last === undefined || this.#context.rulesOff.has("L-R14")) return;
    const header = getBlockHeader(this.#last.bytes, 0, this.#context.crc);
    invariant(header !== undefined, "the last block has just been verified");
    this.#last.bytes.fill(PADDING, header.bytes);
    await writeFully(this.#last.file, this.#last.bytes, this.#last.offset, this.#last.path);
  }

  /** Opens a segment that may be written: lock first, so that a late write of a dead process has landed before it is read. */
  async #open(serial: number): Promise<PreparedSegment> {
    const known = await openListedFile(this.#context, this.#manifest.current, serial);
    const segment = await openPrepared(this.#context, known.header, known.bytes, this.#context.lockWaitMs);
    this.#opened.push(segment.file);
    return segment;
  }

  async #openWhole(serial: number): Promise<Opened> {
    const segment = await this.#open(serial);
    const bytes = Buffer.allocUnsafeSlow(segment.sizeBytes);
    await readFully(segment.file, bytes, 0, segment.path);
    return { segment, bytes };
  }

  #hashOf(opened: Opened, end: number): SegmentHash {
    const hash = this.#context.kernels.segmentHash();
    hash.update(opened.bytes.subarray(0, end));
    return hash;
  }

  #corrupt(opened: Opened, offset: number, why: string): Error {
    return embeddedLogError("LOG-CORRUPT", why, {
      place: { file: opened.segment.path, position: this.#expected.position },
      details: { offset },
    });
  }
}

function fileOf(context: RecoveryContext, manifest: Manifest): ManifestFile {
  return new ManifestFile(context.disk, context.directory, manifest, context.crc, context.rulesOff);
}

/** Step 1 for a directory without a manifest: only if no segment holds a block. */
async function createLog(context: RecoveryContext): Promise<ManifestFile> {
  const { disk, directory, env, segmentBytes } = context;
  for (const name of await disk.list(directory)) {
    const path = `${directory}/${name}`;
    // Not used again: a late write of a process that was killed while creating would land in the new file.
    if (name.endsWith(".tmp")) await disk.unlink(path);
    if (serialOf(name) === undefined) continue;
    if (await holdsBlocks(disk, path)) {
      throw embeddedLogError("LOG-MANIFEST", "there is no manifest, but a segment holds blocks", {
        place: { file: path },
      });
    }
    await disk.unlink(path);
  }
  const logId = hexOf(env.random.bytes(16));
  const manifest = fileOf(context, newManifest(logId, segmentBytes));
  const segment = await prepareSegment({ ...context, logId, manifest }, 1);
  // With the rule on, preparing has named the segment already.
  if (manifest.current.gen === 0) await manifest.update((m) => m);
  await segment.file.close();
  return manifest;
}

async function holdsBlocks(disk: Disk, path: string): Promise<boolean> {
  const sizeBytes = (await disk.stat(path))?.sizeBytes ?? 0;
  if (sizeBytes <= SEGMENT_HEADER_BYTES) return false;
  const file = await disk.open(path, { mode: "read" });
  try {
    const bytes = Buffer.allocUnsafeSlow(sizeBytes);
    await readFully(file, bytes, 0, path);
    return !isZero(bytes, SEGMENT_HEADER_BYTES, sizeBytes);
  } finally {
    await file.close();
  }
}

/** Step 2: what a crash left behind. */
async function sweep(context: RecoveryContext, manifest: Manifest): Promise<void> {
  const { disk, directory } = context;
  await sweepArchive(disk, directory, (serial) => manifest.segments[String(serial)]?.state === "pruned");
  await sweepCarries(disk, directory, manifest);
  await sweepCarriedStreams(disk, directory, manifest);
  await sweepPrunedRecords(disk, directory, manifest);
  for (const name of await disk.list(directory)) {
    const path = `${directory}/${name}`;
    const serial = serialOf(name);
    if (name.endsWith(".tmp")) await unlinkIfThere(disk, path);
    if (serial === undefined) continue;
    if (serial < manifest.first) await disk.unlink(path);
    if (serial > manifest.prepared && !context.rulesOff.has("L-R7")) await removeUnnamed(disk, path);
  }
}

/** A segment beyond the manifest's is a preparation that was interrupted; with blocks in it, the manifest is an older one. */
async function removeUnnamed(disk: Disk, path: string): Promise<void> {
  if (await holdsBlocks(disk, path)) {
    throw embeddedLogError("LOG-MANIFEST", "a segment that the manifest does not name holds blocks", {
      place: { file: path },
    });
  }
  await disk.unlink(path);
}

/** Step 3: the listed segments, from their headers, sizes and seals; returns what the first unlisted one must begin with. */
async function checkListed(context: RecoveryContext, manifest: Manifest): Promise<Expected> {
  const expected: Expected = { seq: manifest.seq0, prev: manifest.prev0, position: manifest.base, epoch: 0 };
  for (let serial = manifest.first; serial < firstUnlisted(manifest); serial++) {
    const listed = manifest.segments[String(serial)] as SealedSegment;
    if (!context.rulesOff.has("L-R17")) await checkSealed(context, manifest, serial, listed, expected.position);
    expected.seq = listed.sealSeq + 1;
    expected.prev = listed.sealHead;
    expected.position = listed.endPos;
  }
  return expected;
}

function firstUnlisted(manifest: Manifest): number {
  let serial = manifest.first;
  while (manifest.segments[String(serial)] !== undefined) serial++;
  return serial;
}

async function checkSealed(
  context: RecoveryContext,
  manifest: Manifest,
  serial: number,
  listed: SealedSegment,
  position: number,
): Promise<void> {
  const path = segmentPath(context.directory, serial);
  await openListedFile(context, manifest, serial);
  const file = await context.disk.open(path, { mode: "read" });
  const bytes = Buffer.alloc(sealBytes(context.align));
  try {
    await readFully(file, bytes, listed.sealOffset, path);
  } finally {
    await file.close();
  }
  const found = decodeSeal(bytes, 0, context.crc);
  if (found?.header.headCrc !== listed.sealHead || listed.firstPos !== position) {
    throw embeddedLogError("LOG-MANIFEST", "the segment does not end with the seal that the manifest lists", {
      place: { file: path, position: listed.endPos },
    });
  }
}

/** @throws LOG-MANIFEST when a segment the manifest names is missing, cut, swapped or of another log */
async function openListedFile(
  context: RecoveryContext,
  manifest: Manifest,
  serial: number,
): Promise<{ readonly header: SegmentHeader; readonly bytes: Buffer }> {
  const path = segmentPath(context.directory, serial);
  const refuse = (why: string): Error => embeddedLogError("LOG-MANIFEST", why, { place: { file: path } });
  const found = serial > manifest.prepared ? undefined : await context.disk.stat(path);
  if (found === undefined) throw refuse("a segment that the manifest names is missing");
  if (found.sizeBytes !== manifest.segmentBytes) {
    throw refuse(`the segment has ${found.sizeBytes} bytes, not ${manifest.segmentBytes}`);
  }
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  const file = await context.disk.open(path, { mode: "read" });
  try {
    await readFully(file, bytes, 0, path);
  } finally {
    await file.close();
  }
  const header = decodeSegmentHeader(bytes, context.crc, path);
  if (header === undefined) throw refuse("the segment's header is damaged");
  if (header.logId !== idOfSegment(manifest, serial)) throw refuse("the segment belongs to another log");
  if (header.serial !== serial) throw refuse(`the file is segment ${header.serial}`);
  return { header, bytes };
}
