/**
 * Persistent subscriptions of a host whose log is pruned: what they have yet to read holds the prune; what they are and have parked is
 * carried, so that their subscribers find everything as it was, also when the index is made again and numbers lists anew.
 */
import { rmSync } from "node:fs";
import {
  EventStoreDBClient,
  jsonEvent,
  type PersistentSubscriptionToStreamResolvedEvent,
  persistentSubscriptionToStreamSettingsFromDefaults,
  START,
} from "@eventstore/db-client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RunningHost } from "./running-host.ts";

const TEST_MS = 120_000;
const COUNT = 400;
const REMARK = "a remark that takes room in the log ".repeat(14);
/** A stream of the log, and the list of its category, which is numbered by the index. */
const STREAMS = ["orders-1", "$ce-orders"];
const GROUP = "billing";

let host: RunningHost;
let client: EventStoreDBClient;

const connect = (): void => {
  client = EventStoreDBClient.connectionString(host.eventStore);
};
beforeAll(async () => {
  host = await RunningHost.make(0, { eventStore: true });
  connect();
}, TEST_MS);
afterAll(async () => {
  await client.dispose();
  await host.remove();
});

async function order(from: number, count: number): Promise<void> {
  const events = Array.from({ length: count }, (_, i) => {
    return jsonEvent({ type: "Ordered", data: { n: from + i, remark: REMARK } });
  });
  for (let at = 0; at < count; at += 50) await client.appendToStream("orders-1", events.slice(at, at + 50));
}

type Received = PersistentSubscriptionToStreamResolvedEvent;
const numberOf = ({ event }: Received): number => (event ? (event.data as { readonly n: number }).n : Number.NaN);

/**
 * Takes all that there is, which is `count`, and leaves once it is settled; those that `parks` names are parked, and `parkedThen` are in
 * the end: what is being parked is not in flight any more, and not settled either.
 */
async function take(
  stream: string,
  count: number,
  parks: (n: number) => boolean = () => false,
  parkedThen?: number,
): Promise<number[]> {
  const subscription = client.subscribeToPersistentSubscriptionToStream(stream, GROUP, { bufferSize: 20 });
  const taken: number[] = [];
  let failure: unknown;
  subscription.on("error", (thrown) => {
    failure = thrown;
  });
  subscription.on("data", (one: Received) => {
    taken.push(numberOf(one));
    void (parks(numberOf(one)) ? subscription.nack("park", "not yet", one) : subscription.ack(one));
  });
  const settled = async (): Promise<object> => {
    const { totalInFlightMessages: inFlight, parkedMessageCount } = await stats(stream);
    return { failure, taken: taken.length, inFlight, parked: Number(parkedMessageCount) };
  };
  const parked = parkedThen ?? expect.any(Number);
  await expect.poll(settled).toEqual({ failure: undefined, taken: count, inFlight: 0, parked });
  await subscription.unsubscribe();
  return taken.sort((a, b) => a - b);
}

async function stats(stream: string): Promise<Record<string, unknown>> {
  return (await client.getPersistentSubscriptionToStreamInfo(stream, GROUP)).stats as never;
}

async function parked(): Promise<readonly number[]> {
  return Promise.all(STREAMS.map(async (stream) => Number((await stats(stream)).parkedMessageCount)));
}

const range = (from: number, end: number): number[] => Array.from({ length: end - from }, (_, i) => from + i);
const read = async (revision: number): Promise<unknown> => {
  for await (const { event } of client.readStream("orders-1", { fromRevision: BigInt(revision), maxCount: 1 }))
    return event?.revision;
  return undefined;
};

interface Pruned {
  readonly base: number;
  readonly heldBy: readonly { readonly code: string; readonly place: { readonly stream: string } }[];
}

async function prune(): Promise<Pruned> {
  await host.told("log", "archive", "--older-than", "0", "--no-parquet");
  return (await host.told("log", "prune", "--older-than", "0")) as Pruned;
}

async function restart(): Promise<void> {
  await client.dispose();
  await host.kill();
  rmSync(host.path("index"), { recursive: true });
  await host.start();
  connect();
}

describe("persistent subscriptions of a log that is pruned", { timeout: TEST_MS }, () => {
  it("hold what they have yet to read, and nothing before it", async () => {
    for (const stream of STREAMS) {
      const settings = persistentSubscriptionToStreamSettingsFromDefaults({
        startFrom: START,
        resolveLinkTos: true,
      });
      await client.createPersistentSubscriptionToStream(stream, GROUP, settings);
    }
    await order(0, COUNT / 2);
    await take("$ce-orders", COUNT / 2, (n) => n === 1, 1);
    await order(COUNT / 2, COUNT / 2);
    await take("orders-1", COUNT, (n) => n < 3, 3);
    expect(await parked()).toEqual([3, 1]);
    const { base, heldBy } = await prune();
    expect(heldBy).toMatchObject([{ code: "HELD-GROUP", place: { stream: "$ce-orders" } }]);
    expect(base).toBeGreaterThan(0);
    await expect(read(0)).rejects.toThrow("was pruned");
    expect(await read(COUNT / 2)).toBe(BigInt(COUNT / 2));
  });

  it("go on where they were, with what they have parked, on an index that numbers lists anew", async () => {
    await restart();
    expect(await parked()).toEqual([3, 1]);
    expect(await take("$ce-orders", COUNT / 2)).toEqual(range(COUNT / 2, COUNT));
    await client.replayParkedMessagesToStream("orders-1", GROUP);
    // One is not ready yet.
    expect(await take("orders-1", 3, (n) => n === 2, 1)).toEqual([0, 1, 2]);
    expect(await parked()).toEqual([1, 1]);
  });

  it("go on after a second prune and without their checkpoints' events, as if nothing had gone", async () => {
    await order(COUNT, COUNT);
    for (const stream of STREAMS) expect(await take(stream, COUNT)).toEqual(range(COUNT, 2 * COUNT));
    expect((await prune()).heldBy).toEqual([]);
    await restart();
    await expect(read(COUNT)).rejects.toThrow("was pruned");
    expect(await parked()).toEqual([1, 1]);
    for (const stream of STREAMS) await client.replayParkedMessagesToStream(stream, GROUP);
    expect(await take("orders-1", 1)).toEqual([2]);
    expect(await take("$ce-orders", 1)).toEqual([1]);
    await expect.poll(parked).toEqual([0, 0]);
    await order(2 * COUNT, 5);
    for (const stream of STREAMS) expect(await take(stream, 5)).toEqual(range(2 * COUNT, 2 * COUNT + 5));
  });
});
