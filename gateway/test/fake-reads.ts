import type { DeadLetter, JsonObject } from "@millrace/engine";
import type { ProjectionRunner } from "@millrace/projections";
import type {
  DeadLetterFilter,
  DeadLetterPage,
  DeadLetterReader,
  ProjectionInfo,
  ProjectionPage,
  ProjectionQuery,
  ProjectionReader,
} from "../src/mod.ts";

/** What the projections workspace offers fits the port as it is. */
void ((runner: ProjectionRunner): ProjectionReader => runner);

/** Projections as plain rows. Cursors are row numbers. */
export class FakeProjections implements ProjectionReader {
  readonly tables = new Map<string, { info: ProjectionInfo; rows: readonly JsonObject[] }>();
  readonly queries: ProjectionQuery[] = [];

  set(name: string, asOf: number, rows: readonly JsonObject[]): void {
    this.tables.set(name, { info: { name, version: 1, asOf, lag: 0, state: "live", rows: rows.length }, rows });
  }

  list(): readonly ProjectionInfo[] {
    return [...this.tables.values()].map(({ info }) => info);
  }

  async query(name: string, query: ProjectionQuery): Promise<ProjectionPage> {
    this.queries.push(query);
    const table = this.tables.get(name);
    if (!table) throw new Error(`no projection ${name}`);
    const { where = {}, limit = 100, cursor = "0", asOf } = query;
    const rows = table.rows.filter((row) =>
      Object.entries(where).every(([field, value]) => String(row[field]) === value),
    );
    const start = Number(cursor);
    const next = start + limit < rows.length ? String(start + limit) : null;
    return { asOf: asOf ?? table.info.asOf, rows: rows.slice(start, start + limit), next };
  }
}

export class FakeDeadLetters implements DeadLetterReader {
  letters: DeadLetter[] = [];

  async list({ graph, node, code, state, limit }: DeadLetterFilter): Promise<DeadLetterPage> {
    const rows = this.letters.filter(
      (letter) =>
        (graph === undefined || letter.graph === graph) &&
        (node === undefined || letter.node === node) &&
        (code === undefined || letter.error.code === code) &&
        (state === undefined || letter.state === state),
    );
    return { asOf: 10, rows: rows.slice(0, limit), next: null };
  }

  async get(id: string): Promise<DeadLetter | undefined> {
    return this.letters.find((letter) => letter.id === id);
  }
}

export function deadLetter(id: number, more: Partial<DeadLetter> = {}): DeadLetter {
  return {
    id: id.toString(16).padStart(32, "0"),
    graph: "late-flights",
    node: "scored",
    lane: "flights/0",
    pos: 1000 + id,
    ord: 0,
    attempts: 3,
    error: { code: "MSG-POISON", kind: "terminal", message: "delay is not a number" },
    input: { origin: "ATL", delay: "n/a" },
    position: 40 + id,
    timeMs: 1_700_000_000_000 + id,
    state: "waiting",
    ...more,
  };
}
