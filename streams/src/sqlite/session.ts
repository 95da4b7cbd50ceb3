/**
 * A connection to a database in a file, for one who reads or writes a table. Other programs lock the file for as long as they write:
 * what cannot be done meanwhile is tried again for a while.
 */
import { type Env, messageOf, sleep } from "@millrace/engine";
import { sqliteError } from "./errors.ts";
import { SqliteFailure, SqliteFile, type SqliteRow, type SqliteValue } from "./sqlite-file.ts";
import { SqliteThread } from "./sqlite-thread.ts";

const BUSY = 5;
const CORRUPT = 11;
const NO_DATABASE = 26;
const LOCKED_MS = 5000;
const RETRY_MS = 10;
const RETRY_MS_MAX = 100;

export interface SessionOptions {
  readonly path: string;
  readonly readOnly: boolean;
  readonly env: Env;
}

export class Session {
  readonly #options: SessionOptions;
  readonly #file: SqliteThread | SqliteFile;

  private constructor(options: SessionOptions, file: SqliteThread | SqliteFile) {
    this.#options = options;
    this.#file = file;
  }

  static async open(options: SessionOptions): Promise<Session> {
    const { path, readOnly } = options;
    // Only built code can be the entry of a thread.
    const file = import.meta.url.endsWith(".js") ? new SqliteThread(path, readOnly) : new SqliteFile(path, readOnly);
    const session = new Session(options, file);
    try {
      // A file that is no database shows so when it is read first.
      await session.query("select count(*) from sqlite_schema");
      return session;
    } catch (cause) {
      await session.close();
      throw cause;
    }
  }

  query(sql: string, ...values: readonly SqliteValue[]): Promise<SqliteRow[]> {
    return this.run(sql, [values]);
  }

  /** A statement with each of the values in turn. @throws SQLITE-DAMAGED; SqliteFailure */
  async run(sql: string, values: readonly (readonly SqliteValue[])[]): Promise<SqliteRow[]> {
    const { env } = this.#options;
    const until = env.clock.monotonic() + LOCKED_MS;
    for (let waitMs = RETRY_MS; ; waitMs = Math.min(2 * waitMs, RETRY_MS_MAX)) {
      try {
        return await this.#file.run(sql, values);
      } catch (cause) {
        if (!isFailure(cause, BUSY)) throw this.#damaged(cause);
        // Within a transaction that may write, none of several can be refused so.
        if (env.clock.monotonic() > until || values.length > 1)
          throw new Error("the database is locked by another program", { cause });
      }
      await sleep(env, waitMs);
    }
  }

  /** Resolves when the open file is still the one that has the name. */
  async check(): Promise<void> {
    await this.#file.check();
  }

  ended(): Promise<unknown> {
    return this.#file instanceof SqliteThread ? this.#file.ended : new Promise(() => undefined);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  #damaged(cause: unknown): unknown {
    if (!isFailure(cause, CORRUPT) && !isFailure(cause, NO_DATABASE)) return cause;
    const { path } = this.#options;
    return sqliteError("SQLITE-DAMAGED", `${path}: ${messageOf(cause)}`, { place: { file: path }, cause });
  }
}

export const isFailure = (cause: unknown, code: number): cause is SqliteFailure =>
  cause instanceof SqliteFailure && cause.errcode === code;
