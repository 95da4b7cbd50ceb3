/**
 * Reads everything that the log keeps and compares it with what was written: segments byte by byte, archives, carried heads. It
 * changes nothing and locks nothing, so it runs beside the writer, up to a position that is known to be durable.
 */
import type { Disk } from "@millrace/engine";
import { reportOf } from "@millrace/engine";
import { ArchiveFile, archiveDamaged } from "./archive-file.ts";
import { type ArchiveKind, archivePath } from "./archive-names.ts";
import { isAsSealed, sourceOf } from "./archive-segment.ts";
import { isZero, PADDING, paddedBytes } from "./block.ts";
import { blockKernels, type ReadingKernels } from "./block-kernels.ts";
import { recordCorrupt, visitRecords } from "./block-records.ts";
import { BlockScanner, type ScannedBlock } from "./block-scanner.ts";
import { readContents } from "./carried-streams.ts";
import { StoredCarry } from "./carry-file.ts";
import { crc32c } from "./crc32c.ts";
import { embeddedLogError } from "./errors.ts";
import { idOfSegment, type Manifest, type SealedSegment } from "./manifest.ts";
import { readLogManifest } from "./open-stored-log.ts";
import { readWhole, sha256 } from "./pruned-leaves.ts";
import { RECORD_ALIGN } from "./record.ts";
import { decodeSeal, sealBytes } from "./seal.ts";
import { segmentPath } from "./segment-files.ts";
import { decodeSegmentHeader, PAGE_SIZE_BYTES, SEGMENT_HEADER_BYTES } from "./segment-header.ts";
import { mustBeArchiveOf, SegmentReaders } from "./segment-readers.ts";

export interface ScrubOptions {
  readonly disk: Disk;
  /** Of the log. */
  readonly directory: string;
  /** Up to which position somebody has seen the log with this id durable; a clean stop has too. Of the active segment no more is read. */
  readonly seenEnd: (logId: string) => Promise<number>;
  /** Called after each piece that was read, with its size: whoever shares the disk may wait in it. */
  readonly pause: (bytes: number) => Promise<void>;
  readonly kernels?: ReadingKernels;
}

export interface ScrubFinding {
  /** LOG-CORRUPT, LOG-MANIFEST or LOG-ARCHIVE. */
  readonly code: string;
  readonly message: string;
  readonly file: string;
  /** Number of the segment; absent for the files of the whole log. */
  readonly serial?: number;
  /** First position that is bad, where it is known. */
  readonly position?: number;
  /** In the file, where it is known. */
  readonly offset?: number;
}

export interface ScrubReport {
  readonly segments: number;
  readonly bytes: number;
  /** Oldest segment first; empty when all is as it was written. */
  readonly findings: readonly ScrubFinding[];
}

const HEADER_USED_BYTES = 52;
const PIECE_BYTES = 1024 * 1024;

export async function scrubLog(options: ScrubOptions): Promise<ScrubReport> {
  return new Scrub(options).run();
}

class Scrub {
  readonly #options: ScrubOptions;
  readonly #kernels: ReadingKernels;
  readonly #findings: ScrubFinding[] = [];
  #segments = 0;
  #bytes = 0;

  constructor(options: ScrubOptions) {
    this.#options = options;
    this.#kernels = options.kernels ?? blockKernels(crc32c);
  }

  async run(): Promise<ScrubReport> {
    const { disk, directory } = this.#options;
    await this.#noting(undefined, directory, async () => this.#scrub(await readLogManifest(disk, directory)));
    return { segments: this.#segments, bytes: this.#bytes, findings: this.#findings };
  }

  async #scrub(first: Manifest): Promise<void> {
    const { disk, directory } = this.#options;
    let manifest = await this.#agreed(
      first,
      ({ carry }) => carry,
      async ({ carry }) => {
        if (carry !== null)
          await this.#noting(undefined, directory, async () => void (await StoredCarry.open(disk, directory, carry)));
      },
    );
    manifest = await this.#agreed(
      manifest,
      ({ carriedStreams }) => carriedStreams,
      async ({ carriedStreams: file }) => {
        if (file !== undefined)
          await this.#noting(undefined, directory, async () => void (await readContents({ disk, directory }, file)));
      },
    );
    const serials = Object.keys(manifest.segments).map(Number);
    for (let serial = Math.min(...serials, manifest.first); ; serial++) {
      const kind = (m: Manifest): unknown => m.segments[String(serial)];
      manifest = await this.#agreed(manifest, kind, (m) => this.#segment(m, serial));
      this.#segments++;
      if (kind(manifest) === undefined) return;
    }
  }

  async #segment(manifest: Manifest, serial: number): Promise<void> {
    const path = segmentPath(this.#options.directory, serial);
    const sealed = manifest.segments[String(serial)];
    if (sealed === undefined) return this.#noting(serial, path, () => this.#active(manifest, serial));
    if (sealed.state === "sealed") await this.#noting(serial, path, () => this.#sealed(manifest, serial, sealed));
    if (sealed.archiveHash !== null) await this.#archive(manifest, serial, sealed);
  }

  /**
   * A running host seals, archives and prunes meanwhile. What is found is a finding only if the manifest says the same afterwards;
   * else it is looked at again, as it is now. Ends, because a segment goes from state to state one way only.
   */
  async #agreed(
    manifest: Manifest,
    about: (manifest: Manifest) => unknown,
    check: (manifest: Manifest) => Promise<void>,
  ): Promise<Manifest> {
    const before = this.#findings.length;
    for (let known = manifest; ; ) {
      await check(known);
      if (this.#findings.length === before) return known;
      const now = await readLogManifest(this.#options.disk, this.#options.directory);
      if (JSON.stringify(about(now) ?? null) === JSON.stringify(about(known) ?? null)) return known;
      this.#findings.length = before;
      known = now;
    }
  }

  /** Records first, because they tell the position; then the sum over all bytes; then what the sum leaves out. */
  async #sealed(manifest: Manifest, serial: number, sealed: SealedSegment): Promise<void> {
    const path = await this.#wholeFile(manifest, serial);
    await this.#using(manifest, async (files) => {
      const header = await this.#headerOf(files, manifest, serial, path);
      await this.#records(files, manifest, serial, sealed.firstPos, sealed.endPos);
      if (
        !isZero(header, HEADER_USED_BYTES, header.length) ||
        !(await isAsSealed(files, serial, sealed, () => this.#read(0)))
      )
        throw corrupt(path, "the segment is not the one that was sealed", sealed.firstPos, 0);
      await this.#seal(files, manifest, serial, sealed, path);
    });
  }

  async #seal(
    files: SegmentReaders,
    { segmentBytes }: Manifest,
    serial: number,
    { sealOffset, sealHead, endPos }: SealedSegment,
    path: string,
  ): Promise<void> {
    const rest = Buffer.alloc(segmentBytes - sealOffset);
    await files.read(serial, rest, sealOffset);
    await this.#read(rest.length);
    const found = decodeSeal(rest, 0, crc32c);
    const end = sealBytes(PAGE_SIZE_BYTES);
    const isWhole =
      found?.header.headCrc === sealHead &&
      rest.subarray(found.header.bytes, end).every((byte) => byte === PADDING) &&
      isZero(rest, end, rest.length);
    if (!isWhole) throw corrupt(path, "the seal, or what is behind it, is not what was written", endPos, sealOffset);
  }

  async #active(manifest: Manifest, serial: number): Promise<void> {
    const from = Object.values(manifest.segments).reduce((end, { endPos }) => Math.max(end, endPos), 0);
    const path = await this.#wholeFile(manifest, serial);
    await this.#using(manifest, async (files) => {
      const header = await this.#headerOf(files, manifest, serial, path);
      if (!isZero(header, HEADER_USED_BYTES, header.length))
        throw corrupt(path, "the header has bytes that are not its own", from, HEADER_USED_BYTES);
      const end = Math.max(manifest.openEnd?.pos ?? 0, await this.#options.seenEnd(manifest.logId));
      if (from < end) await this.#records(files, manifest, serial, from, end);
    });
  }

  async #headerOf(files: SegmentReaders, manifest: Manifest, serial: number, path: string): Promise<Buffer> {
    const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
    await files.read(serial, bytes, 0);
    const header = decodeSegmentHeader(bytes, crc32c, path);
    if (header?.serial === serial && header.logId === idOfSegment(manifest, serial)) return bytes;
    const why =
      header === undefined ? "the segment's header is damaged" : "the file is a segment of another place or log";
    throw embeddedLogError("LOG-MANIFEST", why, { place: { file: path } });
  }

  /** Every block and record of `[from, end)`: checksums, positions without a gap, and the bytes between that no checksum covers. */
  async #records(
    files: SegmentReaders,
    { segmentBytes }: Manifest,
    serial: number,
    from: number,
    end: number,
  ): Promise<void> {
    const scanner = new BlockScanner(files, crc32c, PAGE_SIZE_BYTES, segmentBytes);
    let next = from;
    for await (const blocks of scanner.blocks({ serial, offset: SEGMENT_HEADER_BYTES }, end)) {
      for (const block of blocks) {
        const path = files.pathOf(block.serial);
        if (block.header.first !== next || block.serial !== serial)
          throw corrupt(path, `position ${next} is not where it should be`, next, block.offset);
        checkPadding(block, path, this.#kernels);
        next += block.header.count;
        await this.#read(paddedBytes(block.header.bytes, PAGE_SIZE_BYTES));
      }
    }
    if (next < end) throw corrupt(files.pathOf(serial), `the segment ends before position ${next}`, next, 0);
  }

  /** The files of an archived segment, each by itself. */
  async #archive(manifest: Manifest, serial: number, sealed: SealedSegment): Promise<void> {
    const { disk, directory } = this.#options;
    const { archive, archiveHash, state } = sealed;
    const sums: readonly (readonly [ArchiveKind, string | null | undefined])[] = [
      ["zst", state === "pruned" ? null : archiveHash],
      ["leaves", archive?.leavesHash],
      ["parquet", state === "pruned" ? null : archive?.parquetHash],
    ];
    for (const [kind, expected] of sums) {
      const path = archivePath(directory, serial, kind);
      if (expected === null || expected === undefined) continue;
      await this.#noting(serial, path, async () => {
        const bytes = await readWhole(disk, path);
        await this.#read(bytes.length);
        if (sha256(bytes) !== expected) throw archiveDamaged(path, "the file is not the one that was written");
        if (kind === "zst") await this.#unpack(manifest, serial, sealed, path);
      });
    }
  }

  async #unpack(manifest: Manifest, serial: number, sealed: SealedSegment, path: string): Promise<void> {
    const archive = await ArchiveFile.open(this.#options.disk, path, this.#kernels);
    try {
      await mustBeArchiveOf(archive, serial, idOfSegment(manifest, serial));
      if (!(await isAsSealed(sourceOf(archive), serial, sealed, () => this.#read(0))))
        throw archiveDamaged(path, "the archive does not unpack to what was sealed");
    } finally {
      await archive.close();
    }
  }

  async #wholeFile({ segmentBytes }: Manifest, serial: number): Promise<string> {
    const path = segmentPath(this.#options.directory, serial);
    const found = await this.#options.disk.stat(path);
    const refuse = (why: string): Error => embeddedLogError("LOG-MANIFEST", why, { place: { file: path } });
    if (found === undefined) throw refuse("a segment that the manifest names is missing");
    if (found.sizeBytes !== segmentBytes) throw refuse(`the segment has ${found.sizeBytes} bytes, not ${segmentBytes}`);
    return path;
  }

  async #using(manifest: Manifest, use: (files: SegmentReaders) => Promise<void>): Promise<void> {
    const idOf = (serial: number): string => idOfSegment(manifest, serial);
    const files = new SegmentReaders(this.#options.disk, this.#options.directory, this.#kernels, idOf);
    try {
      await use(files);
    } finally {
      await files.close();
    }
  }

  async #read(bytes: number): Promise<void> {
    this.#bytes += bytes;
    await this.#options.pause(Math.min(bytes, PIECE_BYTES));
  }

  async #noting(serial: number | undefined, file: string, check: () => Promise<void>): Promise<void> {
    try {
      await check();
    } catch (thrown) {
      const { code, message, place, details } = reportOf(thrown);
      const position = place?.position;
      const offset = details?.offset;
      this.#findings.push({
        code,
        message,
        file: place?.file ?? file,
        ...(serial === undefined ? {} : { serial }),
        ...(position === undefined ? {} : { position }),
        ...(typeof offset === "number" ? { offset } : {}),
      });
    }
  }
}

/** Bytes of a block that no checksum covers are known by heart: zeros between records, 0xA5 behind the last. */
function checkPadding(block: ScannedBlock, path: string, kernels: ReadingKernels): void {
  const { bytes, view, at: start, header, offset } = block;
  const end = start + header.bytes;
  visitRecords(block, path, kernels, (at, _isControl, position) => {
    for (let pad = at + view.getUint32(at, true); pad < end && pad % RECORD_ALIGN !== start % RECORD_ALIGN; pad++)
      if (bytes[pad] !== 0) throw recordCorrupt(path, offset + pad - start, position);
  });
  const padded = start + paddedBytes(header.bytes, PAGE_SIZE_BYTES);
  for (let pad = end; pad < padded; pad++)
    if (bytes[pad] !== PADDING) throw recordCorrupt(path, offset + pad - start, header.first);
}

function corrupt(file: string, why: string, position: number, offset: number): Error {
  return embeddedLogError("LOG-CORRUPT", why, { place: { file, position }, details: { offset } });
}
