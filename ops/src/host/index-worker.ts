/** The inside of the index thread: writes the log's index into a store that it opens itself, one job at a time. */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import type { ErrorReport } from "@millrace/engine";
import { reportOf } from "@millrace/engine/worker";
import { nativeBlocks, openLmdbStore } from "@millrace/native";
import {
  type CatchUpJob,
  type IndexerSettings,
  type IndexJob,
  inlineIndexer,
  systemDisk,
} from "@millrace/streams/log-indexer";

export interface IndexWorkerData {
  readonly settings: IndexerSettings;
  /** Directory of the store. */
  readonly store: string;
}

export type IndexWorkerRequest = { readonly index: IndexJob } | { readonly catchUp: CatchUpJob } | "close";

/** `undefined` when it was done. */
export type IndexWorkerAnswer = ErrorReport | undefined;

async function serve(port: MessagePort, { settings, store: dir }: IndexWorkerData): Promise<void> {
  const opening = openLmdbStore({ dir, shared: true }).then((store) => ({
    store,
    indexer: inlineIndexer({ ...settings, disk: systemDisk(), store, kernels: nativeBlocks() }),
  }));
  // A failure is the answer to the first request.
  opening.catch(() => undefined);
  const answer = async (request: IndexWorkerRequest): Promise<void> => {
    const { store, indexer } = await opening;
    if (request !== "close")
      return "index" in request ? indexer.index(request.index) : indexer.catchUp(request.catchUp);
    port.close();
    await indexer.close();
    await store.close();
  };
  port.on("message", (request: IndexWorkerRequest) => {
    answer(request).then(
      () => port.postMessage(undefined satisfies IndexWorkerAnswer),
      (cause: unknown) => port.postMessage(reportOf(cause) satisfies IndexWorkerAnswer),
    );
  });
}

const { index } = (workerData ?? {}) as { readonly index?: IndexWorkerData };
if (parentPort !== null && index !== undefined) await serve(parentPort, index);
