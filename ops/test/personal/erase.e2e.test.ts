/** A graph with personal fields: run, read, erased and proven, by the commands that people use. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { type Env, type EventLog, type Json, systemEnv } from "@millrace/engine";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Query, withApi } from "../../src/cli/api.ts";
import { erase } from "../../src/cli/command/erase.ts";
import { openData } from "../../src/host/open-data.ts";
import { exitOnFatal } from "../../src/host/open-host.ts";
import { placeHold, releaseHold } from "../../src/retention/legal-holds.ts";
import { lastJson, millrace } from "../millrace.ts";
import { makeSmallLog } from "../retention/small-log.ts";

const MESSAGES = 1200;
const TEST_MS = 180_000;

const GRAPH = `
name: orders
nodes:
  in:    { kind: source, from: "file:./orders.ndjson", personal: { subject: customer, fields: [email, address] } }
  large: { kind: filter, input: in, where: "event.amount > 5" }
  table: { kind: sink, input: large, to: "projection:large-orders", key: [id] }
  mails: { kind: sink, input: large, to: "file:mails.ndjson", reveal: true }
  kept:  { kind: sink, input: large, to: "file:kept.ndjson" }
`;

interface Rows {
  readonly rows: readonly Record<string, unknown>[];
}

interface Events {
  readonly events: { readonly position: number; readonly node: string; readonly payloadBytes: number }[];
}

let directory: string;
let data: string;
let leaves: string;

const ask = (...args: readonly string[]): ReturnType<typeof millrace> => millrace([...args, "--data", data]);
/** What the API answers over the files; commands that show something print this. */
const read = (path: string, query: Query = {}): Promise<Json> =>
  withApi({ url: "", data }, (api) => api.get(path, query));
const mailOf = (customer: number): string => `plain-mail-${customer}@example.org`;

function orders(from: number, to: number): string {
  const lines = Array.from({ length: to - from }, (_, i) => {
    const id = from + i;
    const customer = id % 3;
    const personal = { email: mailOf(customer), address: { street: `plain-street-${customer}` } };
    return JSON.stringify({ id, customer: `customer-${customer}`, amount: 10, ...personal });
  });
  return `${lines.join("\n")}\n`;
}

/** Files below the data directory in which a text stands, those of sinks excepted. */
function filesWith(text: string, at = data): string[] {
  return readdirSync(at, { withFileTypes: true }).flatMap((entry) => {
    const path = join(at, entry.name);
    if (path === join(data, "out")) return [];
    if (entry.isDirectory()) return filesWith(text, path);
    return readFileSync(path).includes(text) ? [path] : [];
  });
}

async function rows(customer: number): Promise<readonly Record<string, unknown>[]> {
  const query = { "where.customer": `customer-${customer}`, limit: 5 };
  const { rows: found } = (await read("/api/v1/projections/large-orders", query)) as unknown as Rows;
  expect(found.length).toBeGreaterThan(0);
  return found;
}

async function changed(change: (log: EventLog, env: Env) => Promise<unknown>): Promise<void> {
  const env = systemEnv();
  const opened = await openData({ path: data, env, onFatal: exitOnFatal });
  try {
    await change(opened.log, env);
  } finally {
    await opened.close();
  }
}

/** Refused in this process, with the code that the command line prints. */
const refused = (subject: string): Promise<unknown> => erase(subject, { data, reason: "", yes: true });

const sealedBytes = (): string =>
  createHash("sha256")
    .update(readFileSync(join(data, "log", "archive", "0000000001.zst")))
    .digest("hex");

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "millrace-erase-"));
  data = join(directory, "data");
  mkdirSync(data);
  await makeSmallLog(data, 0);
  const bad = `{"id": "plain-mail-1@example.org broken\n${JSON.stringify({ id: -1, email: mailOf(1) })}\n`;
  writeFileSync(join(directory, "orders.ndjson"), bad + orders(0, MESSAGES));
  writeFileSync(join(directory, "graph.yaml"), GRAPH);
  const ran = await ask("run", join(directory, "graph.yaml"), "--until-done", "--json");
  expect(lastJson(ran.stdout)).toMatchObject({ deadLettered: 2, messagesOut: 3 * MESSAGES });
}, TEST_MS);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe("personal fields", { timeout: TEST_MS }, () => {
  it("stand in no file of the data directory, not even before anything is erased", () => {
    expect(filesWith("customer-1").length).toBeGreaterThan(2);
    for (const text of ["plain-mail", "plain-street"]) expect(filesWith(text)).toEqual([]);
  });

  it("are what they were where they are read", async () => {
    expect((await rows(1))[0]).toMatchObject({ email: mailOf(1), address: { street: "plain-street-1" } });
    const { events } = (await read("/api/v1/events", { graph: "orders", limit: 1000 })) as unknown as Events;
    const steps = events.filter(({ node }) => node === "table").sort((a, b) => b.payloadBytes - a.payloadBytes);
    const step = steps[0];
    expect((await ask("events", "show", String(step?.position), "--json")).stdout).toContain("plain-mail-");
  });

  it("leave by a sink only where the graph says so", () => {
    const lines = (name: string): string[] =>
      readFileSync(join(data, "out", name), "utf8")
        .trim()
        .split("\n");
    expect(lines("mails.ndjson")).toHaveLength(MESSAGES);
    expect(JSON.parse(lines("mails.ndjson")[0] ?? "")).toMatchObject({ email: mailOf(0) });
    expect(lines("kept.ndjson").join()).not.toContain("plain-");
  });

  it("are not in dead letters either, which still say where and why", async () => {
    const letters = JSON.stringify(await read("/api/v1/dlq"));
    expect(letters).toContain("PERSONAL-INPUT");
    expect(letters).toContain("PERSONAL-SUBJECT");
    expect(letters).not.toContain("plain-");
  });

  it("have keys that only their owner may read", () => {
    expect(statSync(join(data, "keys", "subjects.keys")).mode & 0o777).toBe(0o600);
  });
});

describe("millrace erase", { timeout: TEST_MS }, () => {
  it("says what it would do, and what it does not know", async () => {
    expect(await ask("erase", "customer-1")).toMatchObject({ code: 1, stdout: expect.stringMatching(/--yes/) });
    expect(await ask("erase", "nobody", "--yes")).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/PERSONAL-UNKNOWN/),
    });
    expect((await rows(1))[0]).toMatchObject({ email: mailOf(1) });
  });

  it("is stopped by a legal hold on an event with values of the subject", async () => {
    const by = { principal: "counsel", reason: "a case" };
    await changed((log, env) => placeHold(log, env, "case-7", { streamPrefix: "orders/table" }, by));
    await expect(refused("customer-1")).rejects.toMatchObject({ code: "PERSONAL-HELD", kind: "rejected" });
    expect((await rows(1))[0]).toMatchObject({ email: mailOf(1) });
    await changed(async (log, env) => {
      await releaseHold(log, env, "case-7", by);
      await placeHold(log, env, "case-8", { streamPrefix: "somebody-elses/" }, by);
    });
  });

  it("makes the values of one subject unreadable everywhere, and nobody else's", async () => {
    await ask("log", "archive", "--older-than", "0");
    leaves = sealedBytes();
    const erased = lastJson(
      (await ask("erase", "customer-1", "--yes", "--reason", "letter of 3 May", "--json")).stdout,
    );
    expect(erased).toMatchObject({ erased: true, repeated: false });
    const { key, subjectHash, position } = erased as { key: string; subjectHash: string; position: number };
    for (const row of await rows(1)) expect(row).toMatchObject({ email: { $erased: key }, address: { $erased: key } });
    expect((await rows(2))[0]).toMatchObject({ email: mailOf(2) });
    const told = JSON.stringify(await read(`/api/v1/events/${position}`));
    expect(told).toMatch(/SubjectErased[\s\S]*letter of 3 May/);
    expect(told).toContain(subjectHash);
    expect(told).not.toContain("customer-1");
    const again = lastJson((await ask("erase", "customer-1", "--yes", "--json")).stdout);
    expect(again).toMatchObject({ erased: true, repeated: true, key, position });
  });

  it("leaves every byte of the log, every proof and every bundle as they were", async () => {
    expect(sealedBytes()).toBe(leaves);
    const bundle = join(directory, "bundle");
    // They read files only, one beside the other.
    const proofs = [
      ask("audit", "verify"),
      ask("audit", "prove", "10"),
      ask("log", "scrub", "--rate", "1000"),
      ask("audit", "export", "--out", bundle),
    ];
    for (const { code, stderr } of await Promise.all(proofs)) expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const script = readdirSync(bundle).find((name) => name.endsWith(".mjs")) ?? "";
    expect(spawnSync(process.execPath, [join(bundle, script)], { cwd: bundle })).toMatchObject({ status: 0 });
  });

  it("leaves nothing to read in projections that are made again, nor in Parquet twins", async () => {
    rmSync(join(data, "projections"), { recursive: true });
    rmSync(join(data, "index"), { recursive: true });
    expect((await rows(1))[0]).toMatchObject({ email: { $erased: expect.any(String) } });
    const database = await (await DuckDBInstance.create()).connect();
    const twins = `'${join(data, "log", "archive")}/*.parquet'`;
    const count = async (text: string): Promise<number> => {
      const found = await database.runAndReadAll(
        `select count(*) from ${twins} t where cast(t as varchar) like '%${text}%'`,
      );
      return Number(found.getRows()[0]?.[0]);
    };
    expect(await count("customer-1")).toBeGreaterThan(0);
    expect(await count("plain-")).toBe(0);
    expect(filesWith("plain-")).toEqual([]);
  });

  it("holds for what comes later: values of an erased subject are erased on arrival", async () => {
    const graph = GRAPH.replace("name: orders", "name: orders-again").replaceAll("file:mails", "file:later-mails");
    writeFileSync(join(directory, "again.yaml"), graph.replace("file:kept", "file:later-kept"));
    expect(await ask("run", join(directory, "again.yaml"), "--until-done")).toMatchObject({ code: 0 });
    const mails = readFileSync(join(data, "out", "later-mails.ndjson"), "utf8");
    expect(mails).toContain(mailOf(2));
    expect(mails).not.toContain(mailOf(1));
  });
});
