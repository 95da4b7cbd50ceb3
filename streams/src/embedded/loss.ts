/**
 * What is lost with a damage: positions, streams and bytes from there on. Of the records behind it many can still be read; they
 * are counted by stream, so that whoever decides knows what it is about. They cannot be kept: positions have no gaps.
 */
import { type Disk, MillraceError } from "@millrace/engine";
import type { LeafChecks } from "./archived-listing.ts";
import { BLOCK_HEADER_BYTES, BLOCK_SEAL, getBlockHeader, isZero } from "./block.ts";
import type { Carry } from "./carry.ts";
import { StoredCarry } from "./carry-file.ts";
import { crc32c } from "./crc32c.ts";
import { type Fault, readFile, type WholePart, wholePart } from "./damage.ts";
import { decodeNames, type Name, TYPE_NAME } from "./dictionary.ts";
import { alignUp, viewOf } from "./little-endian.ts";
import { MANIFEST_NAME, type Manifest, readManifest } from "./manifest.ts";
import { type RebuiltManifest, rebuiltManifest } from "./rebuilt-manifest.ts";
import {
  isControlAt,
  positionAt,
  RECORD_ALIGN,
  RECORD_HEADER_BYTES,
  recordCrcHolds,
  recordLengthAt,
  revisionAt,
  streamAt,
  typeAt,
} from "./record.ts";
import { segmentPath, serialOf } from "./segment-files.ts";
import { decodeSegmentHeader, PAGE_SIZE_BYTES, SEGMENT_HEADER_BYTES } from "./segment-header.ts";

export interface LostStream {
  /** `#12` when the record that gave its name is damaged. */
  readonly stream: string;
  /** Events whose records can still be read, and the first revision of them. */
  readonly events: number;
  readonly fromRevision: number;
}

export interface Loss {
  /** The first damage: its code, what it is, and where. */
  readonly code: string;
  readonly message: string;
  readonly file: string;
  readonly offset: number;
  /** Id that the log has until the loss is accepted. */
  readonly logId: string;
  /** The first position that is lost. */
  readonly from: number;
  /** Behind the last position that is known to have been there; `from` when none is known to be lost. */
  readonly to: number;
  /** Of them, those whose records are damaged or gone, so that nobody can say of which streams they were. */
  readonly unreadable: number;
  readonly streams: readonly LostStream[];
  /** Bytes of blocks that are cut. */
  readonly bytes: number;
}

export interface LossOptions {
  readonly disk: Disk;
  /** Of the log. */
  readonly directory: string;
  /** Up to which position others have seen the log with this id durable. */
  readonly seenEnd: (logId: string) => Promise<number>;
  /** For archives of a log whose manifest is lost; default: leaf hashes are counted only. */
  readonly checks?: LeafChecks;
}

/** A loss, and what is needed in order to accept it. */
export interface AssessedLoss {
  readonly loss: Loss;
  /** What can be kept. */
  readonly kept: WholePart;
  readonly manifest: Manifest;
  /** What a manifest that was made again has to name beside the segments. */
  readonly carry: Carry | undefined;
  /** Newest writer incarnation that was met. */
  readonly epoch: number;
}

/**
 * `undefined` when the log is whole as far as is known.
 *
 * @throws LOG-MANIFEST there is no log, or its manifest is lost and cannot be made again
 */
export async function assessLoss(options: LossOptions): Promise<AssessedLoss | undefined> {
  const { disk, directory, seenEnd } = options;
  const { manifest, carry, fault: lostManifest } = await knownManifest(options);
  const seen = await seenEnd(manifest.logId);
  const records = new Records();
  for (const name of carry?.names ?? []) records.learn(name);
  for await (const name of (await StoredCarry.open(disk, directory, manifest.carry)).names()) records.learn(name);
  const visit = (bytes: Buffer, holdsTo: number): void => records.keep(bytes, holdsTo);
  const kept = await wholePart({ disk, directory, manifest, seenEnd: seen, visit });
  const fault = lostManifest ?? kept.fault;
  if (fault === undefined) return undefined;
  const bytes = await readLost(options, kept, records);
  const from = kept.expected.position;
  const listed = Object.values(manifest.segments).map(({ endPos }) => endPos);
  const to = Math.max(from, seen, manifest.openEnd?.pos ?? 0, records.lostEnd, ...listed);
  const streams = records.lostStreams();
  const readable = streams.reduce((sum, { events }) => sum + events, 0);
  const { code, message, file } = fault;
  const { offset } = kept;
  const unreadable = Math.max(0, to - from - readable);
  const { logId } = manifest;
  const loss = { code, message, file, offset, logId, from, to, unreadable, streams, bytes };
  return { loss, kept, manifest, carry, epoch: Math.max(manifest.epoch, records.epoch) };
}

/** A manifest that is damaged or gone is made again; its fault stands for the whole log's. */
async function knownManifest({ disk, directory, checks }: LossOptions): Promise<RebuiltManifest & { fault?: Fault }> {
  try {
    const manifest = await readManifest(disk, directory, crc32c);
    if (manifest !== undefined) return { manifest, carry: undefined };
  } catch (thrown) {
    if (!(thrown instanceof MillraceError && thrown.code === "LOG-MANIFEST")) throw thrown;
  }
  const file = `${directory}/${MANIFEST_NAME}`;
  const fault = { code: "LOG-MANIFEST", message: "the manifest is damaged or missing", file };
  return { ...(await rebuiltManifest(disk, directory, checks)), fault };
}

/** What is behind the part that can be kept, in the order of the segments; returns how many bytes of blocks that is. */
async function readLost({ disk, directory }: LossOptions, kept: WholePart, records: Records): Promise<number> {
  let bytes = 0;
  const serials = (await disk.list(directory)).flatMap((name) => serialOf(name) ?? []);
  for (const serial of serials.filter((at) => at >= kept.serial).sort((a, b) => a - b)) {
    const path = segmentPath(directory, serial);
    const segment = await readFile(disk, path, (await disk.stat(path))?.sizeBytes ?? 0);
    const from = serial === kept.serial ? kept.offset : SEGMENT_HEADER_BYTES;
    records.lose(segment, from, kept.expected.position);
    for (let at = from; at < segment.length; at += PAGE_SIZE_BYTES)
      if (!isZero(segment, at, Math.min(at + PAGE_SIZE_BYTES, segment.length))) bytes += PAGE_SIZE_BYTES;
  }
  return bytes;
}

interface Losing {
  events: number;
  fromRevision: number;
}

/** Names from everything that can be read, and the events of what is lost. */
class Records {
  readonly #names = new Map<number, string>();
  readonly #lost = new Map<number, Losing>();
  readonly #seen = new Set<number>();
  epoch = 0;
  /** Behind the last position of a block that is lost. */
  lostEnd = 0;

  learn({ kind, number, name }: Name): void {
    if (kind === "stream") this.#names.set(number, name);
  }

  keep(bytes: Buffer, holdsTo: number): void {
    for (const at of blocksIn(bytes, SEGMENT_HEADER_BYTES, holdsTo)) this.#visit(bytes, at, () => undefined);
  }

  lose(bytes: Buffer, from: number, firstPosition: number): void {
    for (const at of blocksIn(bytes, from, bytes.length))
      this.#visit(bytes, at, (record) => {
        const position = positionAt(viewOf(bytes), record);
        if (position < firstPosition || this.#seen.has(position)) return;
        this.#seen.add(position);
        this.#count(streamAt(viewOf(bytes), record), revisionAt(viewOf(bytes), record));
      });
  }

  lostStreams(): LostStream[] {
    const streams = Array.from(this.#lost, ([number, losing]) => ({
      stream: this.#names.get(number) ?? `#${number}`,
      ...losing,
    }));
    return streams.sort((a, b) => (a.stream < b.stream ? -1 : 1));
  }

  #count(stream: number, revision: number): void {
    const losing = this.#lost.get(stream) ?? { events: 0, fromRevision: revision };
    losing.events++;
    losing.fromRevision = Math.min(losing.fromRevision, revision);
    this.#lost.set(stream, losing);
  }

  /** Every record of a block whose own checksum holds, whatever is wrong with others. */
  #visit(bytes: Buffer, block: number, event: (record: number) => void): void {
    const header = getBlockHeader(bytes, block, crc32c);
    if (header === undefined) return;
    this.epoch = Math.max(this.epoch, header.epoch);
    if (header.kind === BLOCK_SEAL) return;
    this.lostEnd = Math.max(this.lostEnd, header.first + header.count);
    const view = viewOf(bytes);
    const end = Math.min(block + header.bytes, bytes.length);
    for (let at = block + BLOCK_HEADER_BYTES; at < end; ) {
      const length = recordLengthAt(view, at, end);
      if (length === 0) return;
      if (recordCrcHolds(view, at, length, crc32c)) {
        if (!isControlAt(view, at)) event(at);
        else if (typeAt(view, at) === TYPE_NAME)
          for (const name of decodeNames(bytes.subarray(at + RECORD_HEADER_BYTES, at + length))) this.learn(name);
      }
      at = alignUp(at + length, RECORD_ALIGN);
    }
  }
}

/** Where blocks begin whose headers hold, and that are of this segment as far as it says which it is. */
function* blocksIn(bytes: Buffer, from: number, to: number): Generator<number> {
  const salt = decodeSegmentHeader(bytes, crc32c)?.salt;
  for (let at = from; at + BLOCK_HEADER_BYTES <= to; at += PAGE_SIZE_BYTES) {
    const header = getBlockHeader(bytes, at, crc32c);
    if (header !== undefined && (salt === undefined || Buffer.compare(header.salt, salt) === 0)) yield at;
  }
}
