/**
 * Segments are archived in a thread of their own: packing, hashing and writing Parquet take seconds of a processor, in pieces for which
 * the graphs beside it would have to wait. The thread lives as long as one archive job.
 */
import { Worker } from "node:worker_threads";
import { invariant, MillraceError } from "@millrace/engine";
import type { ArchivedSegment, ArchiveJob, SegmentArchiver } from "@millrace/streams/embedded";
import { opsError } from "../errors.ts";
import type { ArchiveAnswer, ArchiveRequest, ArchiveWorkerData } from "./archive-worker.ts";

export interface ArchiveThreadOptions extends ArchiveWorkerData {
  /** The built module of the thread. */
  readonly entry?: URL;
}

export class ArchiveThread implements SegmentArchiver {
  readonly #worker: Worker;

  constructor({ entry = new URL("./archive-worker.js", import.meta.url), ...data }: ArchiveThreadOptions) {
    // Flags of the process, such as export conditions, are not meant for built code.
    this.#worker = new Worker(entry, { workerData: { archive: data satisfies ArchiveWorkerData }, execArgv: [] });
    // Between jobs nobody listens; the next one finds that the thread has ended.
    this.#worker.on("error", () => undefined);
  }

  /** @throws HOST-DATA the thread ended; and what it answers */
  async archive(job: ArchiveJob): Promise<ArchivedSegment> {
    const answer = await this.#ask(job);
    invariant(answer !== undefined, "a job is answered");
    const { archived, failure } = answer;
    if (archived !== undefined) return archived;
    const { code, kind, message, place, details } = failure;
    throw new MillraceError(code, kind, message, {
      ...(place === undefined ? {} : { place }),
      ...(details === undefined ? {} : { details }),
    });
  }

  async close(): Promise<void> {
    // One that has ended already has nothing open.
    await this.#ask("close").catch(() => undefined);
    await this.#worker.terminate();
  }

  /** One job at a time. */
  #ask(request: ArchiveRequest): Promise<ArchiveAnswer | undefined> {
    const worker = this.#worker;
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        worker.off("message", answered).off("error", failed).off("exit", ended);
      };
      const answered = (answer: ArchiveAnswer | undefined): void => {
        settle();
        resolve(answer);
      };
      const failed = (cause?: unknown): void => {
        settle();
        reject(opsError("HOST-DATA", "the thread that archives has ended", { cause }));
      };
      const ended = (): void => failed();
      worker.on("message", answered).on("error", failed).on("exit", ended);
      // To a thread that has ended nothing can be posted, and it says so no more.
      if (worker.threadId < 0) ended();
      else worker.postMessage(request);
    });
  }
}
