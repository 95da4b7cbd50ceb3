/** The log on an EventStoreDB server whose nodes come, go, and lead in turn. */
import { systemEnv } from "@millrace/engine";
import { gather, sampleEvent, sampleEvents, to } from "@millrace/engine/testing";
import { eventStoreEndpoint } from "@millrace/gateway";
import { type EventStoreLog, openEventStoreLog } from "@millrace/streams/event-store";
import { memoryEventLog } from "@millrace/streams/memory";
import { afterEach, beforeEach, expect, it } from "vitest";
import { freePort } from "../../services/free-port.ts";
import { ClusterNode } from "./cluster-node.ts";
import { type ServedLog, serveLog } from "./served-log.ts";

const env = systemEnv();
const opened: { close(): Promise<void> }[] = [];
let served: ServedLog;
beforeEach(async () => {
  served = keep(await serveLog("memory"));
});
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

function keep<T extends { close(): Promise<void> }>(one: T): T {
  opened.push(one);
  return one;
}

const node = async (leader?: ClusterNode): Promise<ClusterNode> => keep(await ClusterNode.open(served.address, leader));
const open = async (hosts: string, patienceMs = 0): Promise<EventStoreLog> =>
  keep(await openEventStoreLog({ connectionString: `esdb://${hosts}tls=false`, env, patienceMs }));

const idsOf = (events: readonly { readonly id: Uint8Array }[]): readonly string[] =>
  events.map(({ id }) => Buffer.from(id).toString("hex"));

it("finds the leader when it asks another node first", async () => {
  const leader = await node();
  const log = await open(`${(await node(leader)).address}?`);
  expect(await log.append(to("s", sampleEvent(), "none"))).toMatchObject({ revisions: [0] });
  expect(await log.head("s")).toBe(0);
});

it("follows a leader that changes while an append is under way, and appends once", async () => {
  const second = await node();
  const first = await node();
  const log = await open(`${first.address}?`);
  const before = sampleEvents(2);
  await log.append(to("s", before, "none"));
  const abort = new AbortController();
  const seen: string[] = [];
  const following = (async () => {
    for await (const { events } of log.subscribe({ signal: abort.signal })) {
      seen.push(...idsOf(events));
      if (seen.length === 4) abort.abort();
    }
  })();
  // The first leader has written it; its answer is lost with its lead.
  first.beforeAnswer = () => first.yieldTo(second);
  const during = sampleEvent();
  expect(await log.append(to("s", during, 1))).toMatchObject({ revisions: [2], position: 2, repeated: false });
  const after = sampleEvent();
  expect(await log.append(to("s", after, 2))).toMatchObject({ revisions: [3] });
  const all = [...before, during, after];
  expect(idsOf(await gather(log.readStream("s")))).toEqual(idsOf(all));
  await following;
  expect(seen).toEqual(idsOf(all));
});

it("goes on with a read that a change of leaders cut, without a gap and without a repetition", async () => {
  const second = await node();
  const first = await node();
  const log = await open(`${first.address}?`);
  const events = sampleEvents(1000);
  await served.log.append(to("s", events));
  await expect.poll(() => log.durableEnd).toBe(events.length);
  const nodes = [first, second] as const;
  for (const read of [
    () => log.readStream("s"),
    () => log.readStream("s", { direction: "backward" }),
    () => log.read(),
    () => log.read({ direction: "backward" }),
  ]) {
    const [leader, next] = first.leads ? nodes : ([second, first] as const);
    const cut = leader.callsCut;
    const got: string[] = [];
    for await (const batch of read()) {
      if (got.length === 0) leader.yieldTo(next);
      got.push(...idsOf(batch));
    }
    expect(leader.callsCut).toBeGreaterThan(cut);
    expect(got).toHaveLength(events.length);
    expect(new Set(got).size).toBe(events.length);
  }
});

it("waits out an outage of a whole cluster for as long as it is patient, and appends once", async () => {
  const stored = keep(memoryEventLog({ env }));
  const listen = async (port: number) => {
    const endpoint = eventStoreEndpoint({ env, log: stored, version: "test" });
    return { port: await endpoint.listen(port), close: () => endpoint.close() };
  };
  const first = await listen(await freePort());
  // Nobody is at the second; a client with several hosts asks them who leads.
  const log = await open(`127.0.0.1:${first.port},127.0.0.1:1?maxDiscoverAttempts=1&`, 60_000);
  await log.append(to("s", sampleEvent(), "none"));
  await first.close();
  let isDone = false;
  const append = log.append(to("s", sampleEvent(), 0)).finally(() => {
    isDone = true;
  });
  await expect.poll(() => log.outage?.reason).toMatch(/^Failed to discover/);
  expect(isDone).toBe(false);
  keep(await listen(first.port));
  expect(await append).toMatchObject({ revisions: [1] });
  await expect.poll(() => log.outage).toBeUndefined();
  expect(await gather(log.readStream("s"))).toHaveLength(2);
});
