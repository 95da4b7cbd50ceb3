/**
 * What a lost manifest said of archived segments, made again from the archive itself: the packed segment has header, chain and seal,
 * and everything is compared with everything else. Of pruned segments it stands in the record of the prune, which is compared with their
 * leaf hashes and with the chain of what is left.
 */
import { createHash } from "node:crypto";
import { type Disk, storedRecords } from "@millrace/engine";
import { ArchiveFile, archiveDamaged } from "./archive-file.ts";
import { type ArchiveKind, archiveDirectory, archivedFile, archivePath } from "./archive-names.ts";
import { LEAF_BYTES, type LeavesOf, sourceOf } from "./archive-segment.ts";
import { blockKernels } from "./block-kernels.ts";
import { BlockScanner } from "./block-scanner.ts";
import { type Expected, walkSegment } from "./block-walk.ts";
import { Carry } from "./carry.ts";
import { type CarryFile, carryFileAt, StoredCarry, serialOfCarry } from "./carry-file.ts";
import { crc32c } from "./crc32c.ts";
import type { Name } from "./dictionary.ts";
import { embeddedLogError } from "./errors.ts";
import { viewOf } from "./little-endian.ts";
import { idOfSegment, type SealedSegment } from "./manifest.ts";
import { readWhole, sha256 } from "./pruned-leaves.ts";
import { type PrunedRecord, prunedRecords } from "./pruned-record.ts";
import { timeMsAt } from "./record.ts";
import { ALL_RULES_HOLD } from "./rules.ts";
import { decodeSegmentHeader, PAGE_SIZE_BYTES, SEGMENT_HEADER_BYTES, type SegmentHeader } from "./segment-header.ts";
import { storedBatches } from "./stored-records.ts";

/** Leaf hashes as they were computed, and compared with what was signed. */
export interface LeafChecks {
  readonly leavesOf: LeavesOf;
  /** Where the log has a signed tree. @throws LOG-FORK, AUDIT-TILE */
  readonly checkLeaves?: ((logId: string, firstPosition: number, leaves: Uint8Array) => Promise<void>) | undefined;
}

/** Segments of which only the archive is here. */
export interface ArchivedListing {
  readonly headers: readonly SegmentHeader[];
  readonly segments: Readonly<Record<string, SealedSegment>>;
  /** What the next block must be. */
  readonly next: Readonly<Expected>;
  /** What is to be carried of them: what a file has, and what records add to it. */
  readonly carried: CarryFile | null;
  readonly carry: Carry;
  /** What was pruned before. */
  readonly pruned: PrunedRecord | undefined;
}

const KERNELS = blockKernels(crc32c);

interface ListingOptions {
  readonly disk: Disk;
  /** Of the log. */
  readonly directory: string;
  /** Segments that are here themselves. */
  readonly here: ReadonlySet<number>;
  readonly checks: LeafChecks | undefined;
}

/**
 * `undefined` when nothing is archived that is not here.
 *
 * @throws LOG-MANIFEST a segment was pruned and nothing says what it was, or is neither here nor in the archive; LOG-ARCHIVE, LOG-FORK
 */
export async function archivedListing(options: ListingOptions): Promise<ArchivedListing | undefined> {
  const { disk, directory, here } = options;
  const kinds = await archivedKinds(disk, directory);
  const last = Math.max(0, ...[...kinds.keys()].filter((serial) => !here.has(serial)));
  if (last === 0) return undefined;
  const isThere = (serial: number): boolean => here.has(serial) || kinds.get(serial)?.has("zst") === true;
  const missing = firstMissing(last, (serial) => kinds.get(serial)?.has("zst") === true);
  const pruned = await prunedBefore(options, last, isThere);
  if (pruned === undefined && missing !== undefined) throw refuse(options, missing, kinds.get(missing) ?? new Set());
  const listing = await Listing.begin(options, pruned, last + 1);
  for (let serial = pruned?.serial ?? 1; serial <= last; serial++)
    await listing.add(serial, kinds.get(serial)?.has("parquet") === true);
  return listing.done();
}

function firstMissing(last: number, isThere: (serial: number) => boolean): number | undefined {
  for (let serial = 1; serial <= last; serial++) if (!isThere(serial)) return serial;
  return undefined;
}

/** The record of the fewest segments with which everything else is there; none is needed when all is. */
async function prunedBefore(
  { disk, directory }: ListingOptions,
  last: number,
  isThere: (serial: number) => boolean,
): Promise<PrunedRecord | undefined> {
  const isWholeFrom = (first: number): boolean => {
    for (let serial = first; serial <= last; serial++) if (!isThere(serial)) return false;
    return true;
  };
  if (isWholeFrom(1)) return undefined;
  return (await prunedRecords(disk, directory)).find(({ serial }) => isWholeFrom(serial));
}

/** The newest carry that ends before what has to be read for it; it must be whole by itself, as no manifest has its hash. */
async function carriedUpTo(
  { disk, directory }: ListingOptions,
  from: number,
  to: number,
): Promise<{ readonly file: CarryFile; readonly serial: number }> {
  const names = (await disk.list(directory)).flatMap((file) => {
    const serial = serialOfCarry(file);
    return serial === undefined || serial < from || serial > to ? [] : [{ file, serial }];
  });
  for (const { file, serial } of names.sort((a, b) => b.serial - a.serial)) {
    const found = await carryFileAt(disk, directory, file);
    if (found !== undefined) return { file: found, serial };
  }
  const why = "the manifest is lost, and so is what is carried of pruned segments (carry-….bin); put back either";
  throw embeddedLogError("LOG-MANIFEST", why, { place: { file: `${directory}/MANIFEST` } });
}

async function archivedKinds(disk: Disk, directory: string): Promise<Map<number, Set<ArchiveKind>>> {
  const kinds = new Map<number, Set<ArchiveKind>>();
  if (!(await disk.list(directory)).some((name) => name === "archive" || name.startsWith("archive/"))) return kinds;
  for (const name of await disk.list(archiveDirectory(directory))) {
    const file = archivedFile(name);
    if (file !== undefined) kinds.set(file.serial, (kinds.get(file.serial) ?? new Set()).add(file.kind));
  }
  return kinds;
}

function refuse({ directory }: ListingOptions, serial: number, found: ReadonlySet<ArchiveKind>): Error {
  const packed = archivePath(directory, serial, "zst");
  const why = found.has("leaves")
    ? `segment ${serial} was pruned or its archive is missing, and no record of a prune (pruned-….json) says which`
    : `segment ${serial} is missing, and so is its archive`;
  return embeddedLogError("LOG-MANIFEST", `the manifest is lost, and ${why}; put back ${packed} or the manifest`, {
    place: { file: packed },
  });
}

class Listing {
  readonly #options: ListingOptions;
  readonly #headers: SegmentHeader[] = [];
  readonly #segments: Record<string, SealedSegment> = {};
  readonly #next: Expected = { seq: 0, prev: 0, position: 0, epoch: 0 };
  readonly #carry = new Carry();
  readonly #streams = new Map<number, string>();
  #learned = 0;
  #carried: CarryFile | null = null;
  /** Records from this segment on are to be added to what is carried. */
  #addsFrom = 1;
  #pruned: PrunedRecord | undefined;

  private constructor(options: ListingOptions) {
    this.#options = options;
  }

  /** @param end behind the last segment that is not here itself */
  static async begin(options: ListingOptions, pruned: PrunedRecord | undefined, end: number): Promise<Listing> {
    const listing = new Listing(options);
    if (pruned !== undefined) await listing.#beginBehind(pruned, end);
    return listing;
  }

  async #beginBehind(pruned: PrunedRecord, end: number): Promise<void> {
    const { disk, directory } = this.#options;
    this.#pruned = pruned;
    for (let serial = 1; serial < pruned.serial; serial++) await this.#addPruned(pruned, serial);
    const { file, serial } = await carriedUpTo(this.#options, pruned.serial, end);
    this.#carried = file;
    this.#addsFrom = serial;
    for await (const { kind, number, name } of (await StoredCarry.open(disk, directory, file)).names())
      if (kind === "stream") this.#streams.set(number, name);
  }

  /** @throws LOG-ARCHIVE its leaf hashes are not those that were written; LOG-FORK */
  async #addPruned(pruned: PrunedRecord, serial: number): Promise<void> {
    const { disk, directory, checks } = this.#options;
    const path = archivePath(directory, serial, "leaves");
    const leaves = await readWhole(disk, path);
    const segment = pruned.segments[String(serial)];
    if (segment === undefined || sha256(leaves) !== segment.archive?.leavesHash)
      throw archiveDamaged(path, "the leaf hashes are not those that were written");
    await checks?.checkLeaves?.(idOfSegment(pruned, serial), segment.firstPos, leaves);
    this.#segments[String(serial)] = segment;
    Object.assign(this.#next, { seq: segment.sealSeq + 1, prev: segment.sealHead, position: segment.endPos });
  }

  done(): ArchivedListing {
    return {
      headers: this.#headers,
      segments: this.#segments,
      next: this.#next,
      carried: this.#carried,
      carry: this.#carry,
      pruned: this.#pruned,
    };
  }

  async add(serial: number, hasTwin: boolean): Promise<void> {
    const { disk, directory } = this.#options;
    const path = archivePath(directory, serial, "zst");
    const archive = await ArchiveFile.open(disk, path, KERNELS);
    try {
      const { header, sealed } = await this.#walk(archive, serial);
      const leaves = await readWhole(disk, archivePath(directory, serial, "leaves"));
      const times = await this.#records(archive, serial, header, sealed, leaves);
      const packed = await readWhole(disk, path);
      const twin = hasTwin ? await readWhole(disk, archivePath(directory, serial, "parquet")) : undefined;
      const bytes = packed.length + leaves.length + (twin?.length ?? 0);
      const hashes = { leavesHash: sha256(leaves), parquetHash: twin === undefined ? null : sha256(twin) };
      this.#headers.push(header);
      this.#segments[String(serial)] = {
        ...sealed,
        archiveHash: sha256(packed),
        archive: { bytes, ...hashes, ...times },
      };
    } finally {
      await archive.close();
    }
  }

  async #walk(
    archive: ArchiveFile,
    serial: number,
  ): Promise<{ readonly header: SegmentHeader; readonly sealed: SealedSegment }> {
    const bytes = Buffer.alloc(await archive.size());
    await archive.read(bytes, 0);
    const header = decodeSegmentHeader(bytes, crc32c, archive.path);
    if (header?.serial !== serial) throw archiveDamaged(archive.path, "the archived segment is of another place");
    const { position } = this.#next;
    const context = { crc: crc32c, align: PAGE_SIZE_BYTES, rulesOff: ALL_RULES_HOLD };
    const { end } = walkSegment(bytes, serial, header.salt, this.#next, context);
    if (end.kind !== "sealed") throw archiveDamaged(archive.path, "the archived segment has no seal", end.offset);
    const { seal, offset } = end;
    const isWhole = seal.sha256 === createHash("sha256").update(bytes.subarray(0, offset)).digest("hex");
    if (!isWhole || seal.firstPos !== position || seal.endPos !== this.#next.position)
      throw archiveDamaged(archive.path, "the seal does not describe its segment", offset);
    const place = { sealHead: end.header.headCrc, sealOffset: offset, sealSeq: end.header.seq };
    return { header, sealed: { ...seal, ...place, state: "archived", archiveHash: null } };
  }

  /** Into the carry, and compared with the leaf hashes; returns the times of the first and the last. */
  async #records(
    archive: ArchiveFile,
    serial: number,
    { logId, sizeBytes }: SegmentHeader,
    { firstPos, endPos }: SealedSegment,
    leaves: Buffer,
  ): Promise<{ readonly firstMs: number; readonly lastMs: number }> {
    const { directory, checks } = this.#options;
    const files = sourceOf(archive);
    const scanner = new BlockScanner(files, crc32c, PAGE_SIZE_BYTES, sizeBytes);
    const blocks = scanner.blocks({ serial, offset: SEGMENT_HEADER_BYTES }, endPos);
    const times: number[] = [];
    const computed: Uint8Array[] = [];
    for await (const batch of storedBatches(blocks, { kernels: KERNELS, files }, firstPos, endPos)) {
      if (checks !== undefined) computed.push(await checks.leavesOf(batch));
      for (const record of storedRecords(batch)) {
        if (serial >= this.#addsFrom) this.#carry.add(record, (number) => this.#streamName(number));
        if (!record.isControl) times.push(timeMsAt(viewOf(record.header), 0));
      }
    }
    const isSame = checks === undefined || Buffer.concat(computed).equals(leaves);
    if (leaves.length !== (endPos - firstPos) * LEAF_BYTES || !isSame)
      throw archiveDamaged(archivePath(directory, serial, "leaves"), "the leaf hashes are not those of the segment");
    await checks?.checkLeaves?.(logId, firstPos, leaves);
    return { firstMs: times[0] ?? 0, lastMs: times.at(-1) ?? 0 };
  }

  /** A name comes before what uses it. */
  #streamName(number: number): string {
    const { names } = this.#carry;
    for (; this.#learned < names.length; this.#learned++) {
      const { kind, number: known, name } = names[this.#learned] as Name;
      if (kind === "stream") this.#streams.set(known, name);
    }
    return this.#streams.get(number) ?? "";
  }
}
