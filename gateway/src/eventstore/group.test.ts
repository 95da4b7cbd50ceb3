import { setImmediate } from "node:timers/promises";
import { type AppendResult, type EventInput, type StreamAppend, systemEnv, type Timers } from "@millrace/engine";
import { describe, expect, it } from "vitest";
import { ArrayLog } from "../../test/array-log.ts";
import { describeBytes } from "../event-json.ts";
import { Access } from "./access.ts";
import type { EndpointContext } from "./endpoint-context.ts";
import { Group } from "./group.ts";
import { ALL, type GroupDefinition } from "./group-settings.ts";
import { LogTail } from "./log-tail.ts";
import { dataOf, jsonEvent, LINK_TYPE, storedEvent } from "./stored-event.ts";
import { StreamStates } from "./stream-states.ts";
import { StreamWriter } from "./stream-writer.ts";
import { Turnstile } from "./turnstile.ts";
import { ServedStreams } from "./virtual-streams.ts";

const env = systemEnv();
const author = { principal: "local", codeVersion: "test" };

/** Reads of a stream fail as often as a test says; batches have events, as those of other logs. */
class FailingLog extends ArrayLog {
  readonly failures = new Map<string, number>();

  override async *readStream(...[stream, options]: Parameters<ArrayLog["readStream"]>) {
    const left = this.failures.get(stream) ?? 0;
    this.failures.set(stream, left - 1);
    if (left > 0) throw new Error("cannot be read now");
    for await (const batch of super.readStream(stream, options)) if (batch.length > 0) yield batch;
  }

  override async append(appends: readonly StreamAppend[]): Promise<AppendResult> {
    const firstPosition = this.durableEnd;
    for (const { stream, events } of appends) for (const event of events) this.#add(stream, event);
    return { position: this.durableEnd - 1, firstPosition, revisions: [this.durableEnd], repeated: false };
  }

  addClient(stream: string, type: string, data: string): void {
    this.#add(stream, storedEvent(jsonEvent(env.random.bytes(16), type, data), author));
  }

  #add(stream: string, event: EventInput): void {
    this.add({ stream, type: event.type });
    Object.assign(this.events.at(-1) as object, event);
  }

  /** How far checkpoints say that the group is. */
  checkpoints(): readonly unknown[] {
    const written = this.events.filter(({ type }) => type === "$SubscriptionCheckpoint");
    return written.map((event) => (JSON.parse(dataOf(event).toString()) as { readonly next: number }).next);
  }
}

function contextOf(log: ArrayLog): EndpointContext {
  const states = new StreamStates(log);
  const options = { log, env, states, turnstile: new Turnstile(), isReserved: () => false, appendBytesMax: 1 << 20 };
  const writer = new StreamWriter(options);
  return {
    log,
    env,
    describe: describeBytes,
    access: new Access(undefined),
    states,
    streams: new ServedStreams(log),
    writer,
    stateWriter: writer,
    tail: new LogTail(log),
    appendBytesMax: 1 << 20,
    projectionLimits: {},
    version: "test",
  };
}

const definition: GroupDefinition = {
  stream: "s",
  group: "g",
  filter: undefined,
  begin: 0,
  settings: {
    from: "start",
    resolveLinks: true,
    extraStatistics: false,
    messageTimeoutMs: 60_000,
    maxRetryCount: 10,
    checkpointAfterMs: 60_000,
    minCheckpointCount: 10,
    maxCheckpointCount: 1000,
    maxSubscriberCount: 0,
    liveBufferSize: 500,
    readBatchSize: 20,
    historyBufferSize: 500,
    strategy: "RoundRobin",
  },
};

/** A call that takes everything: the confirmation, then events. */
class FakeCall {
  readonly headers = {};
  readonly #ended = new AbortController();
  readonly signal = this.#ended.signal;
  readonly sent: Uint8Array[] = [];

  async send(message: Uint8Array): Promise<boolean> {
    this.sent.push(message);
    return true;
  }

  finish(): void {
    this.#ended.abort();
  }
}

type Call = Parameters<Group["join"]>[0];
const join = (group: Group, call: FakeCall) => group.join(call as unknown as Call, author, 10, true);

describe("a group", () => {
  it("keeps an event whose link cannot be followed now, for the next subscriber", async () => {
    const log = new FailingLog();
    log.addClient("t", "Counted", "1");
    log.addClient("s", LINK_TYPE, "0@t");
    const group = await Group.open(contextOf(log), definition);
    log.failures.set("t", 1);
    const [first, second] = [new FakeCall(), new FakeCall()];
    await join(group, first);
    await expect.poll(() => first.signal.aborted).toBe(true);
    await join(group, second);
    await expect.poll(() => second.sent.length).toBe(2);
    await group.close("the test is over");
  });

  it("notes how far it is a time after an event was settled, and when its last subscriber leaves", async () => {
    const log = new FailingLog();
    for (const data of ["1", "2"]) log.addClient("s", "Counted", data);
    let onTime = (): void => {};
    const timers: Timers = {
      after: (delayMs, fire) => {
        if (delayMs === definition.settings.checkpointAfterMs) onTime = fire;
        return env.timers.after(delayMs, fire);
      },
    };
    const settings = { ...definition.settings, messageTimeoutMs: 50_000, minCheckpointCount: 1 };
    const group = await Group.open({ ...contextOf(log), env: { ...env, timers } }, { ...definition, settings });
    const call = new FakeCall();
    const subscriber = await join(group, call);
    await expect.poll(() => call.sent.length).toBe(3);
    const [first, second] = log.events.map(({ id }) => Buffer.from(id).toString("hex"));
    group.ack(String(first), subscriber);
    expect(log.checkpoints()).toEqual([]);
    onTime();
    await expect.poll(() => log.checkpoints()).toEqual([1]);
    group.ack(String(second), subscriber);
    group.leave(subscriber);
    await expect.poll(() => log.checkpoints()).toEqual([1, 2]);
    await group.close("the test is over");
  });

  it("reads on behind events that are too old, however many of them there are", async () => {
    const log = new FailingLog();
    log.addClient("$$s", "$metadata", '{"$maxAge":3600}');
    for (let i = 0; i < 3000; i++) log.addClient("s", "Counted", "1");
    log.addClient("s", "Counted", "2");
    Object.assign(log.events.at(-1) as object, { timeMs: env.clock.now() });
    const group = await Group.open(contextOf(log), definition);
    const call = new FakeCall();
    await join(group, call);
    await expect.poll(() => call.sent.length).toBe(2);
    await group.close("the test is over");
  });

  it("reads no further when its last subscriber has left", async () => {
    const log = new FailingLog();
    let [batches, isOver] = [0, false];
    log.read = async function* () {
      try {
        for (;;) {
          batches += 1;
          yield [];
          await setImmediate();
        }
      } finally {
        isOver = true;
      }
    };
    const group = await Group.open(contextOf(log), { ...definition, stream: ALL });
    const subscriber = await join(group, new FakeCall());
    await expect.poll(() => batches).toBeGreaterThan(2);
    group.leave(subscriber);
    await expect.poll(() => isOver).toBe(true);
    await group.close("the test is over");
  });

  it("takes no subscribers once it is closed, to whom it would never give anything", async () => {
    const group = await Group.open(contextOf(new FailingLog()), definition);
    await group.close("its settings were changed");
    await expect(join(group, new FakeCall())).rejects.toMatchObject({ code: "EVENTSTORE-GROUP-DROPPED" });
  });
});
