/**
 * What every `SourceConnector` must do. A connector's test calls {@link sourceContract} and adds only what is peculiar to it.
 */
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { reportOf } from "../errors.ts";
import type { Json, JsonObject } from "../frame/json.ts";
import type { RejectedInput, SourceConnector, SourceMark, SourceReader } from "../source/source-connector.ts";

export interface SourceHarness {
  readonly connector: SourceConnector;
  /** What the source holds, in order, if that differs in form from what was asked for. Default: the same. */
  readonly messages?: readonly Json[];
  close(): Promise<void>;
}

/** Makes sources on fresh storage. */
export interface SourceMaker {
  /** A source that holds these rows: `{ id, name, amount, ok }`, where `amount` may be null. */
  holding(rows: readonly JsonObject[]): Promise<SourceHarness>;
  /** A source of the rows with inputs between them that are no messages; how many of these. Absent where there is no such thing. */
  holdingBad?(rows: readonly JsonObject[]): Promise<SourceHarness & { readonly bad: number }>;
  /** A source of something that does not exist. Absent where a source always exists. */
  missing?(): Promise<SourceHarness>;
}

interface Taken {
  readonly messages: readonly (readonly [pos: number, row: Json])[];
  readonly rejected: readonly RejectedInput[];
  readonly sizes: readonly number[];
  /** Those that were given, and those that came. */
  readonly marks: readonly SourceMark[];
}

export function sourceContract(name: string, maker: SourceMaker): void {
  const opened: SourceHarness[] = [];
  afterEach(async () => {
    for (const harness of opened.splice(0)) await harness.close();
  });
  const holding = async (n: number): Promise<{ source: SourceConnector; rows: readonly Json[] }> => {
    const rows = sampleRows(n);
    const harness = await maker.holding(rows);
    opened.push(harness);
    return { source: harness.connector, rows: harness.messages ?? rows };
  };

  describe(`${name} is a source`, () => {
    test("it gives every message once, in order, and then ends if it is bounded", async () => {
      const { source, rows } = await holding(100);
      const { messages, rejected } = await takeAll(source, -1, 7);
      expect(messages.map(([, row]) => row)).toEqual(rows);
      expect(rejected).toEqual([]);
    });

    test("positions ascend and batches are no larger than asked for", async () => {
      const { source } = await holding(50);
      const { messages, sizes } = await takeAll(source, -1, 8);
      expect(messages.every(([pos], i) => Number.isSafeInteger(pos) && pos > (messages[i - 1]?.[0] ?? -1))).toBe(true);
      expect(Math.max(...sizes)).toBeLessThanOrEqual(8);
    });

    test("whatever is asked for at once, the same positions give the same messages, and any position is followed by the rest", async () => {
      const { source } = await holding(60);
      if (!source.capabilities.replay) return;
      const { messages: whole, marks } = await takeAll(source, -1, 1000);
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: -1, max: 59 }),
          fc.integer({ min: 1, max: 70 }),
          async (index, messagesMax) => {
            const after = index < 0 ? -1 : (whole[index]?.[0] as number);
            const rest = await takeAll(source, after, messagesMax, marks);
            expect(rest.messages).toEqual(whole.slice(index + 1));
            expect(rest.marks).toEqual(marksBehind(marks, after));
          },
        ),
        { numRuns: 20 },
      );
    });

    test("a source without messages has nothing to give", async () => {
      const { source } = await holding(0);
      expect((await takeAll(source, -1, 10)).messages).toEqual([]);
    });

    test("closing ends a read in progress, and a closed reader is idle", async () => {
      const { source } = await holding(20);
      const reader = await openFirst(source, -1);
      const reading = reader.read(5);
      await reader.close();
      expect(["object", "string"]).toContain(typeof (await reading));
      expect(await reader.read(5)).toBe("idle");
      await reader.close();
    });

    const { holdingBad, missing } = maker;
    if (holdingBad !== undefined) {
      test("what is no message is rejected with its place, and the rest flows, wherever reading begins", async () => {
        const rows = sampleRows(30);
        const harness = await holdingBad(rows);
        opened.push(harness);
        const { messages, rejected, marks } = await takeAll(harness.connector, -1, 4);
        expect(messages.map(([, row]) => row)).toEqual(harness.messages ?? rows);
        expect(rejected.length).toBe(harness.bad);
        for (const { error, pos } of rejected) {
          const report = reportOf(error);
          expect([report.kind, report.code]).toEqual(["rejected", expect.stringMatching(/^MSG-(?:DECODE|SIZE)$/)]);
          expect(report.place).toBeDefined();
          expect(Number.isSafeInteger(pos)).toBe(true);
        }
        const middle = messages[14]?.[0] as number;
        const rest = await takeAll(harness.connector, middle, 3, marks);
        expect(rest.messages).toEqual(messages.slice(15));
        expect(rest.rejected.map(({ pos }) => pos)).toEqual(
          rejected.map(({ pos }) => pos).filter((pos) => pos > middle),
        );
      });
    }

    if (missing !== undefined) {
      test("what does not exist is a transient failure that says so", async () => {
        const harness = await missing();
        opened.push(harness);
        const failure = await takeAll(harness.connector, -1, 10).catch(reportOf);
        expect(failure).toMatchObject({ code: "SOURCE-MISSING", kind: "transient", place: expect.anything() });
      });
    }
  });
}

function sampleRows(n: number): readonly JsonObject[] {
  return Array.from({ length: n }, (_, i) => ({
    id: i,
    name: `név, "${i % 7}"`,
    amount: i % 5 === 0 ? null : i / 4,
    ok: i % 2 === 0,
  }));
}

async function openFirst(
  source: SourceConnector,
  after: number,
  marks: readonly SourceMark[] = [],
): Promise<SourceReader> {
  const [partition] = await source.partitions();
  return source.open(partition as string, after, marks);
}

/** What the log has of marks for who reads on behind `after`. */
function marksBehind(marks: readonly SourceMark[], after: number): readonly SourceMark[] {
  return marks.slice(
    Math.max(
      0,
      marks.findLastIndex(({ from }) => from <= after + 1),
    ),
  );
}

/** Everything behind `after`, until the source ends or is idle with nothing more to come. */
async function takeAll(
  source: SourceConnector,
  after: number,
  messagesMax: number,
  logged: readonly SourceMark[] = [],
): Promise<Taken> {
  const marks = [...marksBehind(logged, after)];
  const reader = await openFirst(source, after, marks);
  const messages: [number, Json][] = [];
  const rejected: RejectedInput[] = [];
  const sizes: number[] = [];
  let through = after;
  try {
    for (;;) {
      const batch = await reader.read(messagesMax);
      if (batch === "end" || (batch === "idle" && !source.capabilities.bounded))
        return { messages, rejected, sizes, marks };
      if (batch === "idle") continue;
      sizes.push(batch.batch.n);
      for (const mark of batch.marks ?? []) {
        expect(mark.from).toBeGreaterThan(marks.at(-1)?.from ?? -1);
        expect(mark.from).toBeLessThanOrEqual(batch.through);
        marks.push(mark);
      }
      for (let i = 0; i < batch.batch.n; i++) messages.push([batch.positions.pos(i), batch.batch.row(i)]);
      rejected.push(...batch.rejected);
      const last = Math.max(
        batch.batch.n === 0 ? -1 : batch.positions.pos(batch.batch.n - 1),
        batch.rejected.at(-1)?.pos ?? -1,
      );
      expect(batch.through).toBeGreaterThanOrEqual(Math.max(last, through));
      through = batch.through;
    }
  } finally {
    await reader.close();
  }
}
