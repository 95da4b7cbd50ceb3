import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Finished, lastJson, millrace, root } from "./millrace.ts";

const GRAPH = join(root, "ops", "examples", "flights", "graph.yaml");
const PARQUET = join(root, "node_modules", "vega-datasets", "data", "flights-3m.parquet");
const HOUR_MS = 3_600_000;

interface Departure {
  readonly origin: string;
  readonly window_start: string;
  readonly window_end: string;
  readonly flights: number;
  readonly mean_delay: number;
  readonly worst: number;
  readonly score: number;
}

/** The same question, asked of the same file by another engine. */
async function expectedDepartures(): Promise<Map<string, Departure>> {
  const connection = await (await DuckDBInstance.create(":memory:")).connect();
  const reader = await connection.runAndReadAll(`
    select origin, epoch_ms(date_trunc('hour', date)) as start_ms, count(*) as flights,
           avg(delay) as mean_delay, max(delay) as worst
    from '${PARQUET.replaceAll("'", "''")}' where delay >= 15 group by all`);
  const rows = new Map<string, Departure>();
  for (const row of reader.getRowObjects()) {
    const start = Number(row.start_ms);
    const [flights, mean_delay, worst] = [Number(row.flights), Number(row.mean_delay), Number(row.worst)];
    const window_start = new Date(start).toISOString();
    const window_end = new Date(start + HOUR_MS).toISOString();
    const score = Math.min(100, mean_delay * 0.5 + worst * 0.1 + flights);
    const departure = { origin: String(row.origin), window_start, window_end, flights, mean_delay, worst, score };
    rows.set(keyOf(departure), departure);
  }
  return rows;
}

const keyOf = ({ origin, window_start }: Departure): string => `${origin} ${window_start}`;

describe("the flights demo, run until it is done", () => {
  let data: string;
  let first: Finished;

  beforeAll(async () => {
    data = mkdtempSync(join(tmpdir(), "millrace-flights-"));
    first = await millrace(["run", GRAPH, "--until-done", "--json", "--data", data]);
  }, 120_000);
  afterAll(() => rmSync(data, { recursive: true, force: true }));

  const output = (): string => readFileSync(join(data, "out", "departures.ndjson"), "utf8");

  it("accounts for every row in the last line of stdout", () => {
    expect(first).toMatchObject({ code: 0, stderr: "" });
    expect(lastJson(first.stdout)).toEqual({
      graph: "late-flights",
      revision: 1,
      messagesIn: 3_000_000,
      messagesOut: 2 * 198_419,
      consumed: 3_000_000 - 198_419,
      deadLettered: 0,
      dropped: 0,
      durationMs: expect.any(Number),
      position: expect.any(Number),
    });
  });

  it("equals the aggregate that DuckDB computes from the same file, in every field of 198,419 rows", async () => {
    const expected = await expectedDepartures();
    const actual = output()
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Departure);
    expect(actual).toHaveLength(198_419);
    expect(expected.size).toBe(198_419);
    const different = actual.filter((row) => JSON.stringify(row) !== JSON.stringify(expected.get(keyOf(row))));
    expect(different.slice(0, 3)).toEqual([]);
    expect(new Set(actual.map(keyOf)).size).toBe(198_419);
  }, 60_000);

  it("shows the same rows in the projection", async () => {
    const asked = await millrace([
      "projection",
      "query",
      "departures",
      "--where",
      "origin=ATL",
      "--limit",
      "1000",
      "--json",
      "--data",
      data,
    ]);
    const { rows } = lastJson(asked.stdout) as { readonly rows: readonly Departure[] };
    const inFile = output()
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Departure)
      .filter((row) => row.origin === "ATL");
    expect(rows).toHaveLength(1000);
    expect(rows).toEqual(inFile.sort((a, b) => (a.window_start < b.window_start ? -1 : 1)).slice(0, 1000));
  }, 60_000);

  it("changes nothing when it is run again", async () => {
    const before = createHash("sha256").update(output()).digest("hex");
    const again = await millrace(["run", GRAPH, "--until-done", "--json", "--data", data]);
    expect(lastJson(again.stdout)).toMatchObject({ revision: 1, messagesIn: 0, messagesOut: 0 });
    expect(createHash("sha256").update(output()).digest("hex")).toBe(before);
  }, 60_000);
});
