/** The inside of the archive thread: makes archives of the segments that it is asked for, one at a time. */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { type ErrorReport, reportOf } from "@millrace/engine";
import { nativeBlocks, openLmdbStore } from "@millrace/native";
import {
  type ArchivedSegment,
  type ArchiveJob,
  type ArchiverSettings,
  blockKernels,
  crc32c,
  type SegmentArchiver,
  segmentArchiver,
  systemDisk,
} from "@millrace/streams/embedded";
import { archiveMaking } from "./archive-making.ts";

export interface ArchiveWorkerData {
  readonly settings: ArchiverSettings;
  /** Folder of the log's index. */
  readonly index: string;
  /** Folder of the Merkle tree. */
  readonly audit: string;
  readonly parquet: boolean;
}

export type ArchiveRequest = ArchiveJob | "close";

/** What was archived, or why it was not. A close is answered with nothing. */
export type ArchiveAnswer =
  | { readonly archived: ArchivedSegment; readonly failure?: never }
  | { readonly archived?: never; readonly failure: ErrorReport };

async function open({ settings, index, audit, parquet }: ArchiveWorkerData): Promise<SegmentArchiver> {
  // Nobody else is in this thread.
  const { signedEnd: _, ...making } = await archiveMaking(audit, settings.logId, parquet, async () => undefined);
  const store = await openLmdbStore({ dir: index, shared: true });
  const kernels = nativeBlocks() ?? blockKernels(crc32c);
  const archiver = segmentArchiver({ ...settings, disk: systemDisk(), store, kernels, making });
  return { archive: (job) => archiver.archive(job), close: () => archiver.close().then(() => store.close()) };
}

function serve(port: MessagePort, data: ArchiveWorkerData): void {
  const opening = open(data);
  // A failure is the answer to the first request.
  opening.catch(() => undefined);
  const answer = async (request: ArchiveRequest): Promise<ArchiveAnswer | undefined> => {
    try {
      const archiver = await opening;
      if (request !== "close") return { archived: await archiver.archive(request) };
      await archiver.close();
      return undefined;
    } catch (thrown) {
      return { failure: reportOf(thrown) };
    }
  };
  port.on("message", (request: ArchiveRequest) => void answer(request).then((one) => port.postMessage(one)));
}

const { archive } = (workerData ?? {}) as { readonly archive?: ArchiveWorkerData };
if (parentPort !== null && archive !== undefined) serve(parentPort, archive);
