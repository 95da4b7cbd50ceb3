/**
 * A graph whose edges lead over a real Kafka gives what it gives with all edges in the process, whatever happens to the
 * broker, the wire and the messages on it.
 */
import { systemEnv, type Transport } from "@millrace/engine";
import { SeededRandom } from "@millrace/engine/testing";
import { kafkaTransport } from "@millrace/streams/kafka";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { KafkaServer, kafkaKinds } from "../../services/kafka-server.ts";
import { isFull, times } from "../faults/form.ts";
import { ChaosTransport } from "./chaos-transport.ts";
import { differences, done, EDGE_POLICY, EdgeGraph, statusOf } from "./edge-graph.ts";
import { KafkaTopics } from "./kafka-topics.ts";

const env = systemEnv();
const ROWS = times(15_000, 30_000);
/** The short form runs on the newest brokers. */
const kinds = kafkaKinds().slice(isFull ? 0 : -1);
const LIMIT_MS = 90_000;
const SEEN = { timeout: 60_000, interval: 5 };

describe.skipIf(kinds.length === 0)("a graph with edges over Kafka", () => {
  for (const kind of kinds) {
    describe(kind.version, () => {
      let graph: EdgeGraph;
      let server: KafkaServer;
      let topics: KafkaTopics;
      let count = 0;

      beforeAll(async () => {
        server = await KafkaServer.start(kind, { restarts: true });
        topics = await KafkaTopics.connect(server.address);
      }, LIMIT_MS);
      afterAll(async () => {
        topics?.close();
        await server?.stop();
      });
      beforeEach(async () => {
        count++;
        graph = new EdgeGraph("kafka", `test${count}`, ROWS);
      });
      afterEach(async () => {
        await graph.close();
      });

      const open = (address: string): Transport => {
        const transport = kafkaTransport({ env, servers: { endpoints: [address], policy: EDGE_POLICY } });
        graph.onClose(() => transport.close());
        return transport;
      };

      test(
        "gives the same as without, and shows the edges' subjects",
        async () => {
          const host = await graph.deploy(open(server.address));
          const finished = done(host);
          const up = { state: "up", endpoint: server.address, reason: "" };
          // While it runs: a busy process may take its own pause for a silence of the broker's at any time, at the end, too.
          await vi.waitFor(() => expect(statusOf(host).edges[0]?.connection).toMatchObject(up), SEEN);
          await finished;
          expect(graph.results()).toEqual(await graph.expected());
          const edges = statusOf(host).edges;
          expect(edges.map(({ via }) => via)).toEqual(edges.map(() => "kafka"));
          expect(edges[0]?.subject).toBe(`millrace.test${count}.edges.in.out.even.r1`);
          // It was sent over the broker, and what was taken is removed, once a second.
          const names = (await topics.admin.listTopics()).filter((name) => name.startsWith(`millrace.test${count}.`));
          expect(names.length).toBeGreaterThanOrEqual(edges.length);
          let frames = 0;
          for (const name of names) {
            frames += await vi.waitFor(
              async () => {
                const [{ low, high } = { low: "0", high: "0" }] = await topics.admin.fetchTopicOffsets(name);
                expect(Number(high) - Number(low)).toBeLessThan(10);
                return Number(high);
              },
              { timeout: 15_000 },
            );
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
          const host = await graph.deploy(open(wire.address));
          const finished = done(host);
          let faults = 0;
          const passed = async (share: number): Promise<void> => {
            const read = (): number => statusOf(host).messagesIn;
            await vi.waitFor(() => expect(read()).toBeGreaterThanOrEqual(ROWS * share), SEEN);
            faults++;
          };
          await passed(0.1);
          await server.kill();
          if (isFull) server.remember();
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
            server.forget();
            await server.start();
          }
          await finished;
          const [got, wanted] = [graph.results(), await graph.expected()];
          console.log(
            `Kafka ${server.version}: ${ROWS} rows, ${faults} faults (kill -9, cut, topics deleted${isFull ? ", power cut" : ""}): ${differences(got, wanted)}`,
          );
          expect(got).toEqual(wanted);
        },
        LIMIT_MS,
      );

      test(
        "gives the same though frames are lost, come twice and overtake each other",
        async () => {
          const chaos = new ChaosTransport(open(server.address), new SeededRandom(kind.version));
          const host = await graph.deploy(chaos);
          await done(host);
          const [got, wanted] = [graph.results(), await graph.expected()];
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
