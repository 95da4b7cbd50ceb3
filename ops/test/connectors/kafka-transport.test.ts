/** The transport over topics against real brokers. */
import { systemEnv, type Transport } from "@millrace/engine";
import { transportContract } from "@millrace/engine/testing";
import { kafkaTransport } from "@millrace/streams/kafka";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { KafkaServer, kafkaKinds } from "../../services/kafka-server.ts";
import { isFull } from "../faults/form.ts";
import { KafkaTopics } from "./kafka-topics.ts";

const env = systemEnv();
/** The short form runs on the oldest brokers; that of the connectors on the newest. */
const kinds = kafkaKinds().slice(0, isFull ? undefined : 1);
const CAPACITY = 16;
const POLICY = { backoffMs: 5, backoffMaxMs: 20, suspendMs: 20 };

describe.skipIf(kinds.length === 0)("edges over Kafka", () => {
  for (const kind of kinds) {
    describe(kind.version, () => {
      let server: KafkaServer;
      let topics: KafkaTopics;
      let count = 0;
      beforeAll(async () => {
        server = await KafkaServer.start(kind);
        topics = await KafkaTopics.connect(server.address);
      }, 60_000);
      afterAll(async () => {
        topics?.close();
        await server?.stop();
      });

      const open = (prefix: string, address = server.address): Transport =>
        kafkaTransport({ env, servers: { endpoints: [address], policy: POLICY }, prefix, capacity: CAPACITY });
      /** Takes what comes, and lets a test wait for a number of it. */
      const taking = async (transport: Transport, credit: number) => {
        const got: string[] = [];
        const subscription = await transport.subscribe(
          "s",
          (delivery) => {
            delivery.ack();
            got.push(Buffer.from(delivery.body).toString());
          },
          { credit },
        );
        const has = (n: number): Promise<void> => vi.waitFor(() => expect(got.length).toBeGreaterThanOrEqual(n), WAIT);
        return { got, has, subscription };
      };
      const send = (transport: Transport, ...texts: readonly string[]): Promise<unknown> =>
        Promise.all(texts.map((text) => transport.publish("s", { headers: {}, body: Buffer.from(text) })));

      /** The first offset that a topic has. */
      const first = async (topic: string): Promise<number> =>
        Number((await topics.admin.fetchTopicOffsets(topic))[0]?.low);

      transportContract("the Kafka transport", async () => {
        const prefix = `T${++count}`;
        const publisher = open(prefix, server.wire.address);
        const subscriber = open(prefix, server.wire.address);
        return {
          publisher,
          subscriber,
          capacity: CAPACITY,
          async disconnect() {
            server.wire.cut();
            server.wire.mend();
          },
          async destroy() {
            await subscriber.close();
            await publisher.close();
          },
        };
      });

      it("takes over what another process left, also when the brokers are away at first", async () => {
        const prefix = `T${++count}`;
        const before = open(prefix);
        await send(before, "1", "2", "3");
        await new Promise<void>((resolve) => void before.subscribe("s", () => resolve(), { credit: 1 }));
        await before.close();
        server.wire.cut();
        const after = open(prefix, server.wire.address);
        const { got, has } = await taking(after, 3);
        await vi.waitFor(() => expect(after.connection?.().failures).toBeGreaterThan(1), WAIT);
        server.wire.mend();
        await has(3);
        expect(got).toEqual(["1", "2", "3"]);
        await after.close();
      });

      it("goes on over a topic that was deleted and is made anew, whose offsets begin again", async () => {
        const prefix = `T${++count}`;
        const topic = `${prefix}.s`;
        const transport = open(prefix);
        const { got, has } = await taking(transport, 20);
        await send(transport, "0", "1", "2");
        await has(3);
        // A removal that came later would be one of the new topic's: whoever sent those messages sends them again, but not here.
        await vi.waitFor(async () => expect(await first(topic)).toBe(3), WAIT);
        await topics.admin.deleteTopics({ topics: [topic] });
        // What a broker takes for a topic that goes, goes with it. The subscription makes the new one.
        await vi.waitFor(async () => expect(await topics.end(topic)).toBe(0), WAIT);
        await send(transport, "3", "4", "5");
        await has(6);
        expect(got).toEqual(["0", "1", "2", "3", "4", "5"]);
        await transport.close();
      });

      it("removes what was taken from the topic, and nothing else", async () => {
        const prefix = `T${++count}`;
        const transport = open(prefix);
        await send(transport, "0", "1", "2", "3");
        const { has, subscription } = await taking(transport, 2);
        await has(2);
        await vi.waitFor(async () => expect(await first(`${prefix}.s`)).toBe(2), WAIT);
        subscription.grant(2);
        await vi.waitFor(async () => expect(await first(`${prefix}.s`)).toBe(4), WAIT);
        await transport.close();
      });

      it("gives every subject a topic of its own, whatever it is called", () => {
        const transport = open("p");
        const long = "x".repeat(300);
        const subjects = ["a.b", "a_b", "a-b", "a/b", "a b", "ä", "a.b.", "-2d", long, `${long}y`];
        const names = subjects.map((subject) => transport.addressOf?.(subject) ?? "");
        expect(names.every((name) => /^[A-Za-z0-9.-]{1,249}$/.test(name))).toBe(true);
        expect(new Set(names.map((name) => name.replaceAll(".", "_"))).size).toBe(subjects.length);
        expect(names[0]).toBe("p.a.b");
      });
    });
  }
});

const WAIT = { timeout: 15_000, interval: 10 };
