/**
 * The index of the log, written in a thread of its own: a busy log then loses no time to its index, and the index keeps up with
 * it. The thread is started by the first job that is large, because a log with little to index is done sooner without it. After
 * a failed job a new thread takes the next, with the store opened again.
 */
import { Worker } from "node:worker_threads";
import { invariant, MillraceError } from "@millrace/engine";
import type { LmdbStore } from "@millrace/native";
import {
  type BlockKernels,
  type CatchUpJob,
  type IndexerSettings,
  type IndexJob,
  inlineIndexer,
  type LogIndexer,
  systemDisk,
} from "@millrace/streams/embedded";
import type { IndexWorkerAnswer, IndexWorkerData, IndexWorkerRequest } from "./index-worker.ts";

/** Few large transactions: what a key gathers in one becomes one entry. */
const JOB_EVENTS_MAX = 131_072;
/** Commits of the index wait for the same disk as appends. */
const REST_SHARE = 4;
/** Takes a few milliseconds here; starting the thread takes a hundred. */
const SMALL_EVENTS_MAX = 2048;

export interface IndexThreadOptions {
  /** What the log reads its index from; the thread opens it again by its directory. */
  readonly store: LmdbStore;
  readonly kernels: BlockKernels | undefined;
  /** The built module of the thread. */
  readonly entry?: URL;
  /** A job of more events starts the thread. Default 2048. */
  readonly smallEventsMax?: number;
}

export class IndexThread implements LogIndexer {
  readonly jobEventsMax = JOB_EVENTS_MAX;
  readonly restShare = REST_SHARE;
  readonly #options: IndexThreadOptions;
  #settings: IndexerSettings | undefined;
  #inline: LogIndexer | undefined;
  #worker: Worker | undefined;
  #answered: Promise<IndexWorkerAnswer> = Promise.resolve(undefined);

  constructor(options: IndexThreadOptions) {
    this.#options = options;
  }

  /** Makes this the indexer of a log. */
  readonly of = (settings: IndexerSettings): LogIndexer => {
    const { store, kernels } = this.#options;
    this.#settings = settings;
    this.#inline = inlineIndexer({ ...settings, disk: systemDisk(), store, kernels });
    return this;
  };

  async index(job: IndexJob): Promise<void> {
    const { smallEventsMax = SMALL_EVENTS_MAX } = this.#options;
    if (this.#worker === undefined && job.events <= smallEventsMax) {
      await this.#inline?.index(job);
      return;
    }
    await this.#do({ index: job });
  }

  catchUp(job: CatchUpJob): Promise<void> {
    return this.#do({ catchUp: job });
  }

  async #do(request: IndexWorkerRequest): Promise<void> {
    this.#worker ??= this.#start();
    const failure = await this.#ask(this.#worker, request);
    if (failure !== undefined) {
      await this.#end();
      const { code, kind, message, place, details } = failure;
      throw new MillraceError(code, kind, message, { place, ...(details === undefined ? {} : { details }) });
    }
    this.#options.store.refresh();
  }

  /** After the job that it may be doing. */
  async close(): Promise<void> {
    await this.#end();
    await this.#inline?.close();
  }

  async #end(): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined) return;
    this.#worker = undefined;
    await this.#ask(worker, "close");
    await worker.terminate();
  }

  #ask(worker: Worker, request: IndexWorkerRequest): Promise<IndexWorkerAnswer> {
    this.#answered = this.#answered.then(() => answerOf(worker, request));
    return this.#answered;
  }

  #start(): Worker {
    invariant(this.#settings !== undefined, "jobs come from a log");
    const { store, entry = new URL("./index-worker.js", import.meta.url) } = this.#options;
    const data: IndexWorkerData = { settings: this.#settings, store: store.dir };
    // Flags of the process, such as export conditions, are not meant for built code.
    return new Worker(entry, { workerData: { index: data }, execArgv: [] });
  }
}

/** The answer to the only request that is open. A thread that ends owes it. */
function answerOf(worker: Worker, request: IndexWorkerRequest): Promise<IndexWorkerAnswer> {
  return new Promise((resolve) => {
    const settle = (answer: IndexWorkerAnswer): void => {
      worker.off("message", settle).off("error", fail).off("exit", end);
      // Without a request it keeps no process alive.
      worker.unref();
      resolve(answer);
    };
    const fail = (error: Error): void => settle({ code: "STORE-FAILED", kind: "transient", message: error.message });
    const end = (): void => settle({ code: "STORE-FAILED", kind: "transient", message: "the index thread ended" });
    worker.on("message", settle).on("error", fail).on("exit", end);
    worker.ref();
    // To a thread that has ended nothing can be posted, and it says so no more.
    if (worker.threadId < 0) end();
    else worker.postMessage(request);
  });
}
