/**
 * What a lost manifest said of archived segments, made again from the archive itself: the packed segment has header, chain and seal,
 * and everything is compared with everything else. A pruned segment has nothing that says it; then the manifest cannot be made again.
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
import { crc32c } from "./crc32c.ts";
import type { Name } from "./dictionary.ts";
import { embeddedLogError } from "./errors.ts";
import { viewOf } from "./little-endian.ts";
import type { SealedSegment } from "./manifest.ts";
import { readWhole, sha256 } from "./pruned-leaves.ts";
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
  readonly carry: Carry;
}

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
 * @throws LOG-MANIFEST a segment was pruned, or is neither here nor in the archive; LOG-ARCHIVE, LOG-FORK
 */
export async function archivedListing(options: ListingOptions): Promise<ArchivedListing | undefined> {
  const { disk, directory, here } = options;
  const kinds = await archivedKinds(disk, directory);
  const last = Math.max(0, ...[...kinds.keys()].filter((serial) => !here.has(serial)));
  if (last === 0) return undefined;
  const listing = new Listing(options);
  for (let serial = 1; serial <= last; serial++) {
    const found = kinds.get(serial) ?? new Set<ArchiveKind>();
    if (found.has("zst")) await listing.add(serial, found.has("parquet"));
    else throw refuse(options, serial, found);
  }
  return listing.done();
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
    ? `segment ${serial} was pruned or its archive is missing: its place in the chain stood in the manifest only`
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

  constructor(options: ListingOptions) {
    this.#options = options;
  }

  done(): ArchivedListing {
    return { headers: this.#headers, segments: this.#segments, next: this.#next, carry: this.#carry };
  }

  async add(serial: number, hasTwin: boolean): Promise<void> {
    const { disk, directory } = this.#options;
    const path = archivePath(directory, serial, "zst");
    const archive = await ArchiveFile.open(disk, path);
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
    const header = decodeSegmentHeader(bytes, crc32c);
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
    for await (const batch of storedBatches(blocks, { kernels: blockKernels(crc32c), files }, firstPos, endPos)) {
      if (checks !== undefined) computed.push(await checks.leavesOf(batch));
      for (const record of storedRecords(batch)) {
        this.#carry.add(record, (number) => this.#streamName(number));
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
