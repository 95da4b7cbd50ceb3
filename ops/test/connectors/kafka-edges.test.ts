/**
 * A graph whose edges lead over a real Kafka gives what it gives with all edges in the process, whatever happens to the
 * broker, the wire and the messages on it.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Delivery,
  type EventLog,
  edgeCarriers,
  type GraphStatus,
  parseGraph,
  SnapshotStore,
  systemEnv,
  type Transport,
} from "@millrace/engine";
import { SeededRandom } from "@millrace/engine/testing";
import { kafkaTransport } from "@millrace/streams/kafka";
import { memoryEventLog, memoryOrderedStore } from "@millrace/streams/memory";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { KafkaServer, kafkaKinds } from "../../services/kafka-server.ts";
import { compileGraph } from "../../src/compile/compile-graph.ts";
import { Host } from "../../src/host/host.ts";
import { ProjectionTables } from "../../src/host/projection-tables.ts";
import { isFull, times } from "../faults/form.ts";
import { KafkaTopics } from "./kafka-topics.ts";

const env = systemEnv();
const BY = { principal: "test", reason: "edges" };
const POLICY = { backoffMs: 10, backoffMaxMs: 100, suspendAfter: 50, probeEveryMs: 500, probeTimeoutMs: 300 };
const ROWS = times(15_000, 30_000);
/** The short form runs on the newest brokers. */
const kinds = kafkaKinds().slice(isFull ? 0 : -1);
const LIMIT_MS = 90_000;

/** A diamond, a node with state in the middle, two sinks: every kind of edge. */
const graph = (via: string): string => `name: edges
nodes:
  in:      { kind: source, from: "file:./in.ndjson", time: at, batch: 100 }
  even:    { kind: filter, input: in, where: "event.n % 2 == 0" }
  third:   { kind: filter, input: in, where: "event.n % 3 == 0" }
  both:    { kind: merge, inputs: [even, third] }
  minutes: { kind: window, input: both, tumbling: 10s, by: { k: "event.k" }, compute: { n: count(), sum: sum(event.n) } }
  big:     { kind: filter, input: minutes, where: "event.n > 0" }
  sums:    { kind: sink, input: big, to: "file:sums.ndjson" }
  evens:   { kind: sink, input: even, to: "file:evens.ndjson" }
defaults: { edge: { via: ${via}, capacity: 2000 } }
`;

describe.skipIf(kinds.length === 0)("a graph with edges over Kafka", () => {
  for (const kind of kinds) {
    describe(kind.version, () => {
      let directory: string;
      let server: KafkaServer;
      let topics: KafkaTopics;
      let count = 0;
      let closing: (() => Promise<unknown>)[];

      beforeAll(async () => {
        server = await KafkaServer.start(kind);
        topics = await KafkaTopics.connect(server.address);
      }, LIMIT_MS);
      afterAll(async () => {
        topics?.close();
        await server?.stop();
      });
      beforeEach(async () => {
        closing = [];
        count++;
        directory = mkdtempSync(join(tmpdir(), "millrace-edges-"));
        const rows = Array.from({ length: ROWS }, (_, n) => ({ n, k: n % 5, at: new Date(n * 20).toISOString() }));
        writeFileSync(join(directory, "in.ndjson"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
      });
      afterEach(async () => {
        for (const close of closing.reverse()) await close();
        rmSync(directory, { recursive: true, force: true });
      });

      const deploy = async (via: "local" | "kafka", out: string, transport?: Transport): Promise<Host> => {
        const log: EventLog = memoryEventLog({ env });
        const host = new Host({
          log,
          env,
          host: "test",
          snapshots: new SnapshotStore(memoryOrderedStore(), log.id, () => log.durableEnd),
          untilDone: true,
          report: (thrown) => {
            throw thrown;
          },
          deadLetters: async (ids) => ids.map(() => undefined),
          carriers: (program) =>
            transport === undefined
              ? undefined
              : edgeCarriers(program, "kafka", { transport, env, scope: `test${count}` }),
        });
        closing.push(() => host.close("the test is over"));
        const text = graph(via);
        const parsed = parseGraph(text);
        if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
        const options = { dir: directory, out: join(directory, out), env, tables: new ProjectionTables() };
        await host.add(await compileGraph(parsed.graph, text, options), BY);
        return host;
      };
      const open = (address: string): Transport => {
        const transport = kafkaTransport({ env, servers: { endpoints: [address], policy: POLICY } });
        closing.push(() => transport.close());
        return transport;
      };
      const done = (host: Host): Promise<void> => host.running("edges").runtime.whenFinished;
      const results = async (out: string): Promise<Results> => resultsIn(join(directory, out));
      const expected = async (): Promise<Results> => {
        await done(await deploy("local", "local"));
        return results("local");
      };
      const status = (host: Host): GraphStatus => host.status("edges") as GraphStatus;

      test(
        "gives the same as without, and shows the edges' subjects",
        async () => {
          const host = await deploy("kafka", "kafka", open(server.address));
          await done(host);
          expect(await results("kafka")).toEqual(await expected());
          const edges = status(host).edges;
          expect(edges.map(({ via }) => via)).toEqual(edges.map(() => "kafka"));
          expect(edges[0]?.subject).toBe(`millrace.test${count}.edges.in.out.even.r1`);
          expect(edges[0]?.connection).toMatchObject({ state: "up", endpoint: server.address, reason: "" });
          // It was sent over the broker, and all but what was on its way at the end was taken.
          const names = (await topics.admin.listTopics()).filter((name) => name.startsWith(`millrace.test${count}.`));
          expect(names.length).toBeGreaterThanOrEqual(edges.length);
          let frames = 0;
          for (const name of names) {
            const [{ low, high } = { low: "0", high: "0" }] = await topics.admin.fetchTopicOffsets(name);
            expect(Number(high) - Number(low)).toBeLessThan(10);
            frames += Number(high);
          }
          expect(frames).toBeGreaterThan(ROWS / 100);
          console.log(`Kafka ${server.version}: ${ROWS} rows over ${edges.length} edges, ${frames} frames`);
        },
        LIMIT_MS,
      );

      test(
        "gives the same though the broker is killed, the wire is cut and the topics are deleted under load",
        async () => {
          const { wire } = server;
          const host = await deploy("kafka", "kafka", open(wire.address));
          const finished = done(host);
          let faults = 0;
          const passed = async (share: number): Promise<void> => {
            const read = (): number => status(host).messagesIn;
            await vi.waitFor(() => expect(read()).toBeGreaterThanOrEqual(ROWS * share), {
              timeout: 60_000,
              interval: 5,
            });
            faults++;
          };
          await passed(0.1);
          await server.kill();
          await server.start();
          await passed(0.3);
          wire.cut();
          await new Promise((resolve) => setTimeout(resolve, 1500));
          wire.mend();
          await passed(0.5);
          const names = (await topics.admin.listTopics()).filter((name) => name.startsWith(`millrace.test${count}.`));
          await topics.admin.deleteTopics({ topics: names });
          if (isFull) {
            await passed(0.7);
            await server.kill();
            await server.start();
          }
          await finished;
          const [got, wanted] = [await results("kafka"), await expected()];
          console.log(
            `Kafka ${server.version}: ${ROWS} rows, ${faults} faults (kill -9, cut, topics deleted${isFull ? ", kill -9" : ""}): ${differences(got, wanted)}`,
          );
          expect(got).toEqual(wanted);
        },
        LIMIT_MS,
      );

      test(
        "gives the same though frames are lost, come twice and overtake each other",
        async () => {
          const chaos = new ChaosTransport(open(server.address), new SeededRandom(kind.version));
          const host = await deploy("kafka", "kafka", chaos);
          await done(host);
          const [got, wanted] = [await results("kafka"), await expected()];
          const { lost, repeated, overtaken, delivered } = chaos;
          console.log(
            `Kafka ${server.version}: ${delivered} frames, ${lost} lost, ${repeated} twice, ${overtaken} overtaken: ${differences(got, wanted)}`,
          );
          expect(Math.min(lost, repeated, overtaken)).toBeGreaterThan(5);
          expect(got).toEqual(wanted);
        },
        LIMIT_MS,
      );
    });
  }
});

interface Results {
  readonly sums: readonly string[];
  readonly evens: readonly string[];
}

async function resultsIn(out: string): Promise<Results> {
  const lines = (name: string): string[] => readFileSync(join(out, name), "utf8").split("\n").filter(Boolean);
  // Windows close in the order of their ends; which key is first depends on the order of arrival.
  return { sums: lines("sums.ndjson").sort(), evens: lines("evens.ndjson") };
}

function differences(got: Results, wanted: Results): string {
  const count = (a: readonly string[], b: readonly string[]): number => {
    const known = new Map<string, number>();
    for (const line of b) known.set(line, (known.get(line) ?? 0) + 1);
    return a.filter((line) => {
      const left = known.get(line) ?? 0;
      known.set(line, left - 1);
      return left <= 0;
    }).length;
  };
  const all = (of: Results): readonly string[] => [...of.sums, ...of.evens];
  return `${count(all(wanted), all(got))} lost, ${count(all(got), all(wanted))} twice or wrong`;
}

/** Mistreats what comes over a real transport. */
class ChaosTransport implements Transport {
  readonly bodyBytesMax: number;
  readonly #inner: Transport;
  readonly #random: SeededRandom;
  delivered = 0;
  lost = 0;
  repeated = 0;
  overtaken = 0;

  constructor(inner: Transport, random: SeededRandom) {
    this.#inner = inner;
    this.#random = random;
    this.bodyBytesMax = inner.bodyBytesMax;
  }

  publish(subject: string, message: { headers: Readonly<Record<string, string>>; body: Uint8Array }): Promise<void> {
    return this.#inner.publish(subject, message);
  }

  subscribe(
    subject: string,
    receive: (delivery: Delivery) => void,
    options: { readonly credit?: number } = {},
  ): ReturnType<Transport["subscribe"]> {
    let held: Delivery | undefined;
    const subscribing = this.#inner.subscribe(
      subject,
      (delivery) => {
        this.delivered++;
        if (this.#random.chance(0.01)) {
          this.lost++;
          delivery.ack();
          void subscribing.then((subscription) => subscription.grant(1));
        } else if (held === undefined && this.#random.chance(0.02)) {
          this.overtaken++;
          held = delivery;
        } else {
          receive(delivery);
          if (this.#random.chance(0.02)) {
            this.repeated++;
            receive({ ...delivery, ack: () => undefined });
          }
          const late = held;
          held = undefined;
          if (late !== undefined) receive(late);
        }
      },
      options,
    );
    return subscribing;
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
