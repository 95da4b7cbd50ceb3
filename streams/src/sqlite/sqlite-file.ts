/**
 * A database that is open, used from the thread that calls. Texts are read as their bytes, because the library ends them at a NUL; so a
 * caller selects `cast(… as blob)` of what is a text.
 */
import { statSync } from "node:fs";
import { DatabaseSync } from "@photostructure/sqlite";

/** What is bound to a statement: integers as `bigint`, all other numbers as reals. */
export type SqliteValue = string | number | bigint | Uint8Array | null;
export type SqliteRow = Readonly<Record<string, SqliteValue>>;
type Database = InstanceType<typeof DatabaseSync>;
type Statement = ReturnType<Database["prepare"]>;

/** What SQLite calls a failure, by the lowest 8 bits of its code. */
export class SqliteFailure extends Error {
  readonly errcode: number;

  constructor(message: string, errcode: number) {
    super(message);
    this.errcode = errcode;
  }
}

const STATEMENTS_KEPT = 64;

export class SqliteFile {
  readonly #path: string;
  readonly #database: Database;
  readonly #identity: string;
  readonly #statements = new Map<string, Statement>();

  /**
   * Who only reads has the file open for writing, too: what a writer that died left undone must be undone before anything can be read.
   *
   * @throws SqliteFailure, and the operating system's error if there is no file: none is made
   */
  constructor(path: string, readOnly: boolean) {
    this.#path = path;
    this.#identity = identityOf(path);
    this.#database = named(() => new DatabaseSync(path, { timeout: 0 }));
    try {
      // What is committed must outlive a power cut, whatever the journal.
      named(() => this.#database.exec(readOnly ? "pragma query_only = on" : "pragma synchronous = full"));
      if (identityOf(path) !== this.#identity) throw new Error("the file was replaced while it was opened");
    } catch (cause) {
      this.#database.close();
      throw cause;
    }
  }

  /** Runs a statement with each of the values in turn. @returns the rows of the last. @throws SqliteFailure */
  run(sql: string, values: readonly (readonly SqliteValue[])[]): SqliteRow[] {
    return named(() => {
      const statement = this.#prepared(sql);
      let rows: SqliteRow[] = [];
      // Of what fails in `all` the library does not tell the code.
      const gives = statement.columns().length > 0;
      for (const bound of values)
        if (gives) rows = statement.all(...bound) as SqliteRow[];
        else statement.run(...bound);
      return rows;
    });
  }

  /** @throws Error another file has taken the name */
  check(): void {
    if (identityOf(this.#path) !== this.#identity)
      throw new Error(`${this.#path} is another file than the one that is open`);
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }

  #prepared(sql: string): Statement {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(sql);
    statement.setReadBigInts(true);
    if (this.#statements.size >= STATEMENTS_KEPT) this.#statements.clear();
    this.#statements.set(sql, statement);
    return statement;
  }
}

function identityOf(path: string): string {
  const { dev, ino } = statSync(path);
  return `${dev}/${ino}`;
}

function named<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const code = codeOf(cause);
    throw cause instanceof Error && code !== undefined ? new SqliteFailure(cause.message, code & 0xff) : cause;
  }
}

/** What reading may meet, in SQLite's own words. */
const MESSAGES: ReadonlyMap<string, number> = new Map([
  ["database is locked", 5],
  ["database disk image is malformed", 11],
  ["file is not a database", 26],
]);

function codeOf(cause: unknown): number | undefined {
  if (!(cause instanceof Error)) return undefined;
  const { errcode } = cause as { readonly errcode?: unknown };
  return typeof errcode === "number" ? errcode : MESSAGES.get(cause.message);
}
