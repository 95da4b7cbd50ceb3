import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { addEvents } from "../audit/audited-data.ts";
import { lastJson, millrace } from "../millrace.ts";
import { makeSmallLog } from "./small-log.ts";

const EVENTS = 900;

interface Listed {
  readonly base: number;
  readonly segments: readonly { readonly serial: number; readonly state: string; readonly endPosition: number }[];
}

let directory: string;
let data: string;
let eventsBefore: string;
let first: Buffer;
let archived: { readonly archived: Listed["segments"] };

async function ask(...args: readonly string[]): Promise<string> {
  const finished = await millrace([...args, "--data", data]);
  expect(finished, finished.stderr).toMatchObject({ code: 0 });
  return finished.stdout;
}

const allEvents = (): Promise<string> => ask("events", "ls", "--forward", "--limit", "1000", "--json");
const archive = (name: string): string => join(data, "log", "archive", name);

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "millrace-archive-"));
  data = join(directory, "data");
  await makeSmallLog(data, EVENTS);
  eventsBefore = await allEvents();
  first = readFileSync(join(data, "log", "0000000001.seg"));
  archived = lastJson(await ask("log", "archive", "--older-than", "0", "--json")) as typeof archived;
}, 60_000);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe("millrace log archive", { timeout: 60_000 }, () => {
  it("moves sealed segments out of the log", async () => {
    expect(archived.archived.length).toBeGreaterThan(1);
    expect(existsSync(join(data, "log", "0000000001.seg"))).toBe(false);
    const listed = lastJson(await ask("log", "ls", "--json")) as Listed;
    expect(listed.base).toBe(0);
    expect(listed.segments.map(({ state }) => state)).toEqual([...archived.archived.map(() => "archived"), "active"]);
    expect(await ask("log", "ls")).toContain("archived");
  });

  it("leaves every event, proof and answer as it was", async () => {
    expect(JSON.parse(await allEvents())).toEqual(JSON.parse(eventsBefore));
    expect(lastJson(await ask("audit", "verify", "--json"))).toMatchObject({ ok: true, verified: EVENTS });
    expect(await ask("sql", "select count(*) as n, max(position) as last from events", "--csv")).toContain(
      `${EVENTS},${EVENTS - 1}`,
    );
    rmSync(join(data, "index"), { recursive: true });
    expect(JSON.parse(await allEvents())).toEqual(JSON.parse(eventsBefore));
  });

  it.skipIf(spawnSync("zstd", ["--version"]).error !== undefined)("is read by any Zstandard program", () => {
    const { stdout } = spawnSync("zstd", ["-d", "-c", archive("0000000001.zst")], { maxBuffer: 1 << 28 });
    expect(Buffer.compare(stdout, first)).toBe(0);
  });

  it("writes the events as Parquet too", async () => {
    const db = await (await DuckDBInstance.create()).connect();
    const end = archived.archived.at(-1)?.endPosition;
    const found = await db.runAndReadAll(
      `select count(*)::int, max(position)::int, count(distinct id)::int from '${archive("*.parquet")}'`,
    );
    expect(found.getRows()).toEqual([[end, (end ?? 0) - 1, end]]);
    db.closeSync();
  });

  it("can go on later, and without Parquet", async () => {
    await addEvents(data, 400);
    await ask("log", "archive", "--older-than", "0", "--no-parquet");
    const last = readdirSync(archive("")).filter((name) => name.endsWith(".zst")).length;
    expect(last).toBeGreaterThan(archived.archived.length);
    expect(readdirSync(archive("")).filter((name) => name.endsWith(".parquet"))).toHaveLength(archived.archived.length);
    expect(lastJson(await ask("audit", "verify", "--json"))).toMatchObject({ ok: true, verified: EVENTS + 400 });
  });

  it("refuses an age that is none", async () => {
    const { code, stderr } = await millrace(["log", "archive", "--older-than", "soon", "--data", data]);
    expect([code, stderr]).toEqual([2, expect.stringContaining("CLI-USAGE")]);
  });
});
