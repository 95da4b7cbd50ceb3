/**
 * Where segments get archived. It needs nothing of an open log but its files and its index, so it may be done in another thread: packing,
 * hashing and writing a twin take seconds, and whoever shares the thread would wait for each piece of them.
 */
import type { Disk, OrderedStore } from "@millrace/engine";
import { type ArchiveContext, type ArchiveMaking, archiveSegment, type MadeArchive } from "./archive-segment.ts";
import type { BlockKernels } from "./block-kernels.ts";
import { Carry } from "./carry.ts";
import { type CarryFile, writeCarry } from "./carry-file.ts";
import { Dictionary } from "./dictionary.ts";
import { LogIndex } from "./log-index.ts";
import type { SealedSegment } from "./manifest.ts";
import { ALL_RULES_HOLD } from "./rules.ts";
import { SegmentReaders } from "./segment-readers.ts";

/** One sealed segment to be archived; may be sent to another thread. */
export interface ArchiveJob {
  readonly serial: number;
  readonly sealed: SealedSegment;
  /** What the manifest carries; `keep` when the segment stays, and so nothing more is carried. */
  readonly carry: CarryFile | null | "keep";
}

export interface ArchivedSegment extends MadeArchive {
  readonly carry: CarryFile | null;
}

export interface SegmentArchiver {
  /** Resolves when the archive, and what is to be carried, are durable. @throws as `archiveSegment`; LOG-MANIFEST */
  archive(job: ArchiveJob): Promise<ArchivedSegment>;
  close(): Promise<void>;
}

/** What an archiver must know of the log; may be sent to another thread. */
export interface ArchiverSettings {
  readonly directory: string;
  readonly logId: string;
  /** Of blocks, in bytes. */
  readonly align: number;
  readonly segmentBytes: number;
}

export interface SegmentArchiverOptions extends ArchiverSettings {
  readonly disk: Disk;
  /** The log's index, which must hold the segments. */
  readonly store: OrderedStore;
  readonly kernels: BlockKernels;
  readonly making: ArchiveMaking;
}

/** An archiver in the thread of its caller, beside the log. */
export function segmentArchiver({ disk, store, making, ...settings }: SegmentArchiverOptions): SegmentArchiver {
  // Those that are to be archived are here; whose they are was seen when the log was opened.
  const files = new SegmentReaders(disk, settings.directory, settings.kernels);
  const names = new Dictionary(new LogIndex(store));
  const context = { ...settings, disk, files, names, rulesOff: ALL_RULES_HOLD };
  return { archive: (job) => archiveJob(context, making, job), close: () => files.close() };
}

export async function archiveJob(
  context: ArchiveContext,
  making: ArchiveMaking,
  { serial, sealed, carry: before }: ArchiveJob,
): Promise<ArchivedSegment> {
  const { disk, directory, rulesOff } = context;
  const added = new Carry();
  const made = await archiveSegment(context, serial, sealed, making, added);
  if (before === "keep" || rulesOff.has("L-R26")) return { ...made, carry: null };
  return { ...made, carry: await writeCarry(disk, directory, serial + 1, before, added) };
}
