/**
 * Graphs between two topics of a real Kafka that is killed, cut off and changed under load. Every test counts: what was lost,
 * what came twice, how far memory was filled.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { type EdgeStatus, type GraphStatus, type NodeStatus, parseGraph, systemEnv } from "@millrace/engine";
import { memoryEventLog } from "@millrace/streams/memory";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { KafkaServer, kafkaKinds } from "../../services/kafka-server.ts";
import { compileGraph } from "../../src/compile/compile-graph.ts";
import type { Host } from "../../src/host/host.ts";
import { memoryHost } from "../../src/host/memory-host.ts";
import { ProjectionTables } from "../../src/host/projection-tables.ts";
import { isFull, times } from "../faults/form.ts";
import { kafkaOutcome } from "./kafka-outcome.ts";
import { KafkaTopics } from "./kafka-topics.ts";
import { readBeforePause } from "./paused-source.ts";
import { WAIT } from "./running-graph.ts";

const env = systemEnv();
const BY = { principal: "test", reason: "faults" };
const RESILIENCE = {
  backoffMs: 20,
  backoffMaxMs: 200,
  suspendAfter: 3,
  suspendMs: 500,
  probeEveryMs: 500,
  probeTimeoutMs: 300,
};
const LIMIT_MS = times(90_000, 240_000);
/** How long a link stays cut after it was noticed; the short form mends it then. */
const CUT_MS = 30_000;
const PARTITIONS = 2;
const KILLS = times(1, 3);
const TOTAL = times(1500, 3000);
/** The short form runs on the newest brokers. */
const kinds = kafkaKinds().slice(isFull ? 0 : -1);

describe.skipIf(kinds.length === 0)("a graph over Kafka under faults", () => {
  for (const kind of kinds) {
    describe(kind.version, () => {
      let directory: string;
      let server: KafkaServer;
      let topics: KafkaTopics;
      let host: Host;
      let input: string;
      let output: string;

      beforeAll(async () => {
        server = await KafkaServer.start(kind, { restarts: true });
      }, LIMIT_MS);
      afterAll(() => server?.stop());
      beforeEach(async () => {
        directory = mkdtempSync(join(tmpdir(), "millrace-kafka-faults-"));
        topics = await KafkaTopics.connect(server.address);
        input = await topics.make(`in-${Date.now()}`, PARTITIONS);
        output = await topics.make(`out-${Date.now()}`);
        host = memoryHost(memoryEventLog({ env }));
      });
      afterEach(async () => {
        await host.close("the test is over");
        topics.close();
        rmSync(directory, { recursive: true, force: true });
      });

      const deploy = async (from: string, to: string, edge = ""): Promise<void> => {
        const text = `name: copy${input}
nodes:
  in:  { kind: source, from: "kafka://${from}/${input}" }
  out: { kind: sink, input: in, to: "kafka://${to}/${output}" }
${edge}`;
        const parsed = parseGraph(text);
        if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
        const options = { dir: directory, out: directory, env, tables: new ProjectionTables(), resilience: RESILIENCE };
        await host.add(await compileGraph(parsed.graph, text, options), BY);
      };
      const status = (): GraphStatus => host.status(`copy${input}`) as GraphStatus;
      const node = (name: string): NodeStatus => status().nodes.find((one) => one.node === name) as NodeStatus;
      const tell = (what: string): void => console.log(`Kafka ${server.version}: ${what}`);

      /** Publishes `{n}` in turn to the partitions, each until the brokers have it. It may do so twice: then so does the graph. */
      const sent: number[][] = [];
      const load = async (total: number, bytes = 0): Promise<void> => {
        const filler = "x".repeat(bytes);
        sent.splice(0, sent.length, ...Array.from({ length: PARTITIONS }, () => []));
        const group = bytes === 0 ? 20 : 200;
        for (let n = 0; n < total; n += group) {
          const rows = Array.from({ length: group }, (_, i) => ({ n: n + i, filler }));
          const partition = (n / group) % PARTITIONS;
          await topics.publish(input, rows, partition);
          sent[partition]?.push(...rows.map((row) => row.n));
          if (bytes === 0) await setTimeout(5);
        }
      };
      const reached = (n: number): Promise<void> =>
        vi.waitFor(() => expect(sent.flat().length).toBeGreaterThanOrEqual(n), WAIT);

      const outcome = () =>
        kafkaOutcome(topics, { input, partitions: PARTITIONS, output }, () => node("out").messagesIn);

      test(
        "loses nothing and delivers nothing twice while the broker is killed under load",
        async () => {
          await deploy(server.address, server.address);
          const loading = load(TOTAL);
          for (let kill = 1; kill <= KILLS; kill++) {
            await reached(kill * 700);
            await server.kill();
            await vi.waitFor(() => expect(node("in").connection?.state).not.toBe("up"), WAIT);
            await server.start();
          }
          await loading;
          const { lost, twice, disordered, n } = await outcome();
          tell(
            `${n} messages, ${KILLS} kills -9 of the broker: ${lost} lost, ${twice} twice, ${disordered} out of order`,
          );
          expect({ lost, twice, disordered }).toEqual({ lost: 0, twice: 0, disordered: 0 });
          expect(status().deadLettered).toBe(0);
        },
        LIMIT_MS,
      );

      test(
        "waits, says why, and goes on when the link was cut",
        async () => {
          await deploy(server.wire.address, server.wire.address);
          const loading = load(2000);
          for (let cut = 1; cut <= 2; cut++) {
            await reached(cut * 500);
            server.wire.cut();
            await vi.waitFor(
              () =>
                expect(node("in")).toMatchObject({
                  state: "waiting",
                  reason: expect.stringMatching(/^CONNECTION-(?:FAILED|SUSPENDED): /),
                  connection: { state: "suspended" },
                }),
              WAIT,
            );
            expect(node("in").connection?.reason).toContain(server.wire.address);
            if (isFull) await setTimeout(CUT_MS);
            server.wire.mend();
          }
          await loading;
          const { lost, twice, disordered, n } = await outcome();
          await vi.waitFor(
            () => expect(node("in")).toMatchObject({ state: "running", connection: { state: "up" } }),
            WAIT,
          );
          tell(
            `${n} messages, 2 cuts until the circuit opened${isFull ? ` and ${CUT_MS} ms more` : ""}: ${lost} lost, ${twice} twice, ${disordered} out of order`,
          );
          expect({ lost, twice, disordered }).toEqual({ lost: 0, twice: 0, disordered: 0 });
        },
        LIMIT_MS,
      );

      test(
        "pauses the source when the target is gone, instead of filling memory",
        async () => {
          server.wire.cut();
          await load(10_000, 1000);
          await deploy(server.address, server.wire.address, 'edges:\n  "in -> out": { capacity: 1000 }');
          const edge = (): EdgeStatus => status().edges[0] as EdgeStatus;
          const read = await readBeforePause(node);
          // For each partition the lane's capacity, one frame beyond it, and the frame that the sink holds.
          expect(read).toBeLessThanOrEqual(PARTITIONS * (1000 + 2 * 4096));
          expect(read).toBeLessThan(10_000);
          const held = edge().depth;
          server.wire.mend();
          const { lost, twice, disordered, n } = await outcome();
          tell(`${n} messages of 1 kB, target gone: ${read} read, ${held} held; then ${lost} lost, ${twice} twice`);
          expect({ lost, twice, disordered }).toEqual({ lost: 0, twice: 0, disordered: 0 });
        },
        LIMIT_MS,
      );

      test(
        "stops at a topic that was made anew, though it is longer than what was read, and says so",
        async () => {
          await deploy(server.address, server.address);
          await load(200);
          await outcome();
          const before = await topics.end(output);
          await topics.admin.deleteTopics({ topics: [input] });
          await vi.waitFor(async () => expect(await topics.admin.listTopics()).not.toContain(input), WAIT);
          await topics.make(input, PARTITIONS);
          const rows = Array.from({ length: 300 }, (_, n) => ({ n: 1_000_000 + n }));
          await vi.waitFor(() => topics.publish(input, rows), WAIT);
          await vi.waitFor(() => expect(node("in").state).toBe("parked"), WAIT);
          expect(node("in").reason).toMatch(/^SOURCE-RECREATED: /);
          expect(await topics.end(output)).toBe(before);
          tell("a topic made anew while it was read: parked with SOURCE-RECREATED, 0 of its messages taken");
        },
        LIMIT_MS,
      );

      test(
        "parks at what retention removed while the graph was stopped, with the exact range",
        async () => {
          await deploy(server.address, server.address);
          await load(400);
          await outcome();
          await host.stop(`copy${input}`, BY);
          const end = await topics.end(input, 1);
          await topics.publish(
            input,
            Array.from({ length: 50 }, (_, n) => ({ n: 1000 + n })),
            1,
          );
          await topics.cut(input, end + 30, 1);
          await host.start(`copy${input}`, BY);
          await vi.waitFor(() => expect(node("in").state).toBe("parked"), WAIT);
          expect(node("in").reason).toContain(
            `SOURCE-GAP: topic ${input} removed ${end} to ${end + 29} of partition 1`,
          );
          tell(`30 records removed unread: parked with SOURCE-GAP over exactly these 30`);
        },
        LIMIT_MS,
      );
    });
  }
});
