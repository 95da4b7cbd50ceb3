/**
 * A query over the log and its projections: finds out what it reads, loads that and nothing else through the server's API, and
 * asks. Events are read up to the log's end as it was when the reading began.
 */
import type { DuckDBResult } from "@duckdb/node-api";
import type { JsonObject } from "@millrace/engine";
import type { EventDocument } from "@millrace/gateway";
import type { Api, Query } from "../cli/api.ts";
import { defineEvents, EVENTS, EventTable, PAYLOAD, STEPS } from "./event-table.ts";
import { aliasProjection, loadProjection } from "./projection-table.ts";
import type { SqlDatabase } from "./sql-database.ts";

export interface LogRange {
  /** First position of `events` and `steps`; default 0. */
  readonly from?: number;
  /** Everything is as of this position, exclusive; default the log's end. */
  readonly to?: number;
}

/** How far a table was read, exclusive. While a server runs, a projection may move on between its first page and its last. */
export interface TableRead {
  readonly table: string;
  readonly from: number;
  readonly asOf: number;
  readonly rows: number;
  /** Position of the first page, where it is another. */
  readonly asOfFirst?: number;
}

/** The events page size: large answers are made of many small documents. */
const PAGE_MAX = 1000;

export class LogQuery {
  readonly #api: Api;
  readonly #database: SqlDatabase;
  readonly #range: LogRange;
  /** The first position that could be read, and the log's end, when the reading began. */
  #begin = 0;
  #end = 0;

  constructor(api: Api, database: SqlDatabase, range: LogRange) {
    this.#api = api;
    this.#database = database;
    this.#range = range;
  }

  /**
   * Loads what `query` reads.
   *
   * @throws SQL-QUERY, SQL-REFUSED, and whatever the server answers
   */
  async load(query: string): Promise<readonly TableRead[]> {
    const database = this.#database;
    await defineEvents(database);
    const named = new Set((await database.tablesOf(query)).map((name) => name.toLowerCase()));
    const projections = (await this.#api.get("/api/v1/projections")) as unknown as ProjectionNames;
    this.#begin = projections.begin;
    this.#end = Math.min(this.#range.to ?? Number.POSITIVE_INFINITY, projections.end);
    const reads: TableRead[] = [];
    const names = projections.projections.map(({ name }) => name);
    database.tables = [EVENTS, STEPS, ...names.map((name) => aliasOf(name))];
    const isListing = /^\s*show\b/i.test(query);
    for (const name of names) {
      if (isListing || named.has(name) || named.has(aliasOf(name))) reads.push(await this.#loadProjection(name));
      if ((isListing || named.has(aliasOf(name))) && !names.includes(aliasOf(name)))
        await aliasProjection(database, name, aliasOf(name));
    }
    const columns = await database.columnsRead(query, EVENTS);
    // A table that is named and not scanned is described, or its scan is not recognised: then nothing is left out.
    const isRead = columns !== "none" || (named.has(EVENTS) && !/^\s*(?:describe|desc|show)\b/i.test(query));
    const withPayload = typeof columns === "string" || columns.has(PAYLOAD);
    if (isRead) reads.push(await this.#loadEvents(withPayload));
    await database.lock();
    return reads;
  }

  ask(query: string): Promise<DuckDBResult> {
    return this.#database.ask(query);
  }

  async #loadEvents(withPayload: boolean): Promise<TableRead> {
    const from = this.#range.from ?? this.#begin;
    const table = await EventTable.open(this.#database);
    let rows = 0;
    for await (const events of this.#events(from, withPayload)) {
      table.append(events);
      rows += events.length;
    }
    table.close();
    return { table: EVENTS, from, asOf: this.#end, rows };
  }

  async *#events(from: number, withPayload: boolean): AsyncGenerator<readonly EventDocument[]> {
    const query = { direction: "forward", limit: PAGE_MAX, payload: withPayload ? "full" : "none" };
    let cursor: string | undefined;
    if (from >= this.#end) return;
    do {
      const place: Query = cursor === undefined ? { from } : { cursor };
      const page = (await this.#api.get("/api/v1/events", { ...query, ...place })) as unknown as EventsPage;
      const events = page.events.filter(({ position }) => position < this.#end);
      yield events;
      cursor = events.length < page.events.length ? undefined : (page.next ?? undefined);
    } while (cursor !== undefined);
  }

  async #loadProjection(name: string): Promise<TableRead> {
    let first: number | undefined;
    let last = 0;
    let rows = 0;
    const pages = this.#rows(name);
    async function* noted(): AsyncGenerator<readonly JsonObject[]> {
      for await (const page of pages) {
        first ??= page.asOf;
        last = page.asOf;
        rows += page.rows.length;
        yield page.rows;
      }
    }
    await loadProjection(this.#database, name, noted());
    return {
      table: name,
      from: 0,
      asOf: last,
      rows,
      ...(first === last || first === undefined ? {} : { asOfFirst: first }),
    };
  }

  async *#rows(name: string): AsyncGenerator<ProjectionRows> {
    const { to } = this.#range;
    // The past is folded again for it; the present only has to be as far as the events are.
    const moment: Query = to !== undefined ? { asOf: this.#end } : this.#end > 0 ? { minPosition: this.#end - 1 } : {};
    let cursor: string | undefined;
    do {
      const query = { limit: PAGE_MAX, ...moment, cursor };
      const page = (await this.#api.get(`/api/v1/projections/${encodeURIComponent(name)}`, query)) as unknown;
      yield page as ProjectionRows;
      cursor = (page as ProjectionRows).next ?? undefined;
    } while (cursor !== undefined);
  }
}

/** A projection's name without what SQL would want quotes for. */
function aliasOf(name: string): string {
  return name.replaceAll(/[-.]/g, "_");
}

interface ProjectionNames {
  readonly begin: number;
  readonly end: number;
  readonly projections: readonly { readonly name: string }[];
}

interface EventsPage {
  readonly events: readonly EventDocument[];
  readonly next: string | null;
}

interface ProjectionRows {
  readonly asOf: number;
  readonly rows: readonly JsonObject[];
  readonly next: string | null;
}
