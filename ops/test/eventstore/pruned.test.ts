/** What clients are told of streams whose events were pruned: over gRPC and over REST, also by an index that was made again. */
import { createHash } from "node:crypto";
import {
  binaryEvent,
  EventStoreDBClient,
  jsonEvent,
  NO_STREAM,
  persistentSubscriptionToAllSettingsFromDefaults,
  persistentSubscriptionToStreamSettingsFromDefaults,
  START,
} from "@eventstore/db-client";
import { type EventLog, type StoredRecords, storedRecords, systemEnv } from "@millrace/engine";
import { buildGateway, carryGroups } from "@millrace/gateway";
import type { EmbeddedLog } from "@millrace/streams/embedded";
import { Registry } from "prom-client";
import { afterEach, expect, it } from "vitest";
import { heldBy } from "../../src/retention/retention-needs.ts";
import { type ServedLog, serveLog } from "./served-log.ts";

const SEGMENT_BYTES = 256 * 1024;

const opened: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

interface Faces {
  readonly client: EventStoreDBClient;
  readonly post: (stream: string, expected?: string) => Promise<{ readonly status: number; readonly code?: string }>;
  close(): Promise<void>;
}

function facesOf({ log, address }: ServedLog): Faces {
  const client = EventStoreDBClient.connectionString(`esdb://${address}?tls=false`);
  const nobody = { list: () => [], status: () => undefined } as never;
  const app = buildGateway({
    host: nobody,
    log,
    projections: nobody,
    deadLetters: nobody,
    metrics: new Registry(),
    health: () => ({ checks: [] }),
    env: systemEnv(),
    version: "test",
  });
  return {
    client,
    post: async (stream, expected = "any") => {
      const payload = { appends: [{ stream, expected, events: [{ type: "Late", data: {} }] }] };
      const { statusCode, body } = await app.inject({ method: "POST", url: "/api/v1/events", payload });
      const { code } = JSON.parse(body) as { readonly code?: string };
      return { status: statusCode, ...(code === undefined ? {} : { code }) };
    },
    close: async () => {
      await client.dispose();
      await app.close();
    },
  };
}

/** A leaf of its own for each record; nobody proves anything here. */
async function leavesOf(records: StoredRecords): Promise<Uint8Array> {
  const events = storedRecords(records).filter(({ isControl }) => !isControl);
  return Buffer.concat(events.map(({ header }) => createHash("sha256").update(header).digest()));
}

function isOnDisk(log: EventLog): log is EmbeddedLog {
  return "retention" in log;
}

async function pruneAll(log: EventLog): Promise<number> {
  if (!isOnDisk(log)) throw new Error("a log on disk was asked for");
  await log.indexed();
  await log.retention.archive({
    beforeMs: Number.POSITIVE_INFINITY,
    signedEnd: Number.POSITIVE_INFINITY,
    leavesOf,
    checkLeaves: async () => undefined,
    pause: async () => undefined,
  });
  const { base } = await log.retention.prune({
    beforeMs: Number.POSITIVE_INFINITY,
    needs: async () => [],
    heldBy: (from, end) => heldBy(log, [], from, end),
    by: { principal: "test", reason: "" },
  });
  return base;
}

async function fill({ client }: Faces): Promise<void> {
  const data = { text: "x".repeat(20_000) };
  for (let i = 0; i < 40; i++) await client.appendToStream("filling", [jsonEvent({ type: "Filled", data })]);
}

const codeOf = (doing: Promise<unknown>): Promise<unknown> =>
  doing.then(
    () => "done",
    (thrown: { readonly type?: string }) => thrown.type,
  );

async function revisions(
  client: EventStoreDBClient,
  stream: string,
  fromRevision: bigint | typeof START = START,
): Promise<readonly unknown[]> {
  const read: unknown[] = [];
  for await (const { event } of client.readStream(stream, { fromRevision })) read.push(event?.revision);
  return read;
}

/** Revision of the first event that comes of a subscription. */
async function firstOf(
  subscription: AsyncIterable<{ readonly event?: { readonly revision: bigint; readonly streamId: string } }> & {
    unsubscribe(): Promise<void>;
  },
  stream: string,
): Promise<bigint | undefined> {
  try {
    for await (const { event } of subscription) if (event?.streamId === stream) return event.revision;
    return undefined;
  } finally {
    await subscription.unsubscribe();
  }
}

it("keeps closed streams closed, deleted ones deleted and metadata in force", async () => {
  let served = await serveLog("embedded", { segmentBytes: SEGMENT_BYTES });
  let faces = facesOf(served);
  opened.push(async () => {
    await faces.close();
    await served.close();
  });
  const metadata = { maxCount: 2, maxAge: 100_000, acl: { readRoles: ["$all"] }, own: "kept" };
  const early = (count = 1) => Array.from({ length: count }, () => jsonEvent({ type: "Early", data: {} }));
  for (const stream of ["tombstoned", "deleted", "limited", "plain"])
    await faces.client.appendToStream(stream, early(4));
  await faces.client.setStreamMetadata("limited", metadata);
  await faces.client.setStreamMetadata("tombstoned", { own: "closed" });
  await faces.client.tombstoneStream("tombstoned");
  await faces.client.deleteStream("deleted");
  await fill(faces);
  const end = served.log.durableEnd;
  const base = await pruneAll(served.log);
  expect(base).toBeGreaterThan(25);
  expect(base).toBeLessThan(end);
  await faces.client.appendToStream("limited", early());

  const told = async (): Promise<void> => {
    const { client, post } = faces;
    expect(await codeOf(client.appendToStream("tombstoned", early()))).toBe("stream-deleted");
    expect(await codeOf(revisions(client, "tombstoned"))).toBe("stream-deleted");
    expect(await codeOf(client.tombstoneStream("tombstoned"))).toBe("stream-deleted");
    expect(await post("tombstoned")).toEqual({ status: 409, code: "EVENTSTORE-DELETED" });
    expect(await codeOf(revisions(client, "deleted"))).toBe("stream-not-found");
    expect(await post("deleted")).toEqual({ status: 409, code: "EVENTSTORE-DELETED" });
    const { metadata: found } = await client.getStreamMetadata("limited");
    expect(found).toEqual(metadata);
    // Of what $maxCount lets through one is pruned: never less than was asked for without a word, but a start is the first there is.
    expect(await codeOf(revisions(client, "limited", 3n))).not.toBe("done");
    expect(await revisions(client, "limited")).toEqual([4n]);
    expect(await post("plain", "none")).toEqual({ status: 410, code: "LOG-PRUNED" });
  };
  await told();
  for (const index of [undefined, "made again", undefined] as const) {
    await faces.close();
    served = await served.reopened(index);
    faces = facesOf(served);
    await told();
  }

  expect(await faces.post("plain")).toEqual({ status: 200 });
  const { nextExpectedRevision } = await faces.client.appendToStream("plain", early(), {
    expectedRevision: 4n,
  });
  expect(nextExpectedRevision).toBe(5n);
  await faces.client.appendToStream("deleted", early(), { expectedRevision: NO_STREAM });
  expect(await revisions(faces.client, "deleted")).toEqual([4n]);
  await faces.client.appendToStream("limited", early());
  expect(await revisions(faces.client, "limited")).toEqual([4n, 5n]);
}, 60_000);

it("begins for whoever asks for the start with the first event that was not pruned", async () => {
  let served = await serveLog("embedded", { segmentBytes: SEGMENT_BYTES });
  let faces = facesOf(served);
  opened.push(async () => {
    await faces.close();
    await served.close();
  });
  await fill(faces);
  const base = BigInt(await pruneAll(served.log));
  expect(base).toBeGreaterThan(25n);
  for (const index of ["kept", "made again"] as const) {
    const { client } = faces;
    const group = `group-${index}`;
    const stream = persistentSubscriptionToStreamSettingsFromDefaults({ startFrom: START, resolveLinkTos: true });
    for (const name of ["filling", "$et-Filled"]) {
      await client.createPersistentSubscriptionToStream(name, group, stream);
      const taking = client.subscribeToPersistentSubscriptionToStream(name, group);
      expect(await firstOf(taking, "filling"), name).toBe(base);
    }
    const all = persistentSubscriptionToAllSettingsFromDefaults({ startFrom: START });
    await client.createPersistentSubscriptionToAll(group, all);
    expect(await firstOf(client.subscribeToPersistentSubscriptionToAll(group), "filling")).toBe(base);

    // What was delivered and is not acknowledged holds the next prune.
    const { unread } = await carryGroups(served.log, systemEnv(), served.log.durableEnd);
    const held = unread.filter((one) => one.group === group).map(({ stream, position }) => [stream, BigInt(position)]);
    expect(held.sort()).toEqual(["$all", "$et-Filled", "filling"].map((name) => [name, base]));

    expect((await revisions(client, "filling"))[0]).toBe(base);
    expect(await codeOf(revisions(client, "filling", base - 1n))).not.toBe("done");
    for (const name of ["filling", "$et-Filled"]) {
      const options = { fromRevision: START, resolveLinkTos: true } as const;
      expect(await firstOf(client.subscribeToStream(name, options), "filling"), name).toBe(base);
    }
    expect(await firstOf(client.subscribeToAll({ fromPosition: START }), "filling")).toBe(base);
    for await (const { event } of client.readAll({ fromPosition: START, maxCount: 1 }))
      expect(event?.revision).toBe(base);
    if (index === "made again") break;
    await faces.close();
    served = await served.reopened("made again");
    faces = facesOf(served);
  }
}, 60_000);

it("gives a link whose event was pruned without it, to readers and to projections", async () => {
  const served = await serveLog("embedded", { segmentBytes: SEGMENT_BYTES });
  const faces = facesOf(served);
  opened.push(async () => {
    await faces.close();
    await served.close();
  });
  const { client } = faces;
  await fill(faces);
  const base = await pruneAll(served.log);
  for (const target of [0, base])
    await client.appendToStream("links", binaryEvent({ type: "$>", data: Buffer.from(`${target}@filling`) }));
  const read: unknown[] = [];
  for await (const { event, link } of client.readStream("links", { resolveLinkTos: true }))
    read.push([link?.revision, event?.revision]);
  expect(read).toEqual([
    [0n, undefined],
    [1n, BigInt(base)],
  ]);
  const count = "fromStream('links').when({ $init: () => ({ n: 0 }), $any(s, e) { s.n += 1; } })";
  await client.createProjection("linked", count);
  await expect.poll(async () => (await client.getProjectionStatus("linked")).status).toBe("Running");
  await expect.poll(() => client.getProjectionState("linked")).toEqual({ n: 1 });
  expect((await client.getProjectionStatus("linked")).status).toBe("Running");
}, 60_000);
