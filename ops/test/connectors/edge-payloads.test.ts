/**
 * Payloads of edges between hosts. Each of the two hosts has a store and an archive of its own; only the transport leads from one
 * to the other, and it loses, repeats and reorders what it carries.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  edgeCarriers,
  type InlinePayload,
  type Json,
  parseGraph,
  payloadOf,
  systemEnv,
  type Transport,
} from "@millrace/engine";
import { SeededRandom } from "@millrace/engine/testing";
import { memoryEventLog, memoryTransport } from "@millrace/streams/memory";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { compileGraph } from "../../src/compile/compile-graph.ts";
import type { Host } from "../../src/host/host.ts";
import { HostPayloads } from "../../src/host/host-payloads.ts";
import { memoryHost } from "../../src/host/memory-host.ts";
import { ProjectionTables } from "../../src/host/projection-tables.ts";
import { ChaosTransport } from "./chaos-transport.ts";

const env = systemEnv();
const ROWS = 60;
const PAYLOAD_BYTES = 200_000;
const DIFFERENT = 7;
/** Small, so that a payload takes many messages. */
const BODY_BYTES_MAX = 32 * 1024;

const GRAPH = `name: split
nodes:
  in:   { kind: source, from: "file:./in.ndjson", batch: 4, payload: { block: raw } }
  pass: { kind: filter, input: in, where: "event.n >= 0" }
  out:  { kind: sink, input: pass, to: "file:out.ndjson" }
edges:
  "in -> pass": { via: nats }
  "pass -> out": { via: nats }
`;

const hashOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const bytesOf = (n: number): Buffer => Buffer.alloc(PAYLOAD_BYTES, n % DIFFERENT);
const EXPECTED = Array.from({ length: ROWS }, (_, n) => [n, hashOf(bytesOf(n))]);

describe("payloads of edges between hosts", () => {
  let directory: string;
  let closing: (() => Promise<unknown>)[];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "millrace-edge-payloads-"));
    closing = [];
    const rows = Array.from(
      { length: ROWS },
      (_, n) => `${JSON.stringify({ n, block: bytesOf(n).toString("base64") })}\n`,
    );
    writeFileSync(join(directory, "in.ndjson"), rows.join(""));
  });
  afterEach(async () => {
    for (const close of closing.reverse()) await close();
    rmSync(directory, { recursive: true, force: true });
  });

  const open = async (name: string, nodes: readonly string[], transport: Transport) => {
    const payloads = new HostPayloads({
      env,
      data: join(directory, name),
      memory: { dir: join(directory, `${name}-memory`) },
    });
    const log = memoryEventLog({ env });
    await payloads.open(log, join(directory, name, "payloads"));
    const runsHere = (node: string): boolean => nodes.includes(node);
    const host = memoryHost(log, {
      untilDone: true,
      payloads,
      runsHere,
      carriers: (program) =>
        edgeCarriers(program, "nats", { transport, env, scope: "t", runsHere, payloads: () => payloads.exchange }),
    });
    closing.push(async () => {
      await host.close("the test is over");
      await payloads.close();
    });
    const parsed = parseGraph(GRAPH);
    if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
    const options = { dir: directory, out: directory, env, tables: new ProjectionTables(), payloads };
    await host.add(await compileGraph(parsed.graph, GRAPH, options), { principal: "test", reason: "payloads" });
    return { host, payloads };
  };
  const finished = (host: Host): Promise<void> => host.running("split").runtime.whenFinished;
  const written = (): [number, string][] =>
    readFileSync(join(directory, "out.ndjson"), "utf8")
      .split("\n")
      .filter(Boolean)
      .map((line) => {
        const { n, block } = JSON.parse(line) as { n: number; block: Json };
        return [n, hashOf((payloadOf(block) as InlinePayload).bytes)];
      });
  const objects = (name: string): number =>
    readdirSync(join(directory, name, "payloads", "objects"), { recursive: true }).filter(
      (path) => String(path).length > 60,
    ).length;

  it("go before the frames that name them, and are let go by every host that is done with them", async () => {
    const transport = memoryTransport({ env, bodyBytesMax: BODY_BYTES_MAX });
    const a = await open("a", ["in"], transport);
    const b = await open("b", ["pass", "out"], transport);
    await Promise.all([finished(a.host), finished(b.host)]);
    expect(written()).toEqual(EXPECTED);
    await a.payloads.exchange.settled();
    await expect.poll(() => b.payloads.report()).toMatchObject({ holds: 0, livePayloads: 0 });
    expect(a.payloads.report()).toMatchObject({ holds: 0, livePayloads: 0 });
  });

  it("come through a host that only passes them on", async () => {
    const transport = memoryTransport({ env, bodyBytesMax: BODY_BYTES_MAX });
    const a = await open("a", ["in"], transport);
    const b = await open("b", ["pass"], transport);
    const c = await open("c", ["out"], transport);
    await Promise.all([finished(a.host), finished(c.host)]);
    expect(written()).toEqual(EXPECTED);
    await expect.poll(() => c.payloads.report()).toMatchObject({ holds: 0, livePayloads: 0 });
    await expect.poll(() => b.payloads.report()).toMatchObject({ holds: 0, livePayloads: 0 });
    expect([objects("a"), objects("b"), objects("c")]).toEqual([0, 7, 0]);
  });

  it("come again when pieces are lost, repeated or overtaken", async () => {
    const chaos = new ChaosTransport(memoryTransport({ env, bodyBytesMax: BODY_BYTES_MAX }), new SeededRandom(11));
    const a = await open("a", ["in"], chaos);
    const b = await open("b", ["pass", "out"], chaos);
    await Promise.all([finished(a.host), finished(b.host)]);
    expect(written()).toEqual(EXPECTED);
    expect(chaos.lost).toBeGreaterThan(0);
    expect(chaos.overtaken).toBeGreaterThan(0);
  }, 60_000);
});
