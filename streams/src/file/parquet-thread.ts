/** The row groups of a Parquet file, decoded one ahead in a thread of their own, so that decoding overlaps with the graph. */
import { Worker } from "node:worker_threads";
import type { ParquetWorkerAnswer, ParquetWorkerData } from "./parquet-worker.ts";
import type { RowGroup, RowGroups } from "./row-group.ts";

/** Decoding makes much that dies young: with the 16 MiB of Node's default it takes 1.6 times as long. */
const YOUNG_MIB = 64;

export class ParquetThread implements RowGroups {
  readonly #worker: Worker;
  #ahead: Promise<ParquetWorkerAnswer>;

  /** @param entry the built module of the thread */
  constructor(path: string, fromRow: number, entry: URL = new URL("./parquet-worker.js", import.meta.url)) {
    const data: ParquetWorkerData = { path, fromRow };
    this.#worker = new Worker(entry, {
      workerData: { parquet: data },
      // Flags of the process, such as export conditions, are not meant for built code.
      execArgv: [],
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB },
    });
    this.#ahead = this.#ask();
  }

  async next(): Promise<RowGroup | undefined> {
    const answer = await this.#ahead;
    if ("failed" in answer) throw Object.assign(new Error(answer.failed), { code: answer.code });
    if (answer.group === undefined) return undefined;
    this.#ahead = this.#ask();
    return answer.group;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #ask(): Promise<ParquetWorkerAnswer> {
    const answer = new Promise<ParquetWorkerAnswer>((resolve) => {
      const worker = this.#worker;
      const settle = (message: ParquetWorkerAnswer): void => {
        worker.off("message", settle).off("error", fail).off("exit", end);
        resolve(message);
      };
      const fail = (error: Error): void => settle({ failed: error.message, code: undefined });
      const end = (): void => settle({ failed: "the decoding thread ended", code: undefined });
      worker.on("message", settle).on("error", fail).on("exit", end);
    });
    this.#worker.postMessage("next");
    return answer;
  }
}
