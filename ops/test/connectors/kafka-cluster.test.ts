/**
 * A graph between two topics of three real brokers, with an edge over them, while the leaders of what it reads, writes and sends are
 * killed, moved, and out of reach one at a time. What was lost and what came twice is counted at the brokers.
 */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { KafkaCluster } from "../../services/kafka-cluster.ts";
import { kafkaKinds } from "../../services/kafka-server.ts";
import { isFull } from "../faults/form.ts";
import { KafkaCopy } from "./kafka-copy.ts";
import { tellOutcome, UNHARMED } from "./kafka-outcome.ts";
import { KafkaTopics } from "./kafka-topics.ts";
import { QUICK, WAIT } from "./running-graph.ts";

/** Three brokers are slow to start: there is only a full form. */
const kinds = isFull ? kafkaKinds() : [];
const LIMIT_MS = 600_000;
const ROUNDS = 5;
const PARTITIONS = 3;
const ROWS = 600;

describe.skipIf(kinds.length === 0)("a graph over three brokers of Kafka", () => {
  for (const kind of kinds) {
    describe(kind.version, () => {
      let cluster: KafkaCluster;
      let topics: KafkaTopics;
      let copy: KafkaCopy;

      beforeAll(async () => {
        cluster = await KafkaCluster.start(kind);
        topics = await KafkaTopics.connect(...cluster.addresses);
        copy = await KafkaCopy.start(topics, {
          endpoints: cluster.wired,
          policy: { ...QUICK, backoffMs: 200 },
          partitions: PARTITIONS,
        });
        await copy.send(ROWS);
        await copy.hasAll();
      }, LIMIT_MS);
      afterAll(async () => {
        await copy?.stop();
        topics?.close();
        await cluster?.stop();
      });

      const leader = async (topic: string, partition = 0): Promise<number> => {
        const { topics: found } = await topics.admin.fetchTopicMetadata({ topics: [topic] });
        return found[0]?.partitions.find(({ partitionId }) => partitionId === partition)?.leader ?? -1;
      };
      /** That the graph sends over. */
      const edgeTopic = async (): Promise<string> =>
        (await topics.admin.listTopics()).find((name) => name.startsWith(`millrace.test.${copy.name}.`)) ?? "";
      /** Load while `harm` is done, and what came of it. */
      const underLoad = async (what: string, harm: () => Promise<unknown>): Promise<void> => {
        const loading = copy.send(ROWS * ROUNDS);
        await harm();
        await loading;
        // A sink that has nothing to deliver does not connect again.
        await copy.send(ROWS);
        await copy.hasAll();
        const outcome = await copy.outcome();
        tellOutcome(kind.version, what, outcome);
        expect(outcome).toMatchObject(UNHARMED);
        await vi.waitFor(() => {
          for (const { state, reason } of Object.values(copy.connections()))
            expect({ state, reason }).toEqual({ state: "up", reason: "" });
        }, WAIT);
      };

      test(
        "loses nothing while the leaders of what it reads, writes and sends move to other brokers",
        async () => {
          const assign = (topic: string, replicas: number[]): Promise<void> => {
            const partitionAssignment = [{ partition: 0, replicas }];
            return topics.admin.alterPartitionReassignments({ topics: [{ topic, partitionAssignment }] });
          };
          const move = async (topic: string): Promise<void> => {
            const from = await leader(topic);
            const others = [1, 2, 3].filter((id) => id !== from);
            await assign(topic, others);
            await vi.waitFor(async () => expect(others).toContain(await leader(topic)), WAIT);
            // Three again, so that one of them may be killed.
            await vi.waitFor(() => assign(topic, [...others, from]), WAIT);
          };
          await underLoad(`leaders moved ${ROUNDS} times`, async () => {
            for (let round = 0; round < ROUNDS; round++)
              for (const topic of [copy.copied.input, copy.copied.output, await edgeTopic()]) await move(topic);
          });
        },
        LIMIT_MS,
      );

      test(
        "goes on when it reaches one broker no longer, though the others answer",
        async () => {
          const { input } = copy.copied;
          // Not the broker that was connected to first: it is asked for answers anyway.
          const far = (await Promise.all([0, 1, 2].map((partition) => leader(input, partition)))).find(
            (id) => id !== 1,
          );
          await underLoad("half-open to one of three brokers", async () => {
            cluster.broker(far as number).wire.hold();
            // Of all connections of a source the least healthy one is shown.
            const shown = (): string => copy.connections().in?.reason ?? "";
            await vi.waitFor(() => expect(shown()).toContain("no answer to a probe in"), WAIT);
          });
        },
        LIMIT_MS,
      );

      test(
        "loses nothing while leaders are killed under load",
        async () => {
          await underLoad(`${ROUNDS * 3} leaders killed`, async () => {
            for (let round = 0; round < ROUNDS; round++)
              for (const topic of [copy.copied.input, copy.copied.output, await edgeTopic()]) {
                const dead = cluster.broker(await leader(topic));
                await dead.kill();
                await vi.waitFor(async () => expect(await leader(topic)).not.toBe(-1), WAIT);
                await copy.hasAll();
                await dead.start();
              }
          });
        },
        LIMIT_MS,
      );
    });
  }
});
