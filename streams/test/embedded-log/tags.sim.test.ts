/** Reads and conditions by tags against a plain look at every event, whatever the log has been through. */
import {
  type AppendCondition,
  breaksCondition,
  type EventFilter,
  type EventInput,
  eventFilter,
  type RecordedEvent,
} from "@millrace/engine";
import { sampleEvent, tagged, to } from "@millrace/engine/testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TailTags } from "../../src/embedded/tail-tags.ts";
import { ArchivedLog } from "./archived-log.ts";
import { gather } from "./log-model.ts";

const TAGS = ["seat:17", "flight:LH400", 'ü "x"\\', "t".repeat(400)];
const TYPES = ["Booked", "Freed"];
const STREAMS = ["seat-1", "seat-2", "plane-1"];

const appended = fc.record({
  stream: fc.constantFrom(...STREAMS),
  type: fc.constantFrom(...TYPES),
  tags: fc.subarray(TAGS),
  padding: fc.constantFrom(0, 0, 9_000, 20_000),
});
const filtered: fc.Arbitrary<EventFilter> = fc.oneof(
  fc.subarray(TAGS, { minLength: 1 }).map((tags) => ({ tags })),
  fc.record({ tags: fc.subarray(TAGS, { minLength: 1 }), types: fc.constantFrom(["Booked"], TYPES, ["Never"]) }),
  fc.record({ tags: fc.subarray(TAGS, { minLength: 1 }), category: fc.constantFrom("seat", "plane", "none") }),
);
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("append" as const),
      events: fc.array(appended, { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("appendIf" as const),
      event: appended,
      none: fc.array(filtered, { minLength: 1, maxLength: 2 }),
      behind: fc.nat(12),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("read" as const), filter: filtered, at: fc.nat(100) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("reopen", "rebuild", "index", "archive", "prune") }) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

class TaggedLog {
  readonly made = new ArchivedLog("tags");
  readonly events: RecordedEvent[] = [];

  get log(): ArchivedLog["process"]["log"] {
    return this.made.process.log;
  }

  async run(one: Step): Promise<void> {
    if (one.do === "append") await Promise.all(one.events.map((event) => this.#append(event)));
    else if (one.do === "appendIf") await this.#appendIf(one);
    else if (one.do === "read") await this.#read(one.filter, one.at);
    else await this.#treat(one.do);
  }

  async #append({
    stream,
    type,
    tags,
    padding,
  }: typeof appended extends fc.Arbitrary<infer A> ? A : never): Promise<void> {
    const event = sampleEvent({ type, ...tagged(tags, padding) });
    this.#know(stream, event, (await this.made.until(this.log.append(to(stream, event)))).position);
  }

  async #appendIf({ event: asked, none, behind }: Extract<Step, { do: "appendIf" }>): Promise<void> {
    const after = Math.max(this.log.base - 1, this.log.durableEnd - 1 - behind);
    const condition: AppendCondition = { none, after };
    const event = sampleEvent({ type: asked.type, ...tagged(asked.tags, asked.padding) });
    const breaking = this.events.find(breaksCondition(condition));
    const outcome = await this.made.until(
      this.log.appendIf(condition, to(asked.stream, event)).then(
        ({ position }) => ({ position }),
        (thrown: { readonly code: string; readonly details: object }) => ({
          code: thrown.code,
          details: thrown.details,
        }),
      ),
    );
    if (breaking === undefined) expect(outcome).toEqual({ position: this.events.length });
    else expect(outcome).toMatchObject({ code: "LOG-CONDITION", details: { position: breaking.position } });
    if ("position" in outcome) this.#know(asked.stream, event, outcome.position);
  }

  async #read(filter: EventFilter, at: number): Promise<void> {
    const { base } = this.log;
    const end = this.events.length;
    const from = base + Math.floor((at * (end - base)) / 100);
    const passing = this.events.filter(({ position }) => position >= base).filter(eventFilter(filter));
    const positions = async (options: object): Promise<number[]> =>
      (await this.made.until(gather(this.log.read({ filter, ...options })))).map(({ position }) => position);
    const expected = passing.map(({ position }) => position);
    expect(await positions({ from })).toEqual(expected.filter((position) => position >= from));
    expect(await positions({ from, limit: 2 })).toEqual(expected.filter((position) => position >= from).slice(0, 2));
    expect(await positions({ direction: "backward" })).toEqual([...expected].reverse());
    expect(await positions({ direction: "backward", from })).toEqual(
      expected.filter((position) => position <= from).reverse(),
    );
  }

  async #treat(what: Exclude<Step["do"], "append" | "appendIf" | "read">): Promise<void> {
    const { made } = this;
    if (what === "reopen") await made.reopen();
    else if (what === "index") await made.until(this.log.indexed());
    else if (what === "rebuild") {
      made.machine.kill(made.process);
      made.machine.forgetWitnesses();
      await made.open();
    } else {
      await made.until(this.log.indexed());
      await made.archive();
      if (what === "prune") await made.until(this.log.retention.prune(FREE));
    }
  }

  #know(stream: string, event: EventInput, position: number): void {
    const revision = this.events.filter((known) => known.stream === stream).length;
    this.events[position] = { ...event, stream, position, revision, timeMs: 0 };
  }
}

const FREE = {
  beforeMs: Number.POSITIVE_INFINITY,
  needs: async () => [],
  heldBy: async () => undefined,
  by: { principal: "test", reason: "" },
};

describe("tags", () => {
  it("are found as a look at every event finds them, through restarts, a new index, archive and prune", async () => {
    let pruned = 0;
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
        const run = new TaggedLog();
        await run.made.open();
        for (const one of steps) {
          const before = run.events.length;
          await run.run(one);
          if (one.do === "appendIf" && run.events.length === before) refused++;
        }
        pruned += run.log.base > 0 ? 1 : 0;
        await run.made.machine.close(run.made.process);
      }),
      { numRuns: 60 },
    );
    // Or the property says nothing about either.
    expect(pruned).toBeGreaterThan(5);
    expect(refused).toBeGreaterThan(50);
  }, 60_000);

  it("are looked up, not looked for: what lies between is not read", async () => {
    const run = new TaggedLog();
    await run.made.open();
    for (let i = 0; i < 8; i++)
      await run.run({
        do: "append",
        events: [{ stream: "seat-1", type: "Booked", tags: ["seat:17"], padding: 20_000 }],
      });
    await run.run({ do: "index" });
    run.made.machine.disk.flipBit(run.made.machine.segment(1), 4096 + 700);
    await expect(run.made.until(gather(run.log.read()))).rejects.toMatchObject({ code: "LOG-CORRUPT" });
    const never = { none: [{ tags: ["seat:18"] }, { tags: ["seat:17"], types: ["Freed"] }], after: -1 };
    const { position } = await run.made.until(run.log.appendIf(never, to("seat-1", sampleEvent({ type: "Freed" }))));
    expect(position).toBe(8);
  });

  it("of a condition that reaches below what was pruned cannot be known", async () => {
    const run = new TaggedLog();
    await run.made.open();
    for (let i = 0; i < 8; i++)
      await run.run({ do: "append", events: [{ stream: "seat-1", type: "Booked", tags: [], padding: 20_000 }] });
    await run.run({ do: "prune" });
    const condition = { none: [{ tags: ["seat:17"] }], after: -1 };
    await expect(run.made.until(run.log.appendIf(condition, to("seat-1", sampleEvent())))).rejects.toMatchObject({
      code: "LOG-PRUNED",
    });
  });
});

describe("tags of the un-indexed tail", () => {
  it("are forgotten with what the index has, and begin again beyond their room", () => {
    const tags = new TailTags(10, 1000);
    for (let position = 10; position < 14; position++) tags.add(position, ["a", position % 2 === 0 ? "even" : "odd"]);
    expect(tags.candidates(["a"], 10, 13)).toEqual([10, 11, 12]);
    expect(tags.candidates(["a", "odd"], 10, 100)).toEqual([11, 13]);
    expect(tags.candidates(["a", "other"], 10, 100)).toEqual([]);
    expect(tags.candidates(["a"], 9, 100)).toBeUndefined();
    tags.release(12);
    expect(tags.candidates(["a"], 12, 100)).toEqual([12, 13]);
    for (let position = 14; position < 32; position++) tags.add(position, ["a"]);
    expect(tags.candidates(["a"], 12, 100)).toBeUndefined();
    expect(tags.candidates(["a"], 30, 100)).toEqual([30, 31]);
  });
});
