/** Messages picked by the addon against the same by TypeScript: the same indices, for any frame, and nothing where it is unsure. */
import {
  COMPARISONS,
  ColumnBatch,
  compileExpression,
  Dictionary,
  type PreparedCondition,
  type SelectionKernel,
} from "@millrace/engine";
import { nativeSelection } from "@millrace/native";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

const skipped = process.env.MILLRACE_SKIP_RUST;
const kernel = (): SelectionKernel => nativeSelection() as SelectionKernel;

const DOUBLES = [0, -0, 15, 14.999, 5e-324, -5e-324, 2 ** 53, -(2 ** 53), 1.7e308, Number.NaN, 1 / 0, -1 / 0];
const INTS = [0, 15, 14, 16, -1, 2 ** 31 - 1, -(2 ** 31)];
const TEXTS = ["ATL", "", "é", "é", "\ud800", "😀", "x".repeat(5000)];
const LIMITS = ["0", "15", "14.999", "-0.0", "9007199254740993", "1e300"];

/** Of one part, which every message has an answer to. */
const sureArb = fc.oneof(
  fc
    .tuple(fc.constantFrom("i", "f"), fc.constantFrom(...COMPARISONS), fc.constantFrom(...LIMITS))
    .map(([field, op, limit]) => `event.${field} ${op} ${limit}`),
  fc.constantFrom("event.s == 'ATL'", "event.s < 'z'", "event.w != ''", "size(event.s) > 1", "event.b", "15 > event.i"),
);
/** Of one part; some fail for some messages or all. */
const partArb = fc.oneof(
  { arbitrary: sureArb, weight: 3 },
  fc.constantFrom("event.s < 3", "event.z < 3", "event.s == 3", "size(event.s) / size(event.s) == 1"),
);

/** Of several parts, or one negated. */
function combined(part: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.letrec<{ any: string; several: string }>((tie) => ({
    any: fc.oneof({ depthSize: "small" }, part, tie("several")),
    several: fc.oneof(
      fc
        .tuple(tie("any"), fc.constantFrom("&&", "||"), tie("any"))
        .map(([left, op, right]) => `(${left}) ${op} (${right})`),
      tie("any").map((condition) => `!(${condition})`),
    ),
  })).several;
}

/** `size` rows drawn from a seed: large frames would take long to be made one by one. */
function frameOf(size: number, seed: number, isSelected: boolean): ColumnBatch {
  let state = seed | 1;
  const draw = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) % below;
  };
  const of = <T>(values: readonly T[]): T[] => Array.from({ length: size }, () => values[draw(values.length)] as T);
  const dictionary = new Dictionary();
  const codes = of(TEXTS).map((text) => dictionary.code(text));
  const all = new ColumnBatch(
    new Map([
      ["i", { type: "number", values: Int32Array.from(of(INTS)), nulls: null }],
      ["f", { type: "number", values: Float64Array.from(of(DOUBLES)), nulls: null }],
      ["b", { type: "boolean", values: Uint8Array.from(of([0, 1])), nulls: null }],
      ["z", { type: "number", values: Float64Array.from(of(DOUBLES)), nulls: Uint8Array.from(of([0, 0, 1])) }],
      ["s", { type: "dictionary", codes: Uint32Array.from(codes), dictionary, nulls: null }],
      ["w", { type: "dictionary", codes: Uint16Array.from(codes), dictionary, nulls: null }],
    ] as const),
    null,
    size,
  );
  return isSelected ? all.select(Uint32Array.from({ length: size >> 1 }, (_, i) => 2 * i + 1)) : all;
}

/** Counts what it passes on, so that no test passes because nothing was native. */
function counted(): { kernel: SelectionKernel; calls: () => number; conditions: () => number } {
  let calls = 0;
  let conditions = 0;
  const native = kernel();
  const counting =
    <A extends readonly unknown[]>(pick: (...call: A) => number) =>
    (...call: A): number => {
      calls++;
      return pick(...call);
    };
  return {
    kernel: {
      comparing: counting(native.comparing),
      ofEntries: counting(native.ofEntries),
      condition: (...call) => {
        const end = native.condition?.(...call) ?? -1;
        if (end >= 0) conditions++;
        return end;
      },
    },
    calls: () => calls,
    conditions: () => conditions,
  };
}

describe.skipIf(skipped !== undefined)(`selections by the addon${skipped ? ` (skipped: ${skipped})` : ""}`, () => {
  it("are those of TypeScript, frame after frame", () => {
    const { kernel: native, calls } = counted();
    const sizeArb = fc.oneof(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 505, max: 1100 }));
    const framesArb = fc.array(fc.tuple(sizeArb, fc.nat(), fc.boolean()), { maxLength: 3 });
    fc.assert(
      fc.property(fc.oneof(partArb, combined(partArb)), framesArb, (source, frames) => {
        const script = compileExpression(source);
        const addon = compileExpression(source, undefined, native);
        const kept = frames.map(([size, seed, isSelected]) => {
          const batch = frameOf(size, seed, isSelected);
          return [addon.predicate(batch), script.predicate(batch)] as const;
        });
        // A later selection leaves an earlier one as it was.
        for (const [mine, theirs] of kept) {
          expect(mine.selected).toEqual(theirs.selected);
          expect(mine.failures).toEqual(theirs.failures);
        }
      }),
      { numRuns: 500 },
    );
    expect(calls()).toBeGreaterThan(50);
  });

  it("are those of TypeScript for conditions of several parts that every message has an answer to", () => {
    const { kernel: native, conditions } = counted();
    fc.assert(
      fc.property(combined(sureArb), fc.integer({ min: 512, max: 2100 }), fc.nat(), (source, size, seed) => {
        const batch = frameOf(size, seed, false);
        expect(compileExpression(source, undefined, native).predicate(batch)).toEqual(
          compileExpression(source).predicate(batch),
        );
      }),
      { numRuns: 200 },
    );
    expect(conditions()).toBeGreaterThan(50);
  });

  it("refuse arrays that do not fit together", () => {
    const into = new Uint32Array(2);
    expect(() => kernel().comparing("<", Int32Array.of(1, 2), 1, 3, into, 0)).toThrow(/has a cell/);
    expect(() => kernel().comparing("<", Int32Array.of(1, 2, 3), 1, 3, into, 0)).toThrow(/room/);
    expect(() => kernel().ofEntries(Uint8Array.of(1), Uint16Array.of(0, 0), 2, into, 3)).toThrow(/room/);
    expect(kernel().ofEntries(Uint8Array.of(1), Uint32Array.of(0, 1), 2, into, 0)).toBe(-1);
  });

  it("refuse conditions that do not fit together", () => {
    const [flags, and] = [7, 8];
    const picked = (steps: readonly number[], cells: PreparedCondition["cells"], n: number): number => {
      const limits = new Float64Array(cells.length);
      const entries = cells.map(() => new Uint8Array(0));
      const condition = { steps: Uint32Array.from(steps), cells, limits, entries };
      return kernel().condition?.(condition, n, new Uint32Array(3), 0) ?? Number.NaN;
    };
    const two = Uint8Array.of(1, 1);
    expect(picked([flags, flags, and], [two, two], 2)).toBe(2);
    expect(() => picked([flags, flags, and], [two], 2)).toThrow(/every part has its cells/);
    expect(() => picked([flags, flags, and], [two, Int32Array.of(1, 1)], 2)).toThrow(/cells of its kind/);
    expect(() => picked([flags, flags], [two, two], 2)).toThrow(/puts all of its parts together/);
    expect(() => picked([flags, and], [two], 2)).toThrow(/puts all of its parts together/);
    expect(() => picked([flags], [two], 3)).toThrow(/has a cell/);
    expect(() => picked([flags], [new Uint8Array(4)], 4)).toThrow(/room/);
  });
});
