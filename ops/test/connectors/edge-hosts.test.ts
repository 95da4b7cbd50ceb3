/** A graph on two hosts: who stays until when, and what is known after a start. The transport is what a broker would be. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type EventLog, edgeCarriers, type GraphStatus, parseGraph, systemEnv, type Transport } from "@millrace/engine";
import { memoryEventLog, memoryTransport } from "@millrace/streams/memory";
import { afterEach, beforeEach, expect, test } from "vitest";
import { compileGraph } from "../../src/compile/compile-graph.ts";
import type { Host } from "../../src/host/host.ts";
import { memoryHost } from "../../src/host/memory-host.ts";
import { ProjectionTables } from "../../src/host/projection-tables.ts";
import { eventually } from "../faults/graph-folder.ts";

const env = systemEnv();
const BY = { principal: "test", reason: "hosts" };
const ROWS = 5000;
/** The row's way leads from the first host over the second one back to the first. */
const GRAPH = `name: relayed
nodes:
  in:   { kind: source, from: "file:./in.ndjson", batch: 100 }
  even: { kind: filter, input: in, where: "event.n % 2 == 0" }
  out:  { kind: sink, input: even, to: "file:out.ndjson" }
defaults: { edge: { via: nats } }
`;

let directory: string;
let transport: Transport;
const hosts: Host[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "millrace-hosts-"));
  transport = memoryTransport({ env });
  writeFileSync(
    join(directory, "in.ndjson"),
    Array.from({ length: ROWS }, (_, n) => `${JSON.stringify({ n })}\n`).join(""),
  );
});
afterEach(async () => {
  for (const host of hosts.splice(0)) await host.close("the test is over");
  await transport.close();
  rmSync(directory, { recursive: true });
});

async function start(nodes: readonly string[], log: EventLog): Promise<Host> {
  const runsHere = (node: string): boolean => nodes.includes(node.split("~")[0] ?? "");
  const host = memoryHost(log, {
    untilDone: true,
    runsHere,
    carriers: (program) => edgeCarriers(program, "nats", { transport, env, scope: "test", runsHere }),
  });
  hosts.push(host);
  const parsed = parseGraph(GRAPH);
  if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
  const options = { dir: directory, out: directory, env, tables: new ProjectionTables() };
  await host.add(await compileGraph(parsed.graph, GRAPH, options), BY);
  return host;
}

const statusOf = (host: Host): GraphStatus => host.status("relayed") as GraphStatus;
const finished = (host: Host): Promise<void> => host.running("relayed").runtime.whenFinished;

test("a host of stateless nodes stays until what leads through them has arrived, also when it starts anew", async () => {
  const log = memoryEventLog({ env });
  const relay = await start(["even"], log);
  const ends = await start(["in", "out"], memoryEventLog({ env }));
  await finished(ends);
  await finished(relay);
  expect(readFileSync(join(directory, "out.ndjson"), "utf8").split("\n").filter(Boolean)).toHaveLength(ROWS / 2);
  // The origin is over and has said so; nobody will say it again.
  await relay.close("it ends");
  await finished(await start(["even"], log));
});

test("a host of stateless nodes does not end before the origin has", async () => {
  const relay = await start(["even"], memoryEventLog({ env }));
  await eventually(async () => expect(statusOf(relay).state).toBe("running"));
  let hasEnded = false;
  const end = finished(relay).then(() => {
    hasEnded = true;
  });
  await start(["in"], memoryEventLog({ env }));
  await eventually(async () => expect(statusOf(relay).messagesIn + seen(relay)).toBeGreaterThan(0));
  expect(hasEnded).toBe(false);
  await start(["out"], memoryEventLog({ env }));
  await end;
});

/** Messages that crossed the edge out of the relay. */
function seen(host: Host): number {
  return statusOf(host).edges.find(({ edge }) => edge === "even -> out")?.messages ?? 0;
}

test("an origin that starts anew knows how far its receivers are, though they are gone", async () => {
  const log = memoryEventLog({ env });
  const receiver = await start(["even", "out"], memoryEventLog({ env }));
  const origin = await start(["in"], log);
  await Promise.all([finished(origin), finished(receiver)]);
  await receiver.close("it ends");
  await origin.close("it ends");
  const again = await start(["in"], log);
  await finished(again);
  expect(statusOf(again).messagesIn).toBe(0);
});
