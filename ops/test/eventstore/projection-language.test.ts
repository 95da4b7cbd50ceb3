/** The language of projections, its modes, and scripts and requests that mean harm: each gets its answer, and the others go on. */
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { setTimeout as pause } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import { EventStoreDBClient, jsonEvent } from "@eventstore/db-client";
import { CreateReq, StatisticsReq, StatisticsResp } from "@eventstore/db-client/generated/projections_pb.js";
import { Empty } from "@eventstore/db-client/generated/shared_pb.js";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { ask, frame } from "./raw-call.ts";
import { type ServedLog, serveLog } from "./served-log.ts";

const SERVICE = "/event_store.client.projections.Projections";
const connect = ({ address }: ServedLog) => EventStoreDBClient.connectionString(`esdb://${address}?tls=false`);

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

/** Small enough that what never ends is ended soon, by what it did; the clock judges nothing, however busy the machine is. */
const LIMITS = { limits: { memoryBytesMax: 32 << 20, stepsMax: 50 }, callMsMax: 100_000 };

let served: ServedLog;
let client: InstanceType<typeof EventStoreDBClient>;
let session: ClientHttp2Session;
beforeAll(async () => {
  served = await serveLog("memory", { projectionLimits: LIMITS, logAppendBytesMax: 2 << 20 });
  client = connect(served);
  session = connectHttp2(`http://${served.address}`);
});
afterAll(async () => {
  session.destroy();
  await client.dispose();
  await served.close();
});

let drawn = 0;
const fresh = (name: string): string => `${name}${++drawn}`;
const EMITS = { emitEnabled: true };

async function until<T>(query: () => Promise<T>, isWanted: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await query();
    if (isWanted(answer)) return answer;
    await pause(5);
  }
}

const count = (stream: string, ...numbers: readonly number[]) =>
  client.appendToStream(
    stream,
    numbers.map((n) => jsonEvent({ type: "Counted", data: { n } })),
  );

/** Makes a projection and waits until it has handled what there is. */
async function projected(query: string, options = {}): Promise<string> {
  const name = fresh("projection");
  await client.createProjection(name, query, options);
  await until(
    () => client.getProjectionStatus(name),
    ({ projectionStatus, progress }) => projectionStatus === "Faulted" || progress === 100,
  );
  return name;
}

async function events(stream: string, resolveLinkTos = false) {
  const seen: (readonly [type: string, data: unknown])[] = [];
  for await (const { event, link } of client.readStream(stream, { resolveLinkTos })) {
    const one = event ?? link;
    if (one)
      seen.push([
        one.type,
        Buffer.isBuffer(one.data) || one.data instanceof Uint8Array ? Buffer.from(one.data).toString() : one.data,
      ]);
  }
  return seen;
}

const faultOf = async (name: string): Promise<string> => {
  const { projectionStatus, stateReason } = await until(
    () => client.getProjectionStatus(name),
    (one) => one.projectionStatus === "Faulted" || one.progress === 100,
  );
  return projectionStatus === "Faulted" ? stateReason : projectionStatus;
};

describe("the language", () => {
  it("$init and $any: a state, of every event", async () => {
    const stream = fresh("any-");
    await count(stream, 1, 2, 3);
    const name = await projected(
      `fromStream("${stream}").when({ $init: () => ({ types: [] }), $any: (s, e) => { s.types.push(e.eventType); } })`,
    );
    expect(await client.getProjectionState(name)).toEqual({ types: ["Counted", "Counted", "Counted"] });
  });

  it("events whose type is that of a handler with a meaning of its own are events like others", async () => {
    const stream = fresh("named-");
    const types = ["Counted", "$init", "$initShared", "$created", "$deleted", "$any", "Counted"];
    await client.appendToStream(
      stream,
      types.map((type) => jsonEvent({ type, data: { n: 1 } })),
    );
    const of = (rest: string): string =>
      `fromStream("${stream}").foreachStream().when({ $init: () => ({ n: 0, gone: 0, made: 0 }),
        $created: (s) => { s.made += 1; }, $deleted: (s) => { s.gone += 1; }, ${rest} })`;
    const partition = { partition: stream };
    const own = await projected(of("Counted: (s) => { s.n += 1; }"));
    expect(await client.getProjectionState(own, partition)).toEqual({ n: 2, gone: 0, made: 1 });
    const any = await projected(of("$any: (s) => { s.n += 1; }"));
    expect(await client.getProjectionState(any, partition)).toEqual({ n: 7, gone: 0, made: 1 });
  });

  it("partitionBy and $initShared: a state per key, one that all share, nothing for events without a key", async () => {
    const stream = fresh("shared-");
    await count(stream, 0, 1, 2, 3, 4);
    const name = await projected(
      `fromStream("${stream}").partitionBy((e) => e.data.n === 4 ? "" : e.data.n % 2 ? "odd" : "__proto__").when({
        $init: () => ({ sum: 0 }), $initShared: () => ({ all: 0 }),
        Counted: (s, e) => { s[0].sum += e.data.n; s[1].all += 1; s[0].nth = s[1].all; },
      })`,
    );
    expect(await client.getProjectionState(name, { partition: "odd" })).toEqual({ sum: 4, nth: 4 });
    expect(await client.getProjectionState(name, { partition: "__proto__" })).toEqual({ sum: 2, nth: 3 });
    expect(await client.getProjectionState(name, { partition: "" })).toEqual({});
    expect(await client.getProjectionState(name, { partition: "odd\0x" })).toEqual({});
  });

  it("foreachStream and $deleted: a state per stream, told of its end, softly or for ever", async () => {
    const category = fresh("gone");
    await count(`${category}-a`, 1);
    await count(`${category}-b`, 2);
    await count(`${category}-c`, 3);
    await client.deleteStream(`${category}-a`);
    await client.tombstoneStream(`${category}-b`);
    const name = await projected(
      `fromCategory("${category}").foreachStream().when({
        $init: () => ({ n: 0 }), Counted: (s, e) => { s.n = e.data.n; }, $deleted: (s) => { s.gone = true; } })`,
    );
    const of = (letter: string) => client.getProjectionState(name, { partition: `${category}-${letter}` });
    expect([await of("a"), await of("b"), await of("c")]).toEqual([
      { n: 1, gone: true },
      { n: 2, gone: true },
      { n: 3 },
    ]);
  });

  it("filterBy and transformBy: what a result is; outputState and outputTo: where it goes", async () => {
    const stream = fresh("filter-");
    const [one, parts] = [fresh("result-"), fresh("part-")];
    await count(stream, 1, 5);
    const handlers = "{ $init: () => ({ n: 0 }), Counted: (s, e) => { s.n = e.data.n; } }";
    const plain = await projected(
      `fromStream("${stream}").when(${handlers}).filterBy((s) => s.n > 3).transformBy((s) => ({ large: s.n })).outputTo("${one}")`,
    );
    expect(await client.getProjectionResult(plain)).toEqual({ large: 5 });
    expect((await events(one)).at(-1)).toEqual(["Result", { large: 5 }]);
    const hidden = await projected(`fromStream("${stream}").when(${handlers}).filterBy((s) => s.n > 9)`);
    expect(await client.getProjectionState(hidden)).toEqual({ n: 5 });
    expect(await client.getProjectionResult(hidden)).toEqual({});
    const parted = await projected(
      `fromStream("${stream}").partitionBy((e) => "n" + e.data.n).when(${handlers}).outputState().outputTo("all", "${parts}{0}")`,
    );
    expect(await events(`${parts}n5`)).toEqual([["Result", { n: 5 }]]);
    expect(await client.getProjectionResult(parted, { partition: "n1" })).toEqual({ n: 1 });
    const own = await projected(`fromStream("${stream}").when(${handlers}).outputState()`);
    expect((await events(`$projections-${own}-result`)).at(-1)).toEqual(["Result", { n: 5 }]);
  });

  it("copyTo, linkTo and linkStreamTo: a copy, a link, a reference", async () => {
    const stream = fresh("source-");
    const [copies, links, references] = [fresh("copies-"), fresh("links-"), fresh("references-")];
    await count(stream, 7);
    await projected(
      `fromStream("${stream}").when({ Counted: (s, e) => {
        copyTo("${copies}", e, { of: 1 }); linkTo("${links}", e); linkStreamTo("${references}", e.streamId); } })`,
      EMITS,
    );
    expect(await events(copies)).toEqual([["Counted", { n: 7 }]]);
    expect(await events(links, true)).toEqual([["Counted", { n: 7 }]]);
    expect((await events(references))[0]?.[0]).toBe("$@");
  });
});

describe("modes", () => {
  const created = async (mode: "one" | "transient", query: string, name = fresh("transient")): Promise<void> => {
    const options = new CreateReq.Options();
    options.setQuery(query);
    if (mode === "one") options.setOneTime(new Empty());
    else {
      const transient = new CreateReq.Options.Transient();
      transient.setName(name);
      options.setTransient(transient);
    }
    const request = new CreateReq();
    request.setOptions(options);
    expect(await ask(session, `${SERVICE}/Create`, frame(request.serializeBinary()))).toMatchObject({ status: 0 });
  };
  /** Names of the one-time or transient projections there are, with what each is doing. */
  const listed = async (mode: "one" | "transient", on = session): Promise<ReadonlyMap<string, string>> => {
    const options = new StatisticsReq.Options();
    if (mode === "one") options.setOneTime(new Empty());
    else options.setTransient(new Empty());
    const request = new StatisticsReq();
    request.setOptions(options);
    const { body } = await ask(on, `${SERVICE}/Statistics`, frame(request.serializeBinary()));
    const found = new Map<string, string>();
    for (let at = 0; at < body.length; ) {
      const length = body.readUInt32BE(at + 1);
      const details = StatisticsResp.deserializeBinary(body.subarray(at + 5, at + 5 + length)).getDetails();
      found.set(details?.getName() ?? "", details?.getStatus() ?? "");
      at += 5 + length;
    }
    return found;
  };
  const counting = (stream: string) =>
    `fromStream("${stream}").when({ $init: () => ({ n: 0 }), $any: (s) => { s.n += 1; } })`;

  it("one-time: handles what is there, is complete, and stays so over a restart", async () => {
    const stream = fresh("once-");
    await count(stream, 1, 2, 3);
    await created("one", counting(stream));
    const [name] = await until(
      () => listed("one").then((all) => [...all][0] ?? ["", ""]),
      ([, status]) => status.startsWith("Completed"),
    );
    await count(stream, 4);
    expect(await client.getProjectionState(name)).toEqual({ n: 3 });
    await until(
      async () =>
        (await events("$projections-$all")).filter(([, data]) => (data as { isCompleted?: boolean }).isCompleted),
      ({ length }) => length === 1,
    );
    await client.restartSubsystem();
    expect((await listed("one")).get(name)).toMatch(/^Completed/);
    expect(await client.getProjectionState(name)).toEqual({ n: 3 });
    await client.enableProjection(name);
    await until(
      () => client.getProjectionState<{ n: number }>(name),
      ({ n }) => n === 4,
    );
  });

  it("transient: goes on, keeps nothing, and is gone with the endpoint", async () => {
    const other = await serveLog("embedded");
    const reach = connectHttp2(`http://${other.address}`);
    const end = served.log.durableEnd;
    const name = fresh("transient");
    const stream = fresh("passing-");
    await created("transient", counting(stream), name);
    expect(served.log.durableEnd).toBe(end);
    await count(stream, 1, 2);
    await until(
      () => client.getProjectionState<{ n: number }>(name),
      ({ n }) => n === 2,
    );
    expect([...(await listed("transient")).keys()]).toEqual([name]);
    expect(await listed("transient", reach)).toEqual(new Map());
    await expect(events(`$projections-${name}-checkpoint`)).rejects.toMatchObject({ type: "stream-not-found" });
    reach.destroy();
    await other.close();
  });
});

describe("scripts that mean harm", () => {
  let goesOn: () => Promise<unknown>;
  /** A projection at work beside all those that fail. */
  beforeAll(async () => {
    const stream = fresh("beside-");
    await count(stream, 0);
    const name = await projected(
      `fromStream("${stream}").when({ $init: () => ({ n: 0 }), $any: (s) => { s.n += 1; } })`,
    );
    let wanted = 1;
    goesOn = async () => {
      wanted += 1;
      await count(stream, wanted);
      await until(
        () => client.getProjectionState<{ n: number }>(name),
        ({ n }) => n === wanted,
      );
    };
  });

  it.each([
    ["an endless loop", "() => { for (;;); }", /too many steps/],
    ["endless recursion", "function f() { return f(); }", /stack|steps|recursion/i],
    ["a memory bomb", "() => { const all = []; for (;;) all.push(new Array(1000).fill(1)); }", /memory/],
    ["many small objects", "(s) => { s.all = []; for (;;) s.all.push({ a: [1, 2, 3] }); }", /memory|steps/],
    ["many buffers", "() => { const all = []; for (;;) all.push(new Uint8Array(1e6)); }", /memory/],
    ["one huge text", "() => { let t = 'x'; for (;;) t += t; }", /memory|too long|steps/],
    ["an error whose text is huge", "() => { throw new Error('x'.repeat(1e6)); }", /^.{1,2000}$/s],
    ["an error that throws", "() => { throw { get message() { throw new Error('again'); } }; }", /again/],
    ["an error that loops", "() => { throw { toString() { for (;;); } }; }", /steps/],
    ["a thrown nothing", "() => { throw null; }", /null/],
    ["a circular state", "(s) => { s.self = s; }", /circular/],
    ["a state that is too large for its memory", "() => ({ text: 'x'.repeat(40e6) })", /memory/],
    ["a state that is too large to be kept", "() => ({ text: 'x'.repeat(3e6) })", /exceeds 2097152/],
    ["host objects by name", "() => require('fs')", /require/],
    ["host objects by constructor", "() => ({ p: (() => {}).constructor('return process')() })", /process/],
    ["a clock", "() => ({ t: performance.now() })", /performance/],
    ["chance", "() => ({ t: Math.random() })", /not a function/],
    ["answers of its own making", "() => { globalThis.__batch = () => 'null'; throw 1; }", /1/],
    ["a tombstone", "() => { emit('victim', '$streamDeleted', {}); }", /Tombstone/],
    ["another projection's checkpoint", "() => { emit('$projections-x-checkpoint', 'T', {}); }", /denied/],
    ["the definitions", "() => { emit('$projections-$all', '$ProjectionDefined', {}); }", /denied/],
    ["a stream that is none", "() => { emit('$all', 'T', {}); }", /no stream/],
  ])("%s", async (_what, handler, why) => {
    const stream = fresh("harm-");
    await count(stream, 0);
    const isFunction = handler.startsWith("function");
    const query = `fromStream("${stream}").when({ Counted: ${isFunction ? `(${handler})` : handler} })`;
    const name = await projected(query, EMITS);
    expect(await faultOf(name)).toMatch(why);
    await goesOn();
    await client.deleteProjection(name);
  });

  it("prototypes are the script's own", async () => {
    const stream = fresh("proto-");
    await count(stream, 0);
    const name = await projected(
      `Object.prototype.polluted = "yes"; Array.prototype.map = () => { throw new Error("mine"); };
      fromStream("${stream}").when({ Counted: () => JSON.parse('{"__proto__": {"isAdmin": true}, "constructor": 1}') })`,
    );
    expect(await faultOf(name)).toBe("Running");
    expect(({} as { readonly polluted?: string }).polluted).toBeUndefined();
    expect(({} as { readonly isAdmin?: boolean }).isAdmin).toBeUndefined();
    await goesOn();
    expect((await events(stream)).length).toBe(1);
  });

  it("a result that is of a script no more faults the projection alone", async () => {
    const stream = fresh("lie-");
    await count(stream, 0);
    const lies = [
      "null",
      "[]",
      '{"handled":1,"failure":null,"effects":[{"stream":5}],"changed":[],"partitions":1}',
      "x",
    ];
    const told = lies.map(async (lie) => {
      const name = await projected(
        `fromStream("${stream}").when({ Counted: () => {} }); globalThis.__batch = () => ${JSON.stringify(lie)};`,
        EMITS,
      );
      expect(await faultOf(name)).not.toBe("Running");
    });
    await Promise.all(told);
    await goesOn();
  });

  it("a state nested too deep for any client is refused with a place, and the projection goes on", async () => {
    const stream = fresh("deep-");
    await count(stream, 0);
    const name = await projected(
      `fromStream("${stream}").when({ Counted: (s) => { let at = s; for (let i = 0; i < 600; i++) at = at.a = {}; } })`,
    );
    await expect(client.getProjectionState(name)).rejects.toThrow(/deeper than 500/);
    expect((await client.getProjectionStatus(name)).projectionStatus).toBe("Running");
  });
});

describe("requests that mean harm", () => {
  const query = (text: Uint8Array): Buffer => {
    const options = new CreateReq.Options();
    const continuous = new CreateReq.Options.Continuous();
    continuous.setName(fresh("bad"));
    options.setContinuous(continuous);
    const head = options.serializeBinary();
    const length: number[] = [];
    for (let left = text.length; ; left >>>= 7) {
      length.push((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
      if (left <= 0x7f) break;
    }
    const body = Buffer.concat([head, Buffer.from([0x22, ...length]), text]);
    const outer: number[] = [];
    for (let left = body.length; ; left >>>= 7) {
      outer.push((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
      if (left <= 0x7f) break;
    }
    return frame(Buffer.concat([Buffer.from([0x0a, ...outer]), body]));
  };
  const text = (words: string) => query(Buffer.from(words));

  it.each([
    ["no UTF-8", query(Buffer.from([0xff, 0xfe])), "EVENTSTORE-INVALID", /UTF-8/],
    ["a syntax error", text("fromAll().when({"), "PROJECTION-SCRIPT", /does not compile/],
    ["nothing at all", text(""), "PROJECTION-SCRIPT", /source/],
    ["a loop before any event", text("for (;;);"), "PROJECTION-SCRIPT", /steps/],
    ["recursion without end", text("(function f() { f(); })()"), "PROJECTION-SCRIPT", /stack|recursion/i],
    ["ten thousand brackets", text("[".repeat(10_000)), "PROJECTION-SCRIPT", /does not compile/],
    ["a NUL", text("fromAll()\0.harm()"), "PROJECTION-SCRIPT", /NUL/],
    ["a script that is too long", text(`fromAll() //${"x".repeat(300_000)}`), "PROJECTION-SCRIPT", /longer/],
    ["a message that is too long", text("x".repeat(5 << 20)), "EVENTSTORE-TOO-LARGE", /too large/],
    ["no mode", frame(Buffer.from([0x0a, 0x03, 0x22, 0x01, 0x78])), "EVENTSTORE-INVALID", /mode/],
    ["a number for a message", frame(Buffer.from([0x08, 0x01])), "EVENTSTORE-INVALID", /number/],
    ["half a message", frame(Buffer.from([0x0a, 0x7f])), "EVENTSTORE-INVALID", /longer/],
  ])("%s", async (_what, bytes, code, message) => {
    const outcome = await ask(session, `${SERVICE}/Create`, bytes);
    expect(outcome).toMatchObject({ status: 3, code, message: expect.stringMatching(message) });
    expect((await client.listProjections()).length).toBeGreaterThan(0);
  });

  it("scripts at once that never end are refused, in no more than a few threads", async () => {
    const threads = await watchThreads(async () => {
      const asked = Array.from({ length: 8 }, () => ask(session, `${SERVICE}/Create`, text("for (;;);")));
      expect((await Promise.all(asked)).every(({ code }) => code === "PROJECTION-SCRIPT")).toBe(true);
    });
    expect(threads.begun).toBe(8);
    expect(threads.most).toBeGreaterThan(1);
    expect(threads.most).toBeLessThanOrEqual(4);
  });
});

/** Threads that begin while `work` is done: how many, and the most at once. */
async function watchThreads(work: () => Promise<void>): Promise<{ readonly begun: number; readonly most: number }> {
  const threads = { begun: 0, most: 0, alive: 0 };
  const onWorker = (worker: Worker): void => {
    threads.begun += 1;
    threads.alive += 1;
    threads.most = Math.max(threads.most, threads.alive);
    worker.on("exit", () => {
      threads.alive -= 1;
    });
  };
  process.on("worker", onWorker);
  try {
    await work();
  } finally {
    process.off("worker", onWorker);
  }
  return threads;
}

describe("projections made at once", () => {
  const room = async (countMax: number, work: (client: InstanceType<typeof EventStoreDBClient>) => Promise<void>) => {
    const small = await serveLog("embedded", { projectionLimits: { ...LIMITS, countMax } });
    const its = connect(small);
    try {
      await work(its);
    } finally {
      await its.dispose();
      await small.close();
    }
  };
  const users = async (its: InstanceType<typeof EventStoreDBClient>) =>
    (await its.listProjections()).filter(({ name }) => !name.startsWith("$"));

  it("are exactly as many as there may be, each in the one thread that compiled it", () =>
    room(5, async (its) => {
      const names = Array.from({ length: 8 }, () => fresh("crowd"));
      const threads = await watchThreads(async () => {
        const made = await Promise.allSettled(names.map((name) => its.createProjection(name, "fromAll()")));
        const refused = made.flatMap((one) => (one.status === "rejected" ? [String(one.reason)] : []));
        expect(refused).toEqual(Array(3).fill(expect.stringContaining("there are 5 projections already")));
      });
      expect((await users(its)).map(({ projectionStatus }) => projectionStatus)).toEqual(Array(5).fill("Running"));
      expect(threads.begun).toBeLessThanOrEqual(names.length);
    }));

  it("take no room when they do not compile, and a name once", () =>
    room(1, async (its) => {
      const name = fresh("alone");
      const wrong = Array.from({ length: 3 }, () => its.createProjection(fresh("wrong"), "1 + 1"));
      const made = await Promise.allSettled([...wrong, its.createProjection(name, "fromAll()")]);
      expect(made.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected", "fulfilled"]);
      await its.disableProjection(name);
      await its.deleteProjection(name);
      const twice = await Promise.allSettled([name, name].map((one) => its.createProjection(one, "fromAll()")));
      expect(twice.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
      expect((await users(its)).length).toBe(1);
    }));
});

it("clients cannot write what passes for a tombstone", async () => {
  await expect(client.appendToStream("alive", [jsonEvent({ type: "$streamDeleted", data: {} })])).rejects.toThrow(
    /Tombstone/,
  );
});
