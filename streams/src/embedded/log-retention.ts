/**
 * How long the log keeps what: sealed segments go to the archive, from which every read still finds them; archived ones can be
 * pruned, which leaves leaf hashes and the heads of streams. One job at a time, beside appends and reads (FORMAT.md, L-R24 to L-R27).
 */
import {
  type CarriedStream,
  InvariantViolation,
  invariant,
  type Json,
  type Mutation,
  type Place,
  type PrunedLeaves,
  type StoredBatch,
  type StreamCarry,
  storedRecords,
} from "@millrace/engine";
import { archiveDirectory, archivePath } from "./archive-names.ts";
import { type ArchiveContext, type ArchiveMaking, LEAF_BYTES } from "./archive-segment.ts";
import {
  CarriedStreams,
  type CarriedStreamsFile,
  positionOfRecord,
  sweepCarriedStreams,
  writeCarriedStreams,
} from "./carried-streams.ts";
import { StoredCarry, sweepCarries } from "./carry-file.ts";
import { crc32c } from "./crc32c.ts";
import { embeddedLogError } from "./errors.ts";
import { type KeptFrom, keptFrom } from "./kept-range.ts";
import type { LogIndex } from "./log-index.ts";
import type { Manifest, ManifestFile, PrunedPositions, SealedSegment } from "./manifest.ts";
import { prunedLeaves } from "./pruned-leaves.ts";
import { prunedRecordOf, sweepPrunedRecords, writePrunedRecord } from "./pruned-record.ts";
import { type ArchiverSettings, archiveJob, type SegmentArchiver } from "./segment-archiver.ts";
import { segmentPath, unlinkIfThere } from "./segment-files.ts";
import type { SegmentReaders } from "./segment-readers.ts";

export interface RetentionParts extends ArchiveContext {
  readonly files: SegmentReaders;
  readonly manifest: ManifestFile;
  readonly index: LogIndex;
  /** Records of `[from, end)` as they are stored. */
  readonly stored: (from: number, end: number) => AsyncIterable<StoredBatch>;
  /** Everything below is in the index. */
  readonly indexedEnd: () => number;
  /** Time of the event at a position, in ms since 1970. */
  readonly timeAt: (position: number) => Promise<number>;
}

/** A segment as `log ls` shows it. */
export interface SegmentInfo {
  readonly serial: number;
  readonly state: SealedSegment["state"] | "active";
  readonly firstPosition: number;
  /** Exclusive; `null` of the active segment. */
  readonly endPosition: number | null;
  /** Times of the first and last event in ms since 1970; `null` where it is not known without reading the segment. */
  readonly firstMs: number | null;
  readonly lastMs: number | null;
  /** What the segment takes on the disk. */
  readonly bytes: number;
}

export interface ArchiveOptions extends ArchiveMaking {
  /** Segments whose last event is older than this, in ms since 1970. */
  readonly beforeMs: number;
  /** Positions below this are signed; only they are archived. */
  readonly signedEnd: number;
  /** Leaves the segments here too, so that either can be repaired from the other. Default false. */
  readonly keep?: boolean;
  /** Makes the archives elsewhere; the job closes it. Default: in this thread, with the `making` that these options are. */
  readonly archiver?: ((settings: ArchiverSettings) => SegmentArchiver) | undefined;
}

/** Somebody to whom the records from `position` on must stay readable. */
export interface RetentionNeed {
  /** Stable: what kind of need it is. */
  readonly code: string;
  readonly name: string;
  readonly position: number;
  /** What it is of, where that has a name. */
  readonly place?: Pick<Place, "graph" | "node" | "stream">;
  /** What ends the need; absent: time, or nothing. */
  readonly remedy?: string;
}

export interface PruneOptions {
  /** Archived segments whose last event is older than this, in ms since 1970. */
  readonly beforeMs: number;
  /** Who needs what below `endPosition`, asked when it is this job's turn; live subscriptions are known to the log itself. */
  readonly needs: (endPosition: number) => Promise<readonly RetentionNeed[]>;
  /** What holds a segment, such as a legal hold; asked for one after the other, up to the first that is held. */
  readonly heldBy: (firstPosition: number, endPosition: number) => Promise<RetentionNeed | undefined>;
  /**
   * What has to be carried of streams when everything below `endPosition` goes, one at a time; it takes the place of what was carried before, of
   * which {@link LogRetention.carriedStreams} tells. Default: what was carried before stays.
   */
  readonly carry?: (endPosition: number) => Iterable<StreamCarry> | AsyncIterable<StreamCarry>;
  /** Called once before the events of `[firstPosition, endPosition)` go, and waited for. */
  readonly beforeForgetting?: (firstPosition: number, endPosition: number) => Promise<void>;
  /** Who asks, kept with what was done. */
  readonly by: Mutation;
}

export interface PrunedRange {
  readonly segments: readonly SegmentInfo[];
  /** The first position that can be read now. */
  readonly base: number;
  /** Why further segments that are old enough stayed; empty when none did. */
  readonly heldBy: readonly RetentionNeed[];
}

export interface ArchivedRange {
  readonly segments: readonly SegmentInfo[];
  /** Why a further segment that is old enough stayed; `undefined` when none did. */
  readonly waitsFor: string | undefined;
}

/** What the manifest is once these segments are pruned. */
function withoutRecordsOf(
  serials: readonly number[],
  by: Mutation,
  carriedStreams: CarriedStreamsFile | undefined,
  manifest: Manifest,
): Manifest {
  const pruned = serials.map((serial) => {
    const segment = manifest.segments[String(serial)];
    invariant(segment !== undefined, "only listed segments are pruned");
    return [String(serial), { ...segment, state: "pruned" as const }] as const;
  });
  const next = {
    ...manifest,
    segments: { ...manifest.segments, ...Object.fromEntries(pruned) },
    ...(carriedStreams === undefined ? {} : { carriedStreams }),
  };
  return { ...next, lastPruned: { from: keptFrom(manifest).position, to: keptFrom(next).position, by } };
}

export function infoOf(serial: number, sealed: SealedSegment, segmentBytes: number): SegmentInfo {
  const { state, firstPos, endPos, archive } = sealed;
  const leavesBytes = (endPos - firstPos) * LEAF_BYTES;
  const bytes = { sealed: segmentBytes, archived: archive?.bytes ?? 0, pruned: leavesBytes }[state];
  const { firstMs = null, lastMs = null } = archive ?? {};
  return { serial, state, firstPosition: firstPos, endPosition: endPos, firstMs, lastMs, bytes };
}

function heldError(serial: number, info: SegmentInfo, needs: readonly RetentionNeed[]): Error {
  const { firstPosition, endPosition } = info;
  const [first, ...others] = needs;
  const by = first?.name ?? "somebody";
  const more = others.length === 0 ? "" : ` and ${others.length} more`;
  const message = `segment ${serial} with the positions ${firstPosition} to ${(endPosition ?? 0) - 1} is needed by ${by}${more}`;
  const position = Math.max(first?.position ?? 0, firstPosition);
  // Needs are made of what JSON can say.
  const heldBy = needs as unknown as Json;
  return embeddedLogError("LOG-HELD", message, { place: { position }, details: { by, position, serial, heldBy } });
}

export class LogRetention {
  readonly #parts: RetentionParts;
  readonly #live = new Set<{ readonly code: string; readonly name: string; position: number }>();
  readonly #carried: CarriedStreams;
  #isStopping = false;
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: RetentionParts) {
    this.#parts = parts;
    const { disk, directory, names, manifest } = parts;
    const file = (): CarriedStreamsFile | undefined => manifest.current.carriedStreams;
    this.#carried = new CarriedStreams({ disk, directory, names, crc: crc32c, file });
  }

  /** The first position that can be read. */
  get keptFrom(): KeptFrom {
    return keptFrom(this.#manifest);
  }

  /** The newest prune: whoever tells of prunes elsewhere finds here what a crash kept from being told. */
  get lastPruned(): PrunedPositions | undefined {
    return this.#manifest.lastPruned;
  }

  /** SHA-256 of the file with what is carried of streams, in hexadecimal digits; `undefined` when nothing is. */
  get carriedHash(): string | undefined {
    return this.#manifest.carriedStreams?.sha256;
  }

  get #manifest(): Manifest {
    return this.#parts.manifest.current;
  }

  /**
   * Archives sealed segments, oldest first, as long as they are old enough, signed and indexed. Each is durable by itself: a crash
   * leaves it archived or not.
   *
   * @throws LOG-CORRUPT a segment is not what was sealed
   * @throws LOG-FORK a record is not what was signed
   * @throws LOG-ARCHIVE what was written does not read back
   */
  archive(options: ArchiveOptions): Promise<ArchivedRange> {
    return this.#next(async () => {
      const { directory, align, segmentBytes } = this.#parts;
      const { logId } = this.#manifest;
      const archiver = options.archiver?.({ directory, align, segmentBytes, logId }) ?? this.#inline(options);
      try {
        return await this.#archiveOld(options, archiver);
      } finally {
        await archiver.close();
      }
    });
  }

  /** Segments of a log with larger ones take seconds each. */
  get segmentBytes(): number {
    return this.#parts.segmentBytes;
  }

  #inline(making: ArchiveMaking): SegmentArchiver {
    return { archive: (job) => archiveJob(this.#parts, making, job), close: async () => undefined };
  }

  async #archiveOld(options: ArchiveOptions, archiver: SegmentArchiver): Promise<ArchivedRange> {
    const done: SegmentInfo[] = [];
    for (let serial = this.#manifest.first; ; serial++) {
      const sealed = this.#manifest.segments[String(serial)];
      if (sealed === undefined) return { segments: done, waitsFor: undefined };
      if (this.#isStopping) return { segments: done, waitsFor: "the host, which stops" };
      if ((await this.#parts.timeAt(sealed.endPos - 1)) >= options.beforeMs)
        return { segments: done, waitsFor: undefined };
      if (sealed.endPos > options.signedEnd) return { segments: done, waitsFor: "the Merkle tree" };
      if (sealed.endPos > this.#parts.indexedEnd()) return { segments: done, waitsFor: "the index" };
      if (options.keep !== true) await this.#archiveFirst(serial, sealed, archiver);
      else if (sealed.archiveHash === null) await this.#copy(serial, sealed, archiver);
      else continue;
      done.push(this.#infoOf(serial));
    }
  }

  /**
   * Forgets archived segments, oldest first, up to the first that somebody needs: leaf hashes, the heads of streams and what is carried
   * stay, proofs hold as before, and reads of what is gone are answered with LOG-PRUNED. All of them or none, also when the process
   * dies meanwhile.
   *
   * @throws LOG-HELD the oldest is needed already; the details name by whom, and from which position
   */
  prune(options: PruneOptions): Promise<PrunedRange> {
    return this.#next(async () => {
      const old = this.#oldArchived(options.beforeMs);
      const { serials, heldBy } = await this.#freeOf(old, options);
      const last = serials.at(-1);
      if (last !== undefined) await this.#forget(serials, this.#endOf(last), options);
      else if (old[0] !== undefined) throw heldError(old[0], this.#infoOf(old[0]), heldBy);
      return { segments: serials.map((serial) => this.#infoOf(serial)), base: this.keptFrom.position, heldBy };
    });
  }

  async #forget(serials: readonly number[], end: number, options: PruneOptions): Promise<void> {
    await this.#indexEnds(serials);
    await options.beforeForgetting?.(this.keptFrom.position, end);
    const carries = options.carry?.(end);
    const carried = carries === undefined ? this.#manifest.carriedStreams : await this.#writeCarried(serials, carries);
    // Subscriptions may have begun meanwhile; from here to the manifest nothing else is asked.
    const live = [...this.#live].filter(({ position }) => position < end);
    if (live.length > 0) throw heldError(serials[0] as number, this.#infoOf(serials[0] as number), live);
    await this.#pruneAll(serials, options.by, carried);
  }

  /** What was carried of a stream. @throws LOG-MANIFEST */
  carried(stream: string): Promise<CarriedStream | undefined> {
    return this.#carried.find(stream);
  }

  /** Streams of which something was carried. @throws LOG-MANIFEST */
  carriedStreams(): Promise<readonly string[]> {
    return this.#carried.streams();
  }

  /** The bytes of all that was carried, in pieces that begin and end with a stream's. @throws LOG-MANIFEST */
  carriedBytes(): AsyncIterable<Uint8Array> {
    return this.#carried.bytes();
  }

  /** Hands batches on, and keeps what comes after them from being pruned meanwhile. */
  async *needed<T extends { readonly end: number }>(from: number, batches: AsyncIterable<T>): AsyncGenerator<T> {
    const need = { code: "HELD-SUBSCRIPTION", name: "a subscription", position: from };
    this.#live.add(need);
    try {
      for await (const batch of batches) {
        need.position = batch.end;
        yield batch;
      }
    } finally {
      this.#live.delete(need);
    }
  }

  /** Leaf hashes of what is pruned, in order. @throws LOG-ARCHIVE */
  prunedLeaves(): AsyncIterable<PrunedLeaves> {
    const { disk, directory } = this.#parts;
    return prunedLeaves(disk, directory, this.#manifest);
  }

  /** Ends an archive job behind the segment that it is at, so that a log that closes need not wait for all of them. */
  stop(): void {
    this.#isStopping = true;
  }

  /** Waits for the job that runs. */
  async settled(): Promise<void> {
    this.stop();
    await this.#last.catch(() => undefined);
  }

  async #archiveFirst(serial: number, sealed: SealedSegment, archiver: SegmentArchiver): Promise<void> {
    const { disk, directory, manifest, rulesOff } = this.#parts;
    const { archiveHash, facts, carry } = await archiver.archive({ serial, sealed, carry: this.#manifest.carry });
    const remove = async (): Promise<void> => {
      await unlinkIfThere(disk, segmentPath(directory, serial));
      await disk.syncDirectory(directory);
    };
    if (rulesOff.has("L-R24")) await remove();
    await manifest.update((current) => {
      invariant(current.first === serial, "segments are archived in order, by one job at a time");
      return {
        ...current,
        segments: {
          ...current.segments,
          [String(serial)]: { ...sealed, state: "archived", archiveHash, archive: facts },
        },
        first: serial + 1,
        base: sealed.endPos,
        seq0: sealed.sealSeq + 1,
        prev0: sealed.sealHead,
        carry,
      };
    });
    if (!rulesOff.has("L-R24")) await remove();
    await this.#parts.files.forgetBelow(serial + 1);
    await sweepCarries(disk, directory, this.#manifest);
  }

  async #copy(serial: number, sealed: SealedSegment, archiver: SegmentArchiver): Promise<void> {
    const { archiveHash, facts } = await archiver.archive({ serial, sealed, carry: "keep" });
    await this.#replace(serial, { ...sealed, archiveHash, archive: facts });
  }

  #oldArchived(beforeMs: number): readonly number[] {
    const { segments } = this.#manifest;
    const serials: number[] = [];
    for (let { serial } = this.keptFrom; segments[String(serial)]?.state === "archived"; serial++) {
      if ((segments[String(serial)]?.archive?.lastMs ?? 0) >= beforeMs) break;
      serials.push(serial);
    }
    return serials;
  }

  /**
   * The oldest of the segments that nobody needs, and who needs the others. Asked again for fewer: what is carried as of an earlier
   * position may fail where that of a later one does not.
   */
  async #freeOf(
    serials: readonly number[],
    options: PruneOptions,
  ): Promise<{ readonly serials: readonly number[]; readonly heldBy: readonly RetentionNeed[] }> {
    if (serials.length === 0) return { serials, heldBy: [] };
    const heldBy = await this.#needsOf(serials, options);
    if (heldBy.length === 0) return { serials, heldBy };
    const free = serials.filter((serial) => heldBy.every(({ position }) => position >= this.#endOf(serial)));
    const nearer = await this.#freeOf(free, options);
    return { serials: nearer.serials, heldBy: [...nearer.heldBy, ...heldBy] };
  }

  /** Who needs any of the segments. */
  async #needsOf(serials: readonly number[], options: PruneOptions): Promise<readonly RetentionNeed[]> {
    const end = this.#endOf(serials.at(-1) as number);
    const needs = [...(await options.needs(end)), ...this.#live].filter(({ position }) => position < end);
    for (const serial of serials) {
      const { firstPosition } = this.#infoOf(serial);
      const segmentEnd = this.#endOf(serial);
      if (needs.some(({ position }) => position < segmentEnd)) break;
      const hold = await options.heldBy(firstPosition, segmentEnd);
      if (hold !== undefined) needs.push(hold);
    }
    return needs.sort((a, b) => a.position - b.position);
  }

  #endOf(serial: number): number {
    return (this.#manifest.segments[String(serial)] as SealedSegment).endPos;
  }

  #writeCarried(
    serials: readonly number[],
    carries: Iterable<StreamCarry> | AsyncIterable<StreamCarry>,
  ): Promise<CarriedStreamsFile> {
    const { disk, directory, rulesOff } = this.#parts;
    const recordsOf = (carry: StreamCarry): Promise<readonly Uint8Array[]> => this.#recordsOf(carry);
    const kept = (serials.at(-1) as number) + 1;
    return writeCarriedStreams({ disk, directory, crc: crc32c }, kept, carries, recordsOf, rulesOff);
  }

  /** The records at these positions, as they are stored or were carried before. */
  async #recordsOf({ stream, positions }: StreamCarry): Promise<readonly Uint8Array[]> {
    const before = positions.length === 0 ? undefined : await this.#carried.stored(stream);
    const known = new Map(before?.records.map((record) => [positionOfRecord(record), record]));
    const missing = positions.filter((position) => !known.has(position));
    const end = (missing.at(-1) ?? 0) + 1;
    const isMissing = new Set(missing);
    for (const position of missing)
      if (!known.has(position))
        for (const [at, record] of await this.#recordsFrom(position, end, isMissing)) known.set(at, record);
    return positions.map((position) => known.get(position) as Uint8Array);
  }

  /** Those of `wanted` that stand in one batch with the first of them: the next may be far away. */
  async #recordsFrom(first: number, end: number, wanted: ReadonlySet<number>): Promise<Map<number, Uint8Array>> {
    for await (const batch of this.#parts.stored(first, end)) {
      const records = storedRecords(batch).filter(({ position, isControl }) => !isControl && wanted.has(position));
      if (records.length > 0)
        return new Map(records.map(({ position, header, payload }) => [position, Buffer.concat([header, payload])]));
    }
    throw new InvariantViolation(`nothing is stored at position ${first}`);
  }

  /** One manifest forgets all of them; the files go behind it (L-R24). */
  async #pruneAll(
    serials: readonly number[],
    by: Mutation,
    carriedStreams: CarriedStreamsFile | undefined,
  ): Promise<void> {
    const { disk, directory, manifest, rulesOff } = this.#parts;
    const remove = async (): Promise<void> => {
      for (const serial of serials)
        for (const kind of ["zst", "parquet"] as const) await unlinkIfThere(disk, archivePath(directory, serial, kind));
      await disk.syncDirectory(archiveDirectory(directory));
    };
    const record = prunedRecordOf(withoutRecordsOf(serials, by, carriedStreams, this.#manifest));
    invariant(record !== undefined, "something is pruned");
    await writePrunedRecord(disk, directory, record);
    if (rulesOff.has("L-R24")) await remove();
    await manifest.update((current) => withoutRecordsOf(serials, by, carriedStreams, current));
    if (!rulesOff.has("L-R24")) await remove();
    await this.#parts.files.forgetBelow(this.keptFrom.serial);
    await sweepCarries(disk, directory, this.#manifest);
    await sweepCarriedStreams(disk, directory, this.#manifest);
    await sweepPrunedRecords(disk, directory, this.#manifest);
  }

  /** Gives the index the ends of streams, before what it leads to is gone. */
  async #indexEnds(serials: readonly number[]): Promise<void> {
    const { disk, directory, index } = this.#parts;
    const { carry: file } = this.#manifest;
    if (file === null) return;
    const carry = await StoredCarry.open(disk, directory, file);
    await carry.writeTo(index.store, this.#endOf(serials.at(-1) as number));
  }

  #replace(serial: number, segment: SealedSegment): Promise<void> {
    return this.#parts.manifest.update((current) => ({
      ...current,
      segments: { ...current.segments, [String(serial)]: segment },
    }));
  }

  #infoOf(serial: number): SegmentInfo {
    // Asked for serials of the manifest only, of which none ever goes.
    return infoOf(serial, this.#manifest.segments[String(serial)] as SealedSegment, this.#manifest.segmentBytes);
  }

  #next<T>(job: () => Promise<T>): Promise<T> {
    const result = this.#last.then(job);
    this.#last = result.catch(() => undefined);
    return result;
  }
}
