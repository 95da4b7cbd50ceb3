/**
 * The index of the log, written in a thread of its own: a busy log then loses no time to its index, and the index keeps up with
 * it. The thread is started by the first job, and after a failed one a new one takes the next, with the store opened again.
 */
import { Worker } from "node:worker_threads";
import { invariant, MillraceError } from "@millrace/engine";
import type { LmdbStore } from "@millrace/native";
import type { IndexerSettings, IndexJob, LogIndexer } from "@millrace/streams/embedded";
import type { IndexWorkerAnswer, IndexWorkerData, IndexWorkerRequest } from "./index-worker.ts";

/** Few large transactions: what a key gathers in one becomes one entry. */
const JOB_EVENTS_MAX = 65_536;

export class IndexThread implements LogIndexer {
  readonly jobEventsMax = JOB_EVENTS_MAX;
  readonly restShare = 0;
  readonly #store: LmdbStore;
  readonly #entry: URL;
  #settings: IndexerSettings | undefined;
  #worker: Worker | undefined;
  #answered: Promise<IndexWorkerAnswer> = Promise.resolve(undefined);

  /**
   * @param store what the log reads its index from; the thread opens it again by its directory
   * @param entry the built module of the thread
   */
  constructor(store: LmdbStore, entry: URL = new URL("./index-worker.js", import.meta.url)) {
    this.#store = store;
    this.#entry = entry;
  }

  /** Makes this the indexer of a log. */
  readonly of = (settings: IndexerSettings): LogIndexer => {
    this.#settings = settings;
    return this;
  };

  async index(job: IndexJob): Promise<void> {
    this.#worker ??= this.#start();
    const failure = await this.#ask(this.#worker, job);
    if (failure !== undefined) {
      await this.close();
      const { code, kind, message, place, details } = failure;
      throw new MillraceError(code, kind, message, { place, ...(details === undefined ? {} : { details }) });
    }
    this.#store.refresh();
  }

  /** After the job that it may be doing. */
  async close(): Promise<void> {
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
    const data: IndexWorkerData = { settings: this.#settings, store: this.#store.dir };
    // Flags of the process, such as export conditions, are not meant for built code.
    return new Worker(this.#entry, { workerData: { index: data }, execArgv: [] });
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
