/**
 * A log directory seen by somebody else than its writer: nothing is locked, recovered or written. That is sound for positions
 * that the writer has promised to be durable, such as those below a signed checkpoint, and for nothing else (L-R21).
 */
import {
  type Disk,
  invariant,
  type RecordedEvent,
  type StoredBatch,
  type StoredLog,
  type StoredRecord,
} from "@millrace/engine";
import { blockKernels, type ReadingKernels } from "./block-kernels.ts";
import { BlockScanner, type FilePlace } from "./block-scanner.ts";
import { StoredCarry } from "./carry-file.ts";
import { ChunkBuffers } from "./chunk-buffers.ts";
import { crc32c } from "./crc32c.ts";
import { Dictionary, decodeNames, type Name, type NameKind, TYPE_NAME } from "./dictionary.ts";
import { embeddedLogError } from "./errors.ts";
import { keptFrom, prunedBelow } from "./kept-range.ts";
import { viewOf } from "./little-endian.ts";
import { idOfSegment, MANIFEST_NAME, type Manifest, readManifest } from "./manifest.ts";
import { prunedLeaves } from "./pruned-leaves.ts";
import { RECORD_HEADER_BYTES, typeAt } from "./record.ts";
import { LogRecord } from "./recorded-event.ts";
import { segmentPath } from "./segment-files.ts";
import { decodeSegmentHeader, PAGE_SIZE_BYTES, SEGMENT_HEADER_BYTES } from "./segment-header.ts";
import { SegmentReaders } from "./segment-readers.ts";
import { storedBatches } from "./stored-records.ts";

export interface StoredLogFiles extends StoredLog {
  /** Names that archived records gave, pruned or not: kept without the record that would prove them. @throws LOG-MANIFEST */
  carriedNames(): AsyncIterable<Name>;
  close(): Promise<void>;
}

/**
 * @param kernels faster ones with the same results
 * @throws LOG-MANIFEST there is no log in the directory, or the manifest or a segment's header is damaged
 * @throws LOG-SCHEMA the log has a format of another version
 */
export async function openStoredLog(
  disk: Disk,
  directory: string,
  kernels: ReadingKernels = blockKernels(crc32c),
): Promise<StoredLogFiles> {
  const manifest = await readLogManifest(disk, directory);
  const files = segmentReaders(disk, directory, manifest, kernels);
  for (let serial = manifest.first; serial <= manifest.prepared; serial++) {
    await checkHeader(files, manifest, serial, segmentPath(directory, serial));
  }
  return storedLogOf(disk, directory, manifest, kernels, files);
}

/** @throws LOG-MANIFEST, LOG-SCHEMA */
export async function readLogManifest(disk: Disk, directory: string): Promise<Manifest> {
  const manifest = await readManifest(disk, directory, crc32c);
  if (manifest !== undefined) return manifest;
  const place = { file: `${directory}/${MANIFEST_NAME}` };
  throw embeddedLogError("LOG-MANIFEST", "there is no event log in the directory", { place });
}

/** The log that a manifest describes. */
export function storedLogOf(
  disk: Disk,
  directory: string,
  manifest: Manifest,
  kernels: ReadingKernels = blockKernels(crc32c),
  files: SegmentReaders = segmentReaders(disk, directory, manifest, kernels),
): StoredLogFiles {
  const kept = keptFrom(manifest);
  const scanner = new BlockScanner(files, crc32c, PAGE_SIZE_BYTES, manifest.segmentBytes);
  return {
    id: manifest.logId,
    base: kept.position,
    readStored: (from, to) => read(from, to),
    prunedLeaves: () => prunedLeaves(disk, directory, manifest),
    carriedNames,
    close: () => files.close(),
  };

  async function* carriedNames(): AsyncGenerator<Name> {
    yield* (await StoredCarry.open(disk, directory, manifest.carry)).names();
  }

  async function* read(from: number, to: number): AsyncGenerator<StoredBatch> {
    if (from >= to) return;
    if (from < kept.position) throw prunedBelow(kept.position, from);
    const blocks = scanner.blocks(segmentOf(manifest, from), to, new ChunkBuffers());
    yield* storedBatches(blocks, { kernels, files }, from, to);
  }
}

/** A running host may prune what is being read. */
function segmentReaders(disk: Disk, directory: string, manifest: Manifest, kernels: ReadingKernels): SegmentReaders {
  const idOf = (serial: number): string => idOfSegment(manifest, serial);
  return new SegmentReaders(disk, directory, kernels, idOf, async () =>
    keptFrom(await readLogManifest(disk, directory)),
  );
}

async function checkHeader(files: SegmentReaders, manifest: Manifest, serial: number, path: string): Promise<void> {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  await files.read(serial, bytes, 0);
  const header = decodeSegmentHeader(bytes, crc32c, path);
  if (header?.logId === idOfSegment(manifest, serial) && header.serial === serial) return;
  const why =
    header === undefined ? "the segment's header is damaged" : "the file is a segment of another place or log";
  throw embeddedLogError("LOG-MANIFEST", why, { place: { file: path } });
}

/** The segment that holds `position`: a listed one, else the first that is not, from which the blocks lead on. */
function segmentOf(manifest: Manifest, position: number): FilePlace {
  const { segments } = manifest;
  let { serial } = keptFrom(manifest);
  for (let listed = segments[String(serial)]; listed !== undefined; listed = segments[String(serial)]) {
    if (position < listed.endPos) break;
    serial++;
  }
  return { serial, offset: SEGMENT_HEADER_BYTES };
}

/** A number that stands for a name in the headers of events. */
export interface StoredName {
  readonly kind: NameKind;
  readonly number: number;
}

const NAME_PLACES: readonly (readonly [NameKind, number])[] = [
  ["stream", 24],
  ["type", 36],
  ["principal", 92],
  ["tenant", 96],
  ["codeVersion", 100],
  ["graph", 108],
  ["node", 116],
];

/**
 * Makes events of stored records. Names are learned from the control records before them, so all must be shown, in order, behind the names
 * that a prune has carried.
 */
export class StoredEvents {
  readonly #names: Dictionary = new Dictionary({ numberOf: () => undefined, nameOf: () => undefined });

  /** Returns the names that the record gives to numbers; empty for anything but a control record of names. */
  learn(record: StoredRecord): readonly StoredName[] {
    if (!record.isControl || typeAt(viewOf(record.header), 0) !== TYPE_NAME) return [];
    const names = decodeNames(record.payload);
    for (const name of names) this.carry(name);
    return names;
  }

  /** A name whose control record was pruned. */
  carry(name: Name): void {
    this.#names.learn(name);
  }

  /** @throws LOG-CORRUPT no record or carry shown before has given it */
  nameOf({ kind, number }: StoredName): string {
    return this.#names.nameOf(kind, number);
  }

  /** The names that the event's header refers to; 0 stands for no name and is left out. */
  uses({ header }: StoredRecord): readonly StoredName[] {
    const view = viewOf(header);
    const numbers = NAME_PLACES.map(([kind, at]) => ({ kind, number: view.getUint32(at, true) }));
    return numbers.filter(({ number }) => number !== 0);
  }

  /** @throws LOG-CORRUPT when a name is read that no record shown before has given */
  event({ header, payload }: StoredRecord): RecordedEvent {
    invariant(payload.byteOffset === header.byteOffset + RECORD_HEADER_BYTES, "a payload stands behind its header");
    const bytes = new Uint8Array(header.buffer, header.byteOffset, header.length + payload.length);
    return new LogRecord(bytes, viewOf(bytes), 0, this.#names);
  }
}
