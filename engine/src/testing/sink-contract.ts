/** What every `SinkConnector` must do. A connector's test calls {@link sinkContract} and adds only what is peculiar to it. */
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import type { InputSlice } from "../behavior/committed-behavior.ts";
import { RowBatch } from "../frame/batch.ts";
import type { Json } from "../frame/json.ts";
import { Positions } from "../frame/positions.ts";
import type { SinkConnector } from "../sink/sink-connector.ts";

/** One target, however many connectors come and go in front of it. */
export interface SinkHarness {
  /** A new connector in front of the same target, as a new incarnation of a node makes it. */
  connect(): SinkConnector;
  /** The messages that the target holds now, in order. */
  content(): Promise<readonly Json[]>;
  close(): Promise<void>;
}

/** Most messages of a step in the crash test. */
const STEP_MAX = 5;

/** `make` makes a fresh, empty target. So many histories with crashes are tried, of at most so many steps, each of which may connect. */
export function sinkContract(
  name: string,
  make: () => Promise<SinkHarness>,
  { runs = 15, stepsMax = 12 }: { readonly runs?: number; readonly stepsMax?: number } = {},
): void {
  const opened: SinkHarness[] = [];
  afterEach(async () => {
    for (const harness of opened.splice(0)) await harness.close();
  });
  const target = async (): Promise<SinkHarness> => {
    const harness = await make();
    opened.push(harness);
    return harness;
  };

  describe(`${name} is a sink`, () => {
    test("what was delivered is in the target, in order, once the delivery is answered", async () => {
      const { connect, content } = await target();
      const sink = connect();
      await sink.open(undefined);
      const first = await sink.deliver([sliceOf(0, 3), sliceOf(3, 2)]);
      expect(await content()).toEqual(messages(0, 5));
      const second = await sink.deliver([sliceOf(5, 1)]);
      expect(await content()).toEqual(messages(0, 6));
      expect(structuredClone([first, second])).toEqual(JSON.parse(JSON.stringify([first, second])));
      await sink.close();
    });

    test("a new connector goes on where the last commit left off", async () => {
      const { connect, content } = await target();
      const before = connect();
      await before.open(undefined);
      const committed = await before.deliver([sliceOf(0, 4)]);
      await before.close();
      const after = connect();
      await after.open(committed);
      await after.deliver([sliceOf(4, 4)]);
      await after.close();
      expect(await content()).toEqual(messages(0, 8));
    });

    test("deliveries that were never committed are undone or repeated, as the guarantee says", async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.record({ n: fc.integer({ min: 1, max: STEP_MAX }), isCommitted: fc.boolean() }), {
            maxLength: stepsMax,
          }),
          async (steps) => {
            const { connect, content } = await target();
            let sink = connect();
            let committed: Json | undefined;
            let sent = 0;
            await sink.open(undefined);
            for (const { n, isCommitted } of steps) {
              const result = await sink.deliver([sliceOf(sent, n)]);
              if (isCommitted) {
                committed = result;
                sent += n;
                continue;
              }
              // The node died between delivery and commit.
              await sink.close();
              sink = connect();
              await sink.open(committed);
            }
            // What is behind the last commit is delivered again by whoever comes next.
            await sink.deliver([sliceOf(sent, STEP_MAX)]);
            sent += STEP_MAX;
            await sink.close();
            const held: readonly unknown[] = await content();
            if (sink.guarantee === "at-least-once" || sink.guarantee === "best-effort")
              expect(held).toEqual(expect.arrayContaining(messages(0, sent) as unknown[]));
            else expect(held).toEqual(messages(0, sent));
          },
        ),
        { numRuns: runs },
      );
    });

    test("closing twice, or before it was opened, does no harm", async () => {
      const { connect } = await target();
      const sink = connect();
      await sink.close();
      await sink.open(undefined);
      await sink.close();
      await sink.close();
    });
  });
}

function messages(from: number, n: number): readonly Json[] {
  return Array.from({ length: n }, (_, i) => ({ id: from + i, name: `név "${from + i}"`, amount: (from + i) / 2 }));
}

function sliceOf(from: number, n: number): InputSlice {
  return {
    lane: "lane",
    input: 0,
    batch: new RowBatch(messages(from, n)),
    positions: Positions.dense(from, n),
    late: [],
  };
}
