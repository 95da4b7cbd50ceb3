import { type VirtualEnv, virtualEnv } from "@millrace/engine/testing";
import { expect, test } from "vitest";
import { Connection } from "../resilience/connection.ts";
import type { Fetch, Fetched, KafkaClient } from "./driver.ts";
import { EdgeSubscription } from "./edge-subscription.ts";

/** A topic of two records that can be read, whatever becomes of what is removed from it. */
class ReadableTopic {
  readonly removals: number[] = [];
  /** Of removals that follow. */
  failures = 0;

  async describe() {
    return { id: "id", partitions: 1 };
  }

  async range() {
    return { first: 0, end: 2 };
  }

  fetch({ offset }: Fetch): Promise<Fetched> {
    if (offset > 0) return new Promise(() => undefined);
    return Promise.resolve({ records: [record(0), record(1)], markers: [], next: 2 });
  }

  async removeBefore(_topic: string, offset: number): Promise<void> {
    this.removals.push(offset);
    if (this.failures-- > 0) throw new Error("this broker does not lead the partition any more");
  }

  leave(): void {}
}

const record = (offset: number) => ({
  offset,
  timestampMs: 0,
  key: null,
  value: new Uint8Array(),
  headers: {},
  producer: "-1",
  isTransactional: false,
});

function subscribed(topic: ReadableTopic, env: VirtualEnv, capacity: number): EdgeSubscription {
  const driver = {
    connect: async () => topic as unknown as KafkaClient,
    probe: async () => undefined,
    ended: () => new Promise(() => undefined),
    disconnect: async () => undefined,
  };
  return new EdgeSubscription({
    env,
    connection: new Connection({ name: "kafka://a", endpoints: ["a"], driver, env }),
    subject: "s",
    topic: "t",
    lane: "edge/0",
    capacity,
    memory: { topicId: "", begin: 0, taken: new Set(), attempts: new Map() },
    receive: (delivery) => delivery.ack(),
    credit: 10,
  });
}

test("what was taken is removed together after a while", async () => {
  const env = virtualEnv("removal");
  const topic = new ReadableTopic();
  const subscription = subscribed(topic, env, 256);
  await env.advance(900);
  expect(topic.removals).toEqual([]);
  await env.advance(200);
  expect(topic.removals).toEqual([2]);
  void subscription;
});

test("what was taken is removed at once when it is half of what the topic may hold", async () => {
  const env = virtualEnv("removal");
  const topic = new ReadableTopic();
  const subscription = subscribed(topic, env, 4);
  await env.advance(10);
  expect(topic.removals).toEqual([2]);
  void subscription;
});

test("what was taken is removed before a subscription ends", async () => {
  const env = virtualEnv("removal");
  const topic = new ReadableTopic();
  const subscription = subscribed(topic, env, 256);
  await env.advance(10);
  void subscription.settle();
  await env.advance(10);
  expect(topic.removals).toEqual([2]);
});

test("what could not be removed is removed later, also when reading goes on and nothing else is taken", async () => {
  const env = virtualEnv("removal");
  const topic = new ReadableTopic();
  topic.failures = 2;
  const subscription = subscribed(topic, env, 2);
  await env.advance(1000);
  expect(topic.removals.slice(-1)).toEqual([2]);
  expect(topic.removals.length).toBeGreaterThan(2);
  const { length } = topic.removals;
  await env.advance(1000);
  expect(topic.removals.length).toBe(length);
  void subscription;
});
