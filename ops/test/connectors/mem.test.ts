/** Queues in memory between the graphs of a host. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseGraph, systemEnv } from "@millrace/engine";
import { memoryEventLog } from "@millrace/streams/memory";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openSession } from "../../src/cli/session.ts";
import { compileGraph } from "../../src/compile/compile-graph.ts";
import type { Host } from "../../src/host/host.ts";
import { HostMemory } from "../../src/host/host-memory.ts";
import { memoryHost } from "../../src/host/memory-host.ts";
import { ProjectionTables } from "../../src/host/projection-tables.ts";
import { numbers, WAIT } from "./running-graph.ts";

const env = systemEnv();
/** More than a queue holds. */
const ROWS = numbers(0, 3000);
const HELD_MAX = 1024;
const WRITER = `name: writer
nodes:
  rows: { kind: source, from: "file:./rows.ndjson" }
  out:  { kind: sink, input: rows, to: "mem:orders" }
`;
const READER = `name: reader
nodes:
  orders: { kind: source, from: "mem:orders" }
  out:    { kind: sink, input: orders, to: "file:read.ndjson" }
`;

let directory: string;
let host: Host;
let memory: HostMemory;
const closing: (() => Promise<void>)[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "millrace-mem-"));
  mkdirSync(join(directory, "out"));
  writeFileSync(join(directory, "rows.ndjson"), ROWS.map((n) => `{"n":${n}}\n`).join(""));
  host = memoryHost(memoryEventLog({ env }));
  closing.push(() => host.close("the test is over"));
  memory = new HostMemory();
});
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  rmSync(directory, { recursive: true, force: true });
});

async function add(text: string): Promise<void> {
  const parsed = parseGraph(text);
  if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
  const options = { dir: directory, out: join(directory, "out"), env, tables: new ProjectionTables(), memory };
  await host.add(await compileGraph(parsed.graph, text, options), { principal: "test", reason: "a test" });
}

/** Messages that wait, which they go on to do. */
async function held(): Promise<number> {
  const { messages } = await memory.queue("orders");
  let count = 0;
  const counting = (): void => void count++;
  messages.attach(counting, Number.MAX_SAFE_INTEGER);
  messages.detach(counting);
  return count;
}

/** What the reader has written so far, if anything. */
function read(out: string): readonly unknown[] {
  const path = join(out, "read.ndjson");
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as unknown);
}

test("a queue that nobody reads holds its sink back; whoever reads then gets all of it, once and in order", async () => {
  const out = join(directory, "out");
  await add(WRITER);
  await vi.waitFor(async () => expect(await held()).toBe(HELD_MAX), WAIT);
  await add(READER);
  await vi.waitFor(() => expect(read(out).length).toBeGreaterThanOrEqual(ROWS.length), WAIT);
  expect(read(out)).toEqual(ROWS.map((n) => ({ n })));
});

test("a host whose queue is full ends when it is told to", async () => {
  await add(WRITER);
  await vi.waitFor(async () => expect(await held()).toBe(HELD_MAX), WAIT);
  await host.close("the test is over");
  expect(await held()).toBe(HELD_MAX);
});

test("graphs that are served together share their queues", async () => {
  const files = [WRITER, READER].map((text, i) => {
    const file = join(directory, `${i}.yaml`);
    writeFileSync(file, text);
    return file;
  });
  const session = await openSession({ files, data: join(directory, "data"), untilDone: false });
  closing.push(() => session.close("the test is over"));
  const out = join(directory, "data", "out");
  await vi.waitFor(() => expect(read(out).length).toBeGreaterThanOrEqual(ROWS.length), WAIT);
  expect(read(out)).toEqual(ROWS.map((n) => ({ n })));
});

test("a stream and a channel of the Redis in the process are between graphs what those of a server are", async () => {
  const out = join(directory, "out");
  await add(`name: reader
nodes:
  live: { kind: source, from: "memredis:channel/live" }
  out:  { kind: sink, input: live, to: "memredis:stream/heard" }
  all:  { kind: source, from: "memredis:stream/orders" }
  ch:   { kind: sink, input: all, to: "memredis:channel/live" }
  back: { kind: source, from: "memredis:stream/heard" }
  file: { kind: sink, input: back, to: "file:read.ndjson" }
`);
  await add(WRITER.replace("mem:orders", "memredis:stream/orders"));
  await vi.waitFor(() => expect(read(out).length).toBeGreaterThanOrEqual(ROWS.length), WAIT);
  expect(read(out)).toEqual(ROWS.map((n) => ({ n })));
});
