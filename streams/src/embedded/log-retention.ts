/**
 * How long the log keeps what: sealed segments go to the archive, from which every read still finds them; archived ones can be
 * pruned, which leaves leaf hashes and the heads of streams. One job at a time, beside appends and reads (FORMAT.md, L-R24 to L-R27).
 */
import { invariant } from "@millrace/engine";
import { type ArchiveContext, type ArchiveMaking, archiveSegment, LEAF_BYTES } from "./archive-segment.ts";
import { Carry, readCarry, sweepCarries, writeCarry } from "./carry.ts";
import { type KeptFrom, keptFrom } from "./kept-range.ts";
import type { Manifest, ManifestFile, SealedSegment } from "./manifest.ts";
import { segmentPath, unlinkIfThere } from "./segment-files.ts";

export interface RetentionParts extends ArchiveContext {
  readonly manifest: ManifestFile;
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
}

export interface ArchivedRange {
  readonly segments: readonly SegmentInfo[];
  /** Why a further segment that is old enough stayed; `undefined` when none did. */
  readonly waitsFor: string | undefined;
}

export function infoOf(serial: number, sealed: SealedSegment, segmentBytes: number): SegmentInfo {
  const { state, firstPos, endPos, archive } = sealed;
  const leavesBytes = (endPos - firstPos) * LEAF_BYTES;
  const bytes = { sealed: segmentBytes, archived: archive?.bytes ?? 0, pruned: leavesBytes }[state];
  const { firstMs = null, lastMs = null } = archive ?? {};
  return { serial, state, firstPosition: firstPos, endPosition: endPos, firstMs, lastMs, bytes };
}

export class LogRetention {
  readonly #parts: RetentionParts;
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: RetentionParts) {
    this.#parts = parts;
  }

  /** The first position that can be read. */
  get keptFrom(): KeptFrom {
    return keptFrom(this.#manifest);
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
      const done: SegmentInfo[] = [];
      for (;;) {
        const serial = this.#manifest.first;
        const sealed = this.#manifest.segments[String(serial)];
        if (sealed === undefined) return { segments: done, waitsFor: undefined };
        if ((await this.#parts.timeAt(sealed.endPos - 1)) >= options.beforeMs)
          return { segments: done, waitsFor: undefined };
        if (sealed.endPos > options.signedEnd) return { segments: done, waitsFor: "the Merkle tree" };
        if (sealed.endPos > this.#parts.indexedEnd()) return { segments: done, waitsFor: "the index" };
        await this.#archiveFirst(serial, sealed, options);
        done.push(this.#infoOf(serial));
      }
    });
  }

  /** Waits for the job that runs. */
  async settled(): Promise<void> {
    await this.#last.catch(() => undefined);
  }

  async #archiveFirst(serial: number, sealed: SealedSegment, options: ArchiveOptions): Promise<void> {
    const { disk, directory, manifest, rulesOff } = this.#parts;
    const before = this.#manifest.carry;
    const carry = before === null ? new Carry() : await readCarry(disk, directory, before);
    const { archiveHash, facts } = await archiveSegment(this.#parts, serial, sealed, options, carry);
    const file = rulesOff.has("L-R26") ? null : await writeCarry(disk, directory, serial + 1, carry);
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
        carry: file,
      };
    });
    if (!rulesOff.has("L-R24")) await remove();
    await sweepCarries(disk, directory, this.#manifest);
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
