/** A database in a thread of its own, so that the disk and other writers keep nobody waiting who does not ask for it. */
import { Worker } from "node:worker_threads";
import { SqliteFailure, type SqliteRow, type SqliteValue } from "./sqlite-file.ts";
import type { SqliteAnswer, SqliteQuestion, SqliteWorkerData } from "./sqlite-worker.ts";

interface Waiting {
  readonly resolve: (rows: SqliteRow[]) => void;
  readonly reject: (error: Error) => void;
}

export class SqliteThread {
  readonly ended: Promise<unknown>;
  readonly #worker: Worker;
  readonly #waiting: Waiting[] = [];
  #end: Error | undefined;

  /** @param entry the built module of the thread */
  constructor(path: string, readOnly: boolean, entry: URL = new URL("./sqlite-worker.js", import.meta.url)) {
    const data: SqliteWorkerData = { path, readOnly };
    // Flags of the process, such as export conditions, are not meant for built code.
    this.#worker = new Worker(entry, { workerData: { sqlite: data }, execArgv: [] });
    this.#worker.on("message", (answer: SqliteAnswer) => this.#settle(answer));
    this.ended = new Promise((resolve) => {
      const end = (error: Error): void => {
        this.#end ??= error;
        for (const { reject } of this.#waiting.splice(0)) reject(this.#end);
        resolve(this.#end);
      };
      this.#worker.on("error", end).on("exit", () => end(new Error("the database's thread ended")));
    });
  }

  run(sql: string, values: readonly (readonly SqliteValue[])[]): Promise<SqliteRow[]> {
    return this.#ask({ sql, values });
  }

  async check(): Promise<void> {
    await this.#ask("check");
  }

  /** What has begun is ended first, so that nothing is left locked. */
  async close(): Promise<void> {
    await this.#ask("close").catch(() => undefined);
    await this.#worker.terminate();
  }

  #ask(question: SqliteQuestion): Promise<SqliteRow[]> {
    if (this.#end !== undefined) return Promise.reject(this.#end);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#worker.postMessage(question);
    });
  }

  #settle(answer: SqliteAnswer): void {
    const waiting = this.#waiting.shift();
    if ("rows" in answer) waiting?.resolve(answer.rows);
    else if (answer.errcode === undefined) waiting?.reject(new Error(answer.failed));
    else waiting?.reject(new SqliteFailure(answer.failed, answer.errcode));
  }
}
