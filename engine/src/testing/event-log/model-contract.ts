/** Random operations on a log and on a model of it must agree. The model is an array and a map of heads. */
import fc from "fast-check";
import { expect, it } from "vitest";
import type { EventInput, EventLog, RecordedEvent, StreamAppend } from "../../log/event-log.ts";
import { gather, sampleEvents } from "../sample-events.ts";
import { type EventLogHarness, type MakeEventLog, withLog } from "./harness.ts";
import { type ModelEvent, ModelLog, sliceFrom } from "./model-log.ts";

const RUNS = 25;
const STREAMS = ["a", "b", "graph/ü", "a/b"] as const;

type Operation =
  | { readonly do: "append"; readonly parts: readonly Part[] }
  | { readonly do: "retry"; readonly which: number }
  | { readonly do: "read"; readonly from: number; readonly backward: boolean; readonly limit: number }
  | { readonly do: "readStream"; readonly stream: string; readonly from: number; readonly backward: boolean }
  | { readonly do: "reopen" };

interface Part {
  readonly stream: string;
  /** A kind of expectation; "exact" is the model's head plus `off`, so that it holds now and then. */
  readonly expect: "any" | "none" | "exists" | "exact";
  readonly off: number;
  readonly count: number;
}

const stream = fc.constantFrom(...STREAMS);
const part: fc.Arbitrary<Part> = fc.record({
  stream,
  expect: fc.constantFrom("any", "any", "exact", "none", "exists"),
  off: fc.constantFrom(0, 0, 0, -1, 1),
  count: fc.integer({ min: 1, max: 4 }),
});
const from = fc.integer({ min: 0, max: 40 });
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("append" as const),
      parts: fc.uniqueArray(part, { minLength: 1, maxLength: 3, selector: (p) => p.stream }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("retry" as const), which: fc.nat(50) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("read" as const), from, backward: fc.boolean(), limit: from }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("readStream" as const), stream, from, backward: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reopen" as const) }) },
);

class Model extends ModelLog<EventInput> {
  readonly accepted: { readonly appends: readonly StreamAppend[]; readonly first: number; readonly last: number }[] =
    [];

  override append(appends: readonly StreamAppend[]): boolean {
    const first = this.events.length;
    if (!super.append(appends)) return false;
    this.accepted.push({ appends, first, last: this.events.length - 1 });
    return true;
  }

  slice(places: readonly number[], at: number, backward: boolean, limit?: number): string[] {
    return sliceFrom(places, at, backward, limit).map((position) => this.line(position));
  }

  line(position: number): string {
    const { stream, revision, event } = this.events[position] as ModelEvent<EventInput>;
    return `${position} ${stream}@${revision} ${event.id.join()}`;
  }
}

export function modelContract(make: MakeEventLog): void {
  it("agrees with an array on any sequence of operations", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { minLength: 1, maxLength: 25 }), (operations) =>
        withLog(make, async (_, harness) => {
          const model = new Model();
          let log = harness.log;
          for (const op of operations) log = await perform(op, model, log, harness);
          expect(log.durableEnd).toBe(model.events.length);
          for (const name of STREAMS) expect(await log.head(name)).toBe(model.head(name));
        }),
      ),
      { numRuns: RUNS },
    );
  }, 120_000);
}

async function perform(op: Operation, model: Model, log: EventLog, harness: EventLogHarness): Promise<EventLog> {
  const direction = "backward" in op && op.backward ? "backward" : "forward";
  switch (op.do) {
    case "append":
      await appendBoth(harness.oneStream ? op.parts.slice(0, 1) : op.parts, model, log);
      break;
    case "retry": {
      const earlier = model.accepted[op.which % Math.max(1, model.accepted.length)];
      if (earlier === undefined) break;
      const again = await log.append(earlier.appends);
      expect(again).toMatchObject({ repeated: true, firstPosition: earlier.first, position: earlier.last });
      break;
    }
    case "read": {
      const got = await gather(log.read({ from: op.from, direction, limit: op.limit }));
      expect(got.map(line)).toEqual(model.slice(model.places(), op.from, direction === "backward", op.limit));
      break;
    }
    case "readStream": {
      const got = await gather(log.readStream(op.stream, { from: op.from, direction }));
      expect(got.map(line)).toEqual(model.slice(model.places(op.stream), op.from, direction === "backward"));
      break;
    }
    case "reopen":
      return harness.reopen();
  }
  return log;
}

async function appendBoth(parts: readonly Part[], model: Model, log: EventLog): Promise<void> {
  const appends = parts.map((p) => ({
    stream: p.stream,
    expected: p.expect === "exact" ? Math.max(0, model.head(p.stream) + p.off) : p.expect,
    events: sampleEvents(p.count),
  }));
  const first = model.events.length;
  if (model.append(appends)) {
    const result = await log.append(appends);
    expect(result).toMatchObject({ repeated: false, firstPosition: first, position: model.events.length - 1 });
    expect(result.revisions).toEqual(appends.map((a) => model.head(a.stream)));
  } else {
    await expect(log.append(appends)).rejects.toMatchObject({ code: "LOG-WRONG-REVISION" });
  }
}

function line(e: RecordedEvent): string {
  return `${e.position} ${e.stream}@${e.revision} ${e.id.join()}`;
}
