/**
 * A database for one query of an auditor: DuckDB over a file of its own that is deleted afterwards, so that a log larger than
 * memory can be loaded and sorted. What the query may do is locked before it is looked at: one SELECT, no file but the one that
 * the answer goes to, no network, no extension, no setting.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import {
  type DuckDBAppender,
  type DuckDBConnection,
  type DuckDBDataChunk,
  DuckDBInstance,
  type DuckDBResult,
  DuckDBTypeId,
  ResultReturnType,
  StatementType,
} from "@duckdb/node-api";
import { opsError } from "../errors.ts";
import { queryError, refusal } from "./query-error.ts";
import { type ColumnsScanned, columnsScanned } from "./query-plan.ts";

/** Beyond it DuckDB uses its file. */
const MEMORY_LIMIT = "512MB";
const THREADS_MAX = 4;

export class SqlDatabase {
  readonly #directory: string;
  readonly #instance: DuckDBInstance;
  readonly #connection: DuckDBConnection;
  /** Tables that a query may name, for the message of one that names another. */
  tables: readonly string[] = [];

  /** A signal ends the process without closing anything. */
  readonly #remove = (): void => rmSync(this.#directory, { recursive: true, force: true });

  private constructor(directory: string, instance: DuckDBInstance, connection: DuckDBConnection) {
    this.#directory = directory;
    this.#instance = instance;
    this.#connection = connection;
    process.once("exit", this.#remove);
  }

  /** `writes`: the one file that may be written, as an absolute path. */
  static async open(writes?: string): Promise<SqlDatabase> {
    const directory = mkdtempSync(join(tmpdir(), "millrace-sql-"));
    const instance = await DuckDBInstance.create(join(directory, "log.duckdb"), {
      autoinstall_known_extensions: "false",
      autoload_known_extensions: "false",
      memory_limit: MEMORY_LIMIT,
      threads: String(Math.min(THREADS_MAX, availableParallelism())),
      temp_directory: join(directory, "temp"),
    });
    const connection = await instance.connect();
    const allowed = writes === undefined ? "" : literal(writes);
    await connection.run(`SET allowed_paths = [${allowed}]`);
    await connection.run("SET enable_external_access = false");
    await connection.run("SET errors_as_json = true");
    // Statistics of empty tables would prune what the query scans.
    await connection.run("SET disabled_optimizers = 'statistics_propagation'");
    await connection.run("CREATE SCHEMA projections");
    await connection.run("SET search_path = 'main,projections'");
    return new SqlDatabase(directory, instance, connection);
  }

  /**
   * The tables that a query names, whether there are such or not.
   *
   * @throws SQL-QUERY it cannot be parsed
   * @throws SQL-REFUSED it is not one SELECT
   */
  async tablesOf(query: string): Promise<readonly string[]> {
    const parsed = await this.#connection.runAndReadAll("SELECT json_serialize_sql($1::VARCHAR)", [query]);
    const [[text] = []] = parsed.getRows();
    const { error, error_type, error_message, position, statements } = jsonOfDuckDb(String(text)) as {
      readonly error: boolean;
      readonly error_type?: string;
      readonly error_message?: string;
      readonly position?: string;
      readonly statements?: readonly unknown[];
    };
    if (error && error_type === "parser")
      throw queryError(query, { exception_type: "Parser", exception_message: error_message ?? "", position });
    if (error || statements?.length !== 1) throw refusal();
    return this.#connection.getTableNames(query, false);
  }

  /** Makes a table or a view; for our own statements only. */
  async define(statement: string): Promise<void> {
    await this.#connection.run(statement);
  }

  appender(table: string, schema: string): Promise<DuckDBAppender> {
    return this.#connection.createAppender(table, schema);
  }

  /**
   * The columns of `table` that the query reads. Ask before the tables are filled.
   *
   * @throws SQL-QUERY, SQL-REFUSED
   */
  async columnsRead(query: string, table: string): Promise<ColumnsScanned> {
    return this.#asked(query, async () => {
      const statements = await this.#connection.extractStatements(query);
      const prepared = await statements.prepare(0);
      if (prepared.statementType !== StatementType.SELECT) throw refusal();
      const plan = await this.#connection.runAndReadAll(`EXPLAIN (FORMAT json) ${query}`);
      const [[, text] = []] = plan.getRows();
      return columnsScanned(jsonOfDuckDb(String(text)), table);
    });
  }

  /** No setting can be changed from here on. */
  async lock(): Promise<void> {
    await this.#connection.run("RESET disabled_optimizers");
    await this.#connection.run("SET lock_configuration = true");
  }

  /** @throws SQL-QUERY, SQL-REFUSED */
  ask(query: string): Promise<DuckDBResult> {
    return this.#asked(query, () => this.#connection.stream(query));
  }

  /** Writes the answer to the file that {@link open} was told of. */
  async askIntoParquet(query: string, path: string): Promise<number> {
    const statements = await this.#connection.extractStatements(query);
    const prepared = await statements.prepare(0);
    // Parquet has no integers of 128 bits; DuckDB would round them to doubles.
    const wide = Array.from({ length: prepared.columnCount }, (_, i) => i)
      .filter((i) => prepared.columnTypeId(i) === DuckDBTypeId.HUGEINT)
      .map((i) => identifier(prepared.columnName(i)))
      .map((name) => `CAST(${name} AS DECIMAL(38, 0)) AS ${name}`);
    const exactly = wide.length === 0 ? "" : `REPLACE (${wide.join(", ")})`;
    // `query` takes one SELECT as a text, so that nothing in it can end the statement around it.
    const copy = `COPY (SELECT * ${exactly} FROM query(${literal(query)})) TO ${literal(path)} (FORMAT parquet, USE_TMP_FILE false)`;
    const result = await this.#asked(query, () => this.#connection.run(copy));
    return result.rowsChanged;
  }

  /**
   * Reads an answer chunk by chunk: a query may fail on a value in the middle of it.
   *
   * @throws SQL-QUERY, SQL-MEMORY
   */
  async *chunks(query: string, result: DuckDBResult): AsyncGenerator<DuckDBDataChunk> {
    let rows = 0;
    for (;;) {
      const chunk = await this.#asked(query, () => result.fetchChunk());
      // A failure in the middle looks like the end but for the kind of the result, which is then none.
      if (result.returnType === ResultReturnType.INVALID) throw await this.#failureOf(query, rows);
      if (chunk === null || chunk.rowCount === 0) return;
      rows += chunk.rowCount;
      yield chunk;
    }
  }

  /** Why an answer ended in its middle. The binding of DuckDB does not tell, so it is asked again, whole, on disk. */
  async #failureOf(query: string, rows: number): Promise<Error> {
    try {
      await this.#connection.run(`CREATE OR REPLACE TEMP TABLE failed AS SELECT * FROM query(${literal(query)})`);
    } catch (thrown) {
      return queryError(query, thrown, this.tables);
    }
    return opsError("SQL-QUERY", `the query failed after ${rows} rows of its answer`);
  }

  close(): void {
    this.#connection.closeSync();
    this.#instance.closeSync();
    process.off("exit", this.#remove);
    this.#remove();
  }

  async #asked<T>(query: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      throw queryError(query, thrown, this.tables);
    }
  }
}

/** DuckDB writes infinite numbers of a query as they are into what it says of it, which is no JSON; that it is a number is enough here. */
function jsonOfDuckDb(text: string): unknown {
  return JSON.parse(text.replaceAll(/([:[,]\s*)-?(?:Infinity|NaN)\b/g, "$1null"));
}

export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

export function identifier(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}
