import { setImmediate } from "node:timers/promises";
import { type EventLog, type RecordedEvent, SnapshotStore, systemEnv } from "@millrace/engine";
import { memoryEventLog, memoryOrderedStore } from "@millrace/streams/memory";
import { expect, it } from "vitest";
import { GraphStream } from "./graph-stream.ts";
import { NodeStates } from "./node-states.ts";

const env = systemEnv();
const DEFINITION = `name: g
nodes:
  in:  { kind: source, from: "http:/in" }
  out: { kind: sink, input: in, to: "projection:t", key: [k] }
`;

/** States of a graph whose sink has a stream without an end; how many reads of it have begun, and how many are over. */
async function endless() {
  const log = memoryEventLog({ env });
  const deployment = { revision: 1, definition: DEFINITION, hash: "0".repeat(64), parts: {}, projections: [] };
  await new GraphStream(log, env, "g").deploy(
    { ...deployment, begins: [], stateSince: {} },
    { principal: "t", reason: "" },
  );
  const reads = { begun: 0, over: 0 };
  async function* batches(): AsyncGenerator<readonly RecordedEvent[]> {
    reads.begun += 1;
    try {
      for (;;) {
        yield [];
        await setImmediate();
      }
    } finally {
      reads.over += 1;
    }
  }
  const readStream: EventLog["readStream"] = (stream, options) =>
    stream === "g/out" ? batches() : log.readStream(stream, options);
  const long = new Proxy(log, {
    get: (target, name) => (name === "readStream" ? readStream : Reflect.get(target, name, target)),
  });
  const snapshots = new SnapshotStore(memoryOrderedStore(), log);
  return { reads, states: new NodeStates({ log: long, snapshots, env }) };
}

it.each<[string, (states: NodeStates, signal: AbortSignal) => Promise<unknown>]>([
  ["a state", (states, signal) => states.at("g", "out", undefined, signal)],
  ["a difference", (states, signal) => states.diff("g", "out", { position: 2 }, undefined, signal)],
  ["changes", (states, signal) => states.changes("g", "out", "k", 10, signal)],
])("%s are looked for no longer when whoever asked has left", async (_what, ask) => {
  const { reads, states } = await endless();
  const asker = new AbortController();
  const asked = ask(states, asker.signal);
  await expect.poll(() => reads.begun).toBe(1);
  asker.abort(new Error("gone"));
  await expect(asked).rejects.toThrow("gone");
  expect(reads.over).toBe(1);
});

it("four are made at once, each of which takes the memory of its node", async () => {
  const { reads, states } = await endless();
  const askers = Array.from({ length: 6 }, () => new AbortController());
  const asked = askers.map(({ signal }) => states.at("g", "out", undefined, signal).catch(() => undefined));
  await expect.poll(() => reads.begun).toBe(4);
  askers[0]?.abort();
  await expect.poll(() => reads.begun).toBe(5);
  expect(reads.over).toBe(1);
  for (const asker of askers) asker.abort();
  await Promise.all(asked);
  expect(reads).toEqual({ begun: 5, over: 5 });
});
