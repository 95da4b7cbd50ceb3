/** Event-time windows behind what is told once: pushed over HTTP, or taken from a queue. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Json, parseGraph, systemEnv } from "@millrace/engine";
import { memoryEventLog } from "@millrace/streams/memory";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { compileGraph } from "../src/compile/compile-graph.ts";
import { HostMemory } from "../src/host/host-memory.ts";
import { memoryHost } from "../src/host/memory-host.ts";
import { ProjectionTables } from "../src/host/projection-tables.ts";
import { WAIT } from "./connectors/running-graph.ts";
import { type Running, start } from "./millrace.ts";

const env = systemEnv();
let directory: string;
const closing: (() => Promise<unknown>)[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "millrace-pushed-times-"));
});
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  rmSync(directory, { recursive: true, force: true });
});

const minute = (n: number, second = 0): string => new Date(Date.UTC(2026, 0, 1, 0, n, second)).toISOString();
const windowOf = (n: number, count: number): Json => ({ window_start: minute(n), window_end: minute(n + 1), n: count });

const fileOf = (name: string): string => join(directory, `${name}.ndjson`);

function rowsOf(name: string): Json[] {
  const text = readFileSync(fileOf(name), { encoding: "utf8", flag: "a+" });
  return text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as Json]));
}

test("pushes close windows, and a killed process neither counts twice nor forgets what was late", {
  timeout: 120_000,
}, async () => {
  writeFileSync(
    join(directory, "graph.yaml"),
    `name: pushed
nodes:
  in:      { kind: source, from: "http:/in", time: at, watermark: 10s }
  minutes: { kind: window, input: in, tumbling: 1m, late: output, compute: { n: count() } }
  out:     { kind: sink, input: minutes, to: "file:${fileOf("minutes")}" }
  late:    { kind: sink, input: minutes.late, to: "file:${fileOf("late")}" }
`,
  );
  const serve = async (): Promise<{ readonly running: Running; readonly push: (rows: Json) => Promise<number> }> => {
    const running = start(["serve", "graph.yaml", "--port", "0", "--json"], { cwd: directory });
    closing.push(async () => {
      running.child.kill("SIGKILL");
      await running.finished;
    });
    const { url } = JSON.parse(await running.line(/^\{/)) as { url: string };
    const push = async (rows: Json): Promise<number> => {
      const headers = { "content-type": "application/json" };
      const body = JSON.stringify(rows);
      return (await fetch(`${url}/api/v1/graphs/pushed/push/in`, { method: "POST", headers, body })).status;
    };
    return { running, push };
  };
  const first = await serve();
  // The last of them is late by what is before it in the same push.
  const rows = [minute(0, 1), minute(1, 5), minute(0, 59), minute(3, 30), minute(1, 40)].map((at) => ({ at }));
  expect(await first.push(rows)).toBe(200);
  first.running.child.kill("SIGKILL");
  await first.running.finished;
  const second = await serve();
  expect(await second.push([{ at: minute(2, 59) }, { at: "tomorrow" }, { at: minute(3, 45) }])).toBe(200);
  expect(await second.push([{ at: minute(4, 10) }])).toBe(200);
  await vi.waitFor(() => expect(rowsOf("minutes")).toHaveLength(3), WAIT);
  expect(rowsOf("minutes")).toEqual([windowOf(0, 2), windowOf(1, 1), windowOf(3, 2)]);
  await vi.waitFor(() => expect(rowsOf("late")).toHaveLength(2), WAIT);
  expect(rowsOf("late")).toEqual([{ at: minute(1, 40) }, { at: minute(2, 59) }]);
});

test("a queue has event times beside a file, and holds nothing back once it is idle", async () => {
  const host = memoryHost(memoryEventLog({ env }));
  closing.push(() => host.close("the test is over"));
  const memory = new HostMemory();
  const add = async (text: string): Promise<void> => {
    const parsed = parseGraph(text);
    if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
    const options = { dir: directory, out: directory, env, tables: new ProjectionTables(), memory };
    await host.add(await compileGraph(parsed.graph, text, options), { principal: "test", reason: "a test" });
  };
  const write = (name: string, ...times: readonly string[]): void =>
    writeFileSync(fileOf(name), times.map((at) => `${JSON.stringify({ at })}\n`).join(""));
  write("sent", minute(0, 10), minute(0, 40), minute(2));
  write("read", minute(0, 5), minute(9));
  await add(`name: writer
nodes:
  rows: { kind: source, from: "file:./sent.ndjson" }
  out:  { kind: sink, input: rows, to: "mem:beside" }
`);
  // The reader must not find its queue idle before anything was sent.
  await host.running("writer").runtime.whenFinished;
  await add(`name: reader
nodes:
  read:    { kind: source, from: "file:./read.ndjson", time: at }
  sent:    { kind: source, from: "mem:beside", time: at, idle: 1s }
  minutes: { kind: window, input: [read, sent], tumbling: 1m, compute: { n: count() } }
  out:     { kind: sink, input: minutes, to: "file:minutes.ndjson" }
`);
  await vi.waitFor(() => expect(rowsOf("minutes")).toHaveLength(3), WAIT);
  expect(rowsOf("minutes")).toEqual([windowOf(0, 3), windowOf(2, 1), windowOf(9, 1)]);
});
