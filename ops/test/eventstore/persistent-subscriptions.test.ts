/** What persistent subscriptions promise when subscribers are slow, leave, or the server goes down. */
import { randomUUID } from "node:crypto";
import { connect as connectHttp2 } from "node:http2";
import {
  binaryEvent,
  END,
  EventStoreDBClient,
  jsonEvent,
  type PersistentSubscriptionToStream,
  type PersistentSubscriptionToStreamSettings,
  persistentSubscriptionToStreamSettingsFromDefaults,
  type PersistentSubscriptionToStreamResolvedEvent as Received,
  START,
} from "@eventstore/db-client";
import { CreateReq } from "@eventstore/db-client/generated/persistent_pb.js";
import { Empty, StreamIdentifier } from "@eventstore/db-client/generated/shared_pb.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ask, frame } from "./raw-call.ts";
import { type ServedLog, serveLog } from "./served-log.ts";

type Client = InstanceType<typeof EventStoreDBClient>;

let served: ServedLog;
let client: Client;
const connect = (): Client => EventStoreDBClient.connectionString(`esdb://${served.address}?tls=false`);
beforeEach(async () => {
  served = await serveLog("embedded");
  client = connect();
});
afterEach(async () => {
  await client.dispose();
  await served.close();
});

const numbers = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => jsonEvent({ type: "Counted", data: { n: from + i } }));
const numberOf = ({ event }: Received): number => (event ? (event.data as { readonly n: number }).n : Number.NaN);

const settingsOf = (changes: Partial<PersistentSubscriptionToStreamSettings>) =>
  persistentSubscriptionToStreamSettingsFromDefaults({ startFrom: START, ...changes });

const create = (changes: Partial<PersistentSubscriptionToStreamSettings> = {}): Promise<void> =>
  client.createPersistentSubscriptionToStream("s", "g", settingsOf(changes));

/** Which this client does not know by name, others do. */
async function createPinnedByCorrelation(): Promise<void> {
  const settings = new CreateReq.Settings();
  settings.setConsumerStrategy("PinnedByCorrelation");
  settings.setMessageTimeoutMs(60_000);
  const from = new CreateReq.StreamOptions();
  const name = new StreamIdentifier();
  name.setStreamName(Buffer.from("s"));
  from.setStreamIdentifier(name);
  from.setStart(new Empty());
  const options = new CreateReq.Options();
  options.setStream(from);
  options.setGroupName("g");
  options.setSettings(settings);
  const request = new CreateReq();
  request.setOptions(options);
  const session = connectHttp2(`http://${served.address}`);
  const path = "/event_store.client.persistent_subscriptions.PersistentSubscriptions/Create";
  expect(await ask(session, path, frame(request.serializeBinary()))).toMatchObject({ status: 0 });
  session.destroy();
}

interface Subscriber {
  readonly received: Received[];
  readonly subscription: PersistentSubscriptionToStream;
  failure?: { readonly type: string };
}

/** Collects what comes; `answer` says what becomes of it. */
function subscribe(answer: (one: Received, of: PersistentSubscriptionToStream) => unknown = () => {}, bufferSize = 10) {
  const subscription = client.subscribeToPersistentSubscriptionToStream("s", "g", { bufferSize });
  const subscriber: Subscriber = { received: [], subscription };
  subscription.on("data", (one: Received) => {
    subscriber.received.push(one);
    void answer(one, subscription);
  });
  subscription.on("error", (failure) => {
    subscriber.failure = failure as unknown as { readonly type: string };
  });
  return subscriber;
}

const ack = (one: Received, of: PersistentSubscriptionToStream): Promise<void> => of.ack(one);
const seen = ({ received }: Subscriber): number[] => received.map(numberOf);
const parked = async (): Promise<number> => {
  const { stats } = await client.getPersistentSubscriptionToStreamInfo("s", "g");
  return Number(stats.parkedMessageCount);
};

describe("a persistent subscription", () => {
  it("gives no more than a subscriber takes before it answers", async () => {
    await create();
    await client.appendToStream("s", numbers(0, 30));
    const lazy = subscribe(undefined, 4);
    const busy = subscribe(ack);
    await expect.poll(() => lazy.received.length + busy.received.length).toBe(30);
    expect(lazy.received.length).toBeLessThanOrEqual(4);
    expect([...seen(lazy), ...seen(busy)].sort((a, b) => a - b)).toEqual(numbers(0, 30).map(({ data }) => data.n));
  });

  it("begins at the end when that is asked for", async () => {
    await client.appendToStream("s", numbers(0, 3));
    await create({ startFrom: END });
    const subscriber = subscribe(ack);
    await client.appendToStream("s", numbers(3, 2));
    await expect.poll(() => seen(subscriber)).toEqual([3, 4]);
  });

  it("gives what a subscriber leaves behind to another", async () => {
    await create();
    await client.appendToStream("s", numbers(0, 5));
    const leaving = subscribe();
    await expect.poll(() => leaving.received.length).toBe(5);
    await leaving.subscription.unsubscribe();
    const staying = subscribe(ack);
    await expect.poll(() => seen(staying)).toEqual([0, 1, 2, 3, 4]);
    expect(staying.received.every(({ retryCount }) => retryCount === 0)).toBe(true);
  });

  it("tries an event again that nobody answers for, then parks it", async () => {
    await create({ messageTimeout: 80, maxRetryCount: 1 });
    await client.appendToStream("s", numbers(0, 1));
    const silent = subscribe();
    await expect.poll(parked).toBe(1);
    expect(silent.received.map(({ retryCount }) => retryCount)).toEqual([0, 1]);
    await silent.subscription.unsubscribe();
    // Whoever answers has the time to.
    await client.updatePersistentSubscriptionToStream("s", "g", settingsOf({ maxRetryCount: 1 }));
    const able = subscribe(ack);
    await client.replayParkedMessagesToStream("s", "g");
    await expect.poll(() => seen(able)).toEqual([0]);
    await expect.poll(parked).toBe(0);
  });

  it("goes on after a restart with what was not settled", async () => {
    await create({ checkPointLowerBound: 1 });
    await client.appendToStream("s", numbers(0, 10));
    const before = subscribe((one, of) => (numberOf(one) === 6 || numberOf(one) > 7 ? undefined : of.ack(one)));
    await expect.poll(() => before.received.length).toBe(10);
    const inFlight = async (): Promise<unknown> =>
      (await client.getPersistentSubscriptionToStreamInfo("s", "g")).stats.totalInFlightMessages;
    await expect.poll(inFlight).toBe(3);
    await client.dispose();
    served = await served.reopened();
    client = connect();
    const after = subscribe(ack);
    await expect.poll(() => seen(after).includes(9)).toBe(true);
    // 7 was settled, and comes again: a checkpoint is a place, and 6 was open below it.
    expect(seen(after)).toEqual([6, 7, 8, 9]);
  });

  it("keeps a stream with one subscriber when it is pinned", async () => {
    const settings = persistentSubscriptionToStreamSettingsFromDefaults({
      startFrom: START,
      resolveLinkTos: true,
      consumerStrategyName: "Pinned",
    });
    await client.createPersistentSubscriptionToStream("s", "g", settings);
    const streams = Array.from({ length: 12 }, (_, i) => `source-${i}`);
    const both = [subscribe(ack), subscribe(ack)];
    await expect
      .poll(async () => (await client.getPersistentSubscriptionToStreamInfo("s", "g")).connections.length)
      .toBe(2);
    for (const round of [0, 1, 2]) {
      for (const stream of streams) {
        await client.appendToStream(stream, numbers(round, 1));
        await client.appendToStream("s", binaryEvent({ type: "$>", data: Buffer.from(`${round}@${stream}`) }));
      }
    }
    await expect.poll(() => both.reduce((sum, { received }) => sum + received.length, 0)).toBe(36);
    const holders = both.map(({ received }) => new Set(received.map(({ event }) => event?.streamId)));
    expect([...(holders[0] ?? [])].filter((stream) => holders[1]?.has(stream))).toEqual([]);
    expect(both[0]?.received.every(({ link }) => link?.streamId === "s")).toBe(true);
  });

  it("keeps a correlation with one subscriber when it is pinned by that", async () => {
    await createPinnedByCorrelation();
    const both = [subscribe(ack), subscribe(ack)];
    await expect
      .poll(async () => (await client.getPersistentSubscriptionToStreamInfo("s", "g")).connections.length)
      .toBe(2);
    const correlations = Array.from({ length: 12 }, () => randomUUID());
    for (const round of [0, 1, 2]) {
      const events = correlations.map(($correlationId) =>
        jsonEvent({ type: "Counted", data: { n: round }, metadata: { $correlationId } }),
      );
      await client.appendToStream("s", events);
    }
    await expect.poll(() => both.reduce((sum, { received }) => sum + received.length, 0)).toBe(36);
    const correlationOf = ({ event }: Received): unknown =>
      (event?.metadata as { readonly $correlationId?: string } | undefined)?.$correlationId;
    const [first, second] = both.map(({ received }) => new Set(received.map(correlationOf)));
    expect([...(first ?? [])].filter((correlation) => second?.has(correlation))).toEqual([]);
    expect((first?.size ?? 0) + (second?.size ?? 0)).toBe(12);
  });

  it("replays as many parked events as are asked for, the oldest first", async () => {
    await create();
    await client.appendToStream("s", numbers(0, 5));
    const first = subscribe((one, of) => of.nack("park", "no", one));
    await expect.poll(parked).toBe(5);
    await first.subscription.unsubscribe();
    const second = subscribe(ack);
    await client.replayParkedMessagesToStream("s", "g", { stopAt: 2 });
    await expect.poll(() => seen(second)).toEqual([0, 1]);
    await expect.poll(parked).toBe(3);
    await client.replayParkedMessagesToStream("s", "g");
    await expect.poll(() => seen(second)).toEqual([0, 1, 2, 3, 4]);
    await expect.poll(parked).toBe(0);
  });

  it("parks what a subscriber stops at, and ends it", async () => {
    await create();
    await client.appendToStream("s", numbers(0, 1));
    const stopping = subscribe((one, of) => of.nack("stop", "no more", one));
    await expect.poll(() => stopping.failure?.type).toBe("persistent-subscription-dropped");
    await expect.poll(parked).toBe(1);
  });

  it("refuses more subscribers than it may have", async () => {
    await create({ maxSubscriberCount: 1 });
    const first = subscribe(ack);
    await client.appendToStream("s", numbers(0, 1));
    await expect.poll(() => first.received.length).toBe(1);
    const second = subscribe(ack);
    await expect.poll(() => second.failure?.type).toBe("maximum-subscribers-reached");
  });

  it("begins anew when it was deleted", async () => {
    await create({ checkPointLowerBound: 1 });
    await client.appendToStream("s", numbers(0, 3));
    const first = subscribe((one, of) => of.nack("park", "no", one));
    await expect.poll(parked).toBe(3);
    await first.subscription.unsubscribe();
    await client.deletePersistentSubscriptionToStream("s", "g");
    await create();
    expect(await parked()).toBe(0);
    const second = subscribe(ack);
    await expect.poll(() => seen(second)).toEqual([0, 1, 2]);
  });

  it("keeps its state where clients can read and not write", async () => {
    await create();
    const config = [];
    for await (const { event } of client.readStream("$persistentSubscriptionConfig")) config.push(event?.type);
    expect(config).toEqual(["$GroupDefined"]);
    for (const stream of ["$persistentSubscriptionConfig", "$persistentsubscription-s::g-checkpoint"])
      await expect(client.appendToStream(stream, numbers(0, 1))).rejects.toMatchObject({ type: "access-denied" });
  });
});
