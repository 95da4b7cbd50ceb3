/**
 * The rows that are there before the changes of a publication's tables: read in one transaction of a snapshot whose place in the server's
 * log is known, table by table. A table that was read in part when the connection or process ended is read anew, behind a `truncate`
 * that takes back what was read of it.
 */
import { engineError, type FeedItem, type Json, type JsonObject } from "@millrace/engine";
import type { Client, ClientConfig } from "pg";
import { whileBusy } from "../../sql/busy-sessions.ts";
import { quoted } from "../table.ts";
import { cursorAt } from "./change-cursor.ts";
import { beginWith, exportSnapshot, replicationSession } from "./exported-snapshot.ts";
import { lsnText } from "./lsn.ts";
import { type PublishedTable, publishedTables, rewrittenTable, selectRows } from "./published-tables.ts";
import { NO_ROWS_READ, OID_MAX, type RowsRead, readThrough, type TableInPart, throughOf } from "./rows-read.ts";
import { enterSlot, type SlotEntry } from "./slot-entry.ts";

export interface TableRowsOptions extends SlotEntry {
  /** A session to the server, which the rows come over. */
  readonly client: Client;
  readonly config: ClientConfig;
  /** @param now where the log of the server is */
  readonly started: (now: bigint) => void;
}

interface Chunk {
  items: FeedItem[];
  bytes: number;
}

const GROUP_ROWS_MAX = 1000;
const GROUP_BYTES_MAX = 1024 * 1024;
/** Rows asked for first: how large they are is not known. */
const FIRST_ROWS = 50;
/** Of a row beside its fields. */
const ROW_BYTES = 200;
const RETRY_MS = 100;
const nothing = (): void => undefined;

export class TableRows {
  readonly #options: TableRowsOptions;
  #isOver = false;
  /** Of the snapshot. */
  #lsn = 0n;
  #at = "";
  #ordinal = 0;
  #chunk: Chunk = { items: [], bytes: 0 };

  constructor(options: TableRowsOptions) {
    this.#options = options;
  }

  /** Resolves when all rows were handed over. */
  async run(): Promise<void> {
    const { client } = this.#options;
    const ended = new Promise<never>((_, reject) => {
      client.once("end", () => reject(new Error("the connection has ended")));
    });
    try {
      await Promise.race([this.#read(), ended]);
    } finally {
      this.#isOver = true;
    }
  }

  async #read(): Promise<void> {
    const { client, publication } = this.#options;
    const before = await publishedTables(client, publication);
    await this.#begin();
    for (const { schema, table } of before)
      await this.#ask(`lock table ${quoted({ schema, table })} in access share mode`);
    const tables = await publishedTables(client, publication);
    if (JSON.stringify(tables) !== JSON.stringify(before)) throw this.#changed(`publication ${publication}`);
    const rewritten = await rewrittenTable(client, tables);
    if (rewritten !== undefined) throw this.#changed(`table ${rewritten}`);
    await this.#takeBack();
    for (const table of tables) if (Number(table.oid) > throughOf(this.#rows)) await this.#table(table);
    await this.#hand(readThrough(this.#rows, OID_MAX, this.#lsn));
    await client.query("commit");
  }

  /** Begins the transaction that sees the snapshot. */
  async #begin(): Promise<void> {
    const { client, config, started } = this.#options;
    const session = await replicationSession(config);
    // Whoever wants the source to stop ends the other session.
    const end = (): void => void session.end().catch(nothing);
    client.once("end", end);
    try {
      started((await enterSlot(session, this.#options, nothing)).now);
      const { lsn, name } = await exportSnapshot(session);
      this.#lsn = lsn;
      this.#at = await beginWith(client, name);
    } finally {
      client.off("end", end);
      end();
    }
  }

  /** A table of which rows were taken begins anew, and so does what was made of them. */
  async #takeBack(): Promise<void> {
    const { reading } = this.#rows;
    if (reading === undefined) return;
    this.#take({ op: "truncate", ...reading, cascade: false, restartIdentity: false, snapshot: true }, 0);
    await this.#hand({ ...this.#rows, reading: undefined });
  }

  async #table(published: PublishedTable): Promise<void> {
    const { oid, schema, table } = published;
    const done = this.#rows;
    const reading: RowsRead = { ...done, reading: { schema, table } };
    // Of a table whose first rows are durable it is known that it was begun.
    await this.#hand(reading);
    await this.#ask(`declare millrace_rows no scroll cursor for ${selectRows(published)}`);
    for (let rowsMax = FIRST_ROWS; ; ) {
      const texts = await this.#fetch(rowsMax);
      if (texts.length === 0) break;
      for (const text of texts) await this.#row({ schema, table }, text, reading);
      const largest = texts.reduce((most, { length }) => Math.max(most, length), 0);
      rowsMax = Math.max(1, Math.min(GROUP_ROWS_MAX, Math.floor(GROUP_BYTES_MAX / (largest + ROW_BYTES))));
    }
    await this.#ask("close millrace_rows");
    await this.#hand(readThrough(done, Number(oid), this.#lsn));
  }

  async #fetch(rowsMax: number): Promise<readonly string[]> {
    const { client } = this.#options;
    const statement = `fetch ${rowsMax} from millrace_rows`;
    const { rows } = await whileBusy(client, () => client.query<{ row: string }>(statement));
    return rows.map(({ row }) => row);
  }

  async #row(of: TableInPart, text: string, reading: RowsRead): Promise<void> {
    const bytes = text.length + ROW_BYTES;
    const { items } = this.#chunk;
    const isFull = items.length >= GROUP_ROWS_MAX || this.#chunk.bytes + bytes > GROUP_BYTES_MAX;
    if (isFull && items.length > 0) await this.#hand(reading);
    this.#take({ op: "read", ...of, after: JSON.parse(text) as Json }, bytes);
  }

  /** The place is one below that of all that it does not hold, where no transaction can have committed. */
  #take(row: JsonObject, bytes: number): void {
    const place = { lsn: lsnText(this.#lsn - 1n), ordinal: this.#ordinal++, xid: null, commitTime: this.#at };
    this.#chunk.items.push({ message: { ...row, ...place } });
    this.#chunk.bytes += bytes;
  }

  async #hand(rows: RowsRead): Promise<void> {
    const { intake, progress } = this.#options;
    await progress.room();
    if (this.#isOver || progress.taken === undefined) throw new Error("the connection has ended");
    const chunk = this.#chunk;
    this.#chunk = { items: [], bytes: 0 };
    progress.hand(intake, chunk, cursorAt(progress.taken.system, progress.taken, rows), nothing);
  }

  get #rows(): RowsRead {
    return this.#options.progress.taken?.rows ?? NO_ROWS_READ;
  }

  /** It may have to wait for somebody who holds a lock. */
  async #ask(statement: string): Promise<void> {
    const { client } = this.#options;
    await whileBusy(client, () => client.query(statement));
  }

  #changed(what: string): Error {
    const message = `${what} was altered when its rows were about to be read`;
    return engineError("SOURCE-FAILED", message, { place: { stream: this.#options.slot }, retryAfterMs: RETRY_MS });
  }
}
