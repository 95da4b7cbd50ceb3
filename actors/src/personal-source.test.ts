import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  type Feed,
  type FeedGroup,
  type FeedReceipt,
  type Json,
  PersonalIntake,
  Positions,
  RowBatch,
  reportOf,
  type SourceConnector,
  SubjectKeys,
} from "@millrace/engine";
import { SimulatedDisk, SimulatedMount, virtualEnv } from "@millrace/engine/testing";
import { beforeEach, describe, expect, it } from "vitest";
import { personalFeed, personalSource } from "./personal-source.ts";
import { revealedSink } from "./revealed-sink.ts";

let env: ReturnType<typeof virtualEnv>;
let keys: SubjectKeys;
let intake: PersonalIntake;

beforeEach(async () => {
  env = virtualEnv(3);
  const simulated = new SimulatedDisk({ env, random: env.random.fork("disk") });
  simulated.makeDirectory("/data");
  const disk = new SimulatedMount(simulated);
  keys = await env.until(SubjectKeys.open({ disk, directory: "/data/keys", randomBytes }));
  intake = new PersonalIntake(() => keys, { subject: "who", fields: ["mail"] }, "g/n");
});

const MARKS = [{ from: 0, place: "an object" }];
const ANN = { who: "ann", mail: "secret-ann" };

/** Reads two messages, of which the second does not say whose it is, and one line that is no message. */
const source: SourceConnector = {
  capabilities: { replay: true, ordered: true, bounded: true },
  partitions: async () => ["p"],
  open: async (_partition, _after, marks) => ({
    read: async () => ({
      marks: marks ?? [],
      batch: new RowBatch([ANN, { mail: "secret-nobody" }]),
      positions: Positions.dense(4, 2),
      through: 6,
      rejected: [{ pos: 6, error: new SyntaxError("what is secret-line?"), input: "secret-line" }],
    }),
    close: async () => undefined,
  }),
};

describe("a source with personal fields", () => {
  const read = async () => {
    const reader = await personalSource(source, intake).open("p", -1, MARKS);
    const batch = await env.until(reader.read(10));
    if (typeof batch === "string") throw new Error(batch);
    return batch;
  };

  it("gives sealed messages, and of all that it refuses place and code only", async () => {
    const { batch, positions, rejected, marks } = await read();
    expect(marks).toEqual(MARKS);
    const shown = JSON.stringify([batch.rows(), rejected.map(({ error, input }) => [reportOf(error), input ?? null])]);
    expect(shown).not.toContain("secret");
    expect(batch.rows().map(keys.reveal)).toEqual([ANN]);
    expect([positions.n, positions.pos(0)]).toEqual([1, 4]);
    const codes = rejected.map(({ pos, error }) => [pos, reportOf(error).code]);
    expect(codes).toEqual([
      [5, "PERSONAL-SUBJECT"],
      [6, "PERSONAL-INPUT"],
    ]);
  });

  it("gives the same bytes when it is read again, and nothing once the subject is erased", async () => {
    const first = (await read()).batch.rows();
    expect((await read()).batch.rows()).toEqual(first);
    await env.until(keys.destroy(keys.find("ann")?.key ?? ""));
    expect((await read()).batch.rows()).toEqual([{ who: "ann", mail: { $erased: keys.find("ann")?.key } }]);
    expect(first.map(keys.reveal)).toEqual([{ who: "ann", mail: { $erased: keys.find("ann")?.key } }]);
  });
});

describe("a feed with personal fields", () => {
  it("hands over in order what it sealed, with the receipts", async () => {
    const taken: Json[] = [];
    const refused: string[] = [];
    const settled: number[] = [];
    const feed: Feed = {
      connection: () => ({ state: "connected" }) as never,
      run: async (into) => {
        for (const n of [1, 2, 3]) into.take({ ...ANN, n }, { settle: () => settled.push(n) });
        into.take({ mail: "secret-nobody" });
        into.reject(new Error("secret-line"), "secret-line");
      },
    };
    const settle = (receipt?: FeedReceipt): void => receipt?.settle?.();
    const end = new Promise<void>((resolve) => {
      const into = {
        cursor: undefined,
        takeGroup: () => undefined,
        take: (message: Json, receipt?: FeedReceipt) => {
          taken.push(message);
          settle(receipt);
        },
        reject: (error: unknown, input: Json) => {
          refused.push(JSON.stringify([reportOf(error), input]));
          if (refused.length === 2) resolve();
        },
        lose: () => undefined,
      };
      void personalFeed(feed, intake, env).run(into, new AbortController().signal);
    });
    await env.until(end);
    expect(JSON.stringify([taken, refused])).not.toContain("secret");
    expect(taken.map(keys.reveal)).toEqual([1, 2, 3].map((n) => ({ ...ANN, n })));
    expect(settled).toEqual([1, 2, 3]);
  });
});

describe("a feed with personal fields that is faster than its keys", () => {
  /** Sends the messages at once, the last with a receipt, and counts what becomes of them. */
  async function flood(into: PersonalIntake, count: number): Promise<{ taken: number; lost: number }> {
    const sum = { taken: 0, lost: 0 };
    const receipt = { settle: () => undefined };
    const feed: Feed = {
      connection: () => ({ state: "connected" }) as never,
      run: async (target) => {
        for (let n = 0; n < count; n++) target.take({ who: `who-${n}`, mail: "x" }, n === count - 1 ? receipt : {});
      },
    };
    const end = new Promise<void>((resolve) => {
      const target = {
        cursor: undefined,
        takeGroup: () => undefined,
        take: (_: Json, { settle }: FeedReceipt = {}) => {
          sum.taken++;
          if (settle !== undefined) resolve();
        },
        reject: () => expect.unreachable(),
        lose: (lost: number) => {
          sum.lost += lost;
        },
      };
      void personalFeed(feed, into, env, { waitingMax: 10 }).run(target, new AbortController().signal);
    });
    await env.until(end);
    return sum;
  }

  it("sheds what it cannot keep waiting, and never what waits for a receipt", async () => {
    // One is being sealed, ten wait, and the one with a receipt waits in any case.
    expect(await flood(intake, 100)).toEqual({ taken: 12, lost: 88 });
  });

  it("seals what waits together in one go", async () => {
    const sizes: number[] = [];
    class Counted extends PersonalIntake {
      override seal(messages: readonly Json[], placeOf: (i: number) => string): ReturnType<PersonalIntake["seal"]> {
        sizes.push(messages.length);
        return super.seal(messages, placeOf);
      }
    }
    await flood(new Counted(() => keys, { subject: "who", fields: ["mail"] }, "g/in"), 100);
    expect(sizes).toEqual([1, 11]);
  });
});

describe("a sink that reveals", () => {
  it("gets the values, and markers of what was erased", async () => {
    const sealed = (await env.until(intake.seal([ANN], String))) as readonly Json[];
    const delivered: Json[] = [];
    const target = {
      guarantee: "at-least-once",
      open: async () => undefined,
      deliver: async (slices: readonly { readonly batch: { rows(): readonly Json[] } }[]) => {
        delivered.push(...slices.flatMap(({ batch }) => batch.rows()));
        return null;
      },
      close: async () => undefined,
    } as const;
    const sink = revealedSink(target, keys.revelation);
    const slice = { lane: "l", input: 0, batch: new RowBatch(sealed), positions: Positions.dense(0, 1), late: [] };
    await sink.deliver([slice]);
    await env.until(keys.destroy(keys.find("ann")?.key ?? ""));
    await sink.deliver([slice]);
    expect(delivered).toEqual([ANN, { who: "ann", mail: { $erased: keys.find("ann")?.key } }]);
  });

  it("tells what is under way, until it has ended, well or badly", async () => {
    const bob = { who: "bob", mail: "secret-bob" };
    const sealed = (await env.until(intake.seal([ANN, bob], String))) as readonly Json[];
    const ends: { readonly resolve: (outcome: null) => void; readonly reject: (reason: Error) => void }[] = [];
    const target = {
      guarantee: "at-least-once",
      open: async () => undefined,
      deliver: () => new Promise<null>((resolve, reject) => ends.push({ resolve, reject })),
      close: async () => undefined,
    } as const;
    const sink = revealedSink(target, keys.revelation);
    const deliver = (row: Json): Promise<unknown> => {
      const batch = new RowBatch([row]);
      const slice = { lane: "l", input: 0, batch, positions: Positions.dense(0, 1), late: [] };
      return sink.deliver([slice]).catch((reason: Error) => reason.message);
    };
    const key = keys.find("ann")?.key ?? "";
    const over: string[] = [];
    const watch = (name: string, id: string): void => void keys.delivered(id).then(() => over.push(name));
    const [first, second, ofBob] = [deliver(sealed[0] as Json), deliver(sealed[0] as Json), deliver(sealed[1] as Json)];
    await env.until(keys.destroy(key));
    const marked = deliver(sealed[0] as Json);
    watch("ann", key);
    watch("bob", keys.find("bob")?.key ?? "");
    ends[0]?.resolve(null);
    await first;
    await env.advance(1);
    expect(over).toEqual([]);
    ends[1]?.reject(new Error("the target is away"));
    expect(await second).toBe("the target is away");
    await env.advance(1);
    // That which began afterwards, with a marker, holds nobody up.
    expect(over).toEqual(["ann"]);
    ends[2]?.resolve(null);
    ends[3]?.resolve(null);
    await Promise.all([ofBob, marked]);
    await env.advance(1);
    expect(over).toEqual(["ann", "bob"]);
  });
});

describe("a feed with a cursor and personal fields", () => {
  it("passes on what was sealed with its cursor, and goes back there when keys could not be written", async () => {
    const passed: FeedGroup[] = [];
    const runs: unknown[] = [];
    let failures = 1;
    let lost = 0;
    const stop = new AbortController();
    const into: PersonalIntake = Object.assign(Object.create(intake) as PersonalIntake, {
      seal: async (...[messages, place]: Parameters<PersonalIntake["seal"]>) => {
        if (JSON.stringify(messages).includes("bob") && failures-- > 0) throw new Error("the disk is full");
        return intake.seal(messages, place);
      },
    });
    const rows = [ANN, { who: "bob", mail: "secret-bob" }, { who: "cat", mail: "secret-cat" }];
    const feed: Feed = {
      connection: () => {
        throw new Error("not asked for");
      },
      async run(target, signal) {
        runs.push(target.cursor);
        for (let at = Number(target.cursor ?? 0); at < rows.length && !signal.aborted; at++) {
          target.takeGroup({
            items: [{ message: rows[at] as Json }, { message: "secret", error: "bad" }],
            cursor: at + 1,
          });
          await new Promise<void>((done) => env.timers.after(1, done));
        }
        if (!signal.aborted) await once(signal, "abort");
      },
    };
    const run = personalFeed(feed, into, env).run(
      {
        cursor: undefined,
        take: () => undefined,
        takeGroup(group) {
          passed.push(group);
          if (group.cursor === rows.length) stop.abort();
        },
        reject: () => undefined,
        lose: () => lost++,
      },
      stop.signal,
    );
    await env.until(run);
    expect(runs).toEqual([undefined, 1]);
    // What is read again is not lost.
    expect(lost).toBe(0);
    expect(passed.map(({ cursor }) => cursor)).toEqual([1, 2, 3]);
    expect(JSON.stringify(passed)).not.toContain("secret");
    expect(passed.map(({ items }) => keys.reveal(items[0]?.message ?? null))).toEqual(rows);
  });
});

it("counts as lost what nobody sends again when keys cannot be written, no message or message", async () => {
  const into: PersonalIntake = Object.assign(Object.create(intake) as PersonalIntake, {
    seal: () => Promise.reject(new Error("the disk is full")),
  });
  const feed: Feed = {
    connection: () => {
      throw new Error("not asked for");
    },
    async run(target) {
      target.take(ANN);
      for (const input of ["{", "["]) target.reject(new Error("no JSON"), input);
      target.take(ANN, { settle: () => undefined });
      await new Promise<void>((done) => env.timers.after(1, done));
    },
  };
  let lost = 0;
  const nothing = (): never => {
    throw new Error("nothing was sealed");
  };
  const target = { cursor: undefined, take: nothing, takeGroup: nothing, reject: nothing };
  await env.until(
    personalFeed(feed, into, env).run({ ...target, lose: (count) => (lost += count) }, new AbortController().signal),
  );
  expect(lost).toBe(3);
});
