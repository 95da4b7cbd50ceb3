/** The event log on this machine's own disk. Every export is listed by name. */

export { type AcceptedLoss, acceptLoss } from "./accept-loss.ts";
export type { ArchiveMaking, TwinWriter } from "./archive-segment.ts";
export { type BlockFields, type BlockKernels, blockKernels } from "./block-kernels.ts";
export { type Crc32c, crc32c } from "./crc32c.ts";
export { type DirectoryLock, lockDirectory } from "./directory-lock.ts";
export type { EmbeddedLog, EmbeddedLogHealth } from "./embedded-log.ts";
export { embeddedLogError } from "./errors.ts";
export { prunedBelow } from "./kept-range.ts";
export { type ListedSegments, listSegments } from "./list-segments.ts";
export { indexWitness } from "./log-index.ts";
export {
  type CatchUpJob,
  type IndexerSettings,
  type IndexJob,
  inlineIndexer,
  type LogIndexer,
  type LogIndexerOptions,
} from "./log-indexer.ts";
export type {
  ArchivedRange,
  ArchiveOptions,
  LogRetention,
  PrunedRange,
  PruneOptions,
  RetentionNeed,
  SegmentInfo,
} from "./log-retention.ts";
export { assessLoss, type Loss } from "./loss.ts";
export type { PrunedPositions } from "./manifest.ts";
export { type EmbeddedLogOptions, openEmbeddedLog } from "./open-embedded-log.ts";
export { openStoredLog, StoredEvents, type StoredLogFiles, type StoredName } from "./open-stored-log.ts";
export type { TailCut } from "./recovery.ts";
export { repairLog } from "./repair-log.ts";
export type { Rule, RulesOff } from "./rules.ts";
export { type ScrubFinding, scrubLog } from "./scrub-log.ts";
export {
  type ArchivedSegment,
  type ArchiveJob,
  type ArchiverSettings,
  type SegmentArchiver,
  segmentArchiver,
} from "./segment-archiver.ts";
export { systemDisk } from "./system-disk.ts";
export type { Witness } from "./witnesses.ts";
