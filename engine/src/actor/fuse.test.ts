import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type MessageFailure, type PureBehavior, pureResult } from "../behavior/pure-behavior.ts";
import { engineError } from "../errors.ts";
import { RowBatch } from "../frame/batch.ts";
import { columnsOf } from "../frame/columns-of.ts";
import type { Json } from "../frame/json.ts";
import { fuse, isFusible, type Stage } from "./fuse.ts";
import { EdgeMeter } from "./link.ts";
import { ActorMeter } from "./meter.ts";

type Row = (row: Json) => Json | undefined;

/** A behavior of one function of a row that reports failures of single messages. */
function rowBehavior(row: Row): PureBehavior {
  return {
    kind: "pure",
    ports: ["out"],
    row,
    transform(batch) {
      const out: Json[] = [];
      const sources: number[] = [];
      const failures: MessageFailure[] = [];
      batch.rows().forEach((message, index) => {
        try {
          const value = row(message);
          if (value === undefined) return;
          out.push(value);
          sources.push(index);
        } catch (error) {
          failures.push({ index, error });
        }
      });
      return pureResult(new RowBatch(out), sources.length === batch.n ? null : Uint32Array.from(sources), failures);
    },
  };
}

const KINDS: Record<string, (k: number) => Row> = {
  add: (k) => (row) => (row as number) + k,
  drop: (k) => (row) => ((row as number) % (k + 2) === 0 ? undefined : row),
  refuse: (k) => (row) => {
    if ((row as number) % (k + 3) === 1) throw engineError("MSG-POISON", `no ${String(row)}`);
    return row;
  },
  nothing: () => () => undefined,
};

const stage = fc
  .record({ kind: fc.constantFrom("add", "drop", "refuse", "nothing", "add", "drop"), k: fc.nat(4) })
  .map(({ kind, k }) => (KINDS[kind] as (k: number) => Row)(k));
const rows = fc.array(fc.nat(50), { maxLength: 30 });

function stagesOf(functions: readonly Row[]): Stage[] {
  return functions.map((row, i) => ({
    node: `n${i}`,
    behavior: rowBehavior(row),
    meter: new ActorMeter(),
    edge: i + 1 < functions.length ? new EdgeMeter() : undefined,
  }));
}

interface Outcome {
  readonly out: readonly { readonly value: Json; readonly from: number }[];
  readonly dead: readonly { readonly node: string; readonly index: number }[];
}

/** Each message by itself through all functions. */
function byHand(functions: readonly Row[], input: readonly Json[]): Outcome {
  const out: { value: Json; from: number }[] = [];
  const dead: { node: string; index: number }[] = [];
  input.forEach((row, from) => {
    let value: Json | undefined = row;
    for (const [i, f] of functions.entries()) {
      try {
        value = f(value as Json);
      } catch {
        dead.push({ node: `n${i}`, index: from });
        return;
      }
      if (value === undefined) return;
    }
    out.push({ value: value as Json, from });
  });
  return { out, dead };
}

function outcomeOf(behavior: PureBehavior, input: readonly Json[]): Outcome {
  const { outputs, failures } = behavior.transform(new RowBatch(input));
  const { batch, sources } = outputs[0] ?? { batch: new RowBatch([]), sources: null };
  return {
    out: batch.rows().map((value, i) => ({ value, from: sources === null ? i : (sources[i] as number) })),
    dead: failures.map(({ node, index }) => ({ node: node ?? "", index })),
  };
}

/** As Node does with `--disallow-code-generation-from-strings`. */
function forbidCodeGeneration(): void {
  vi.stubGlobal("Function", () => {
    throw new EvalError("Code generation from strings disallowed for this context");
  });
}

afterEach(() => {
  vi.unstubAllGlobals();
});

describe.each<[string, () => void]>([
  ["with a compiled loop", () => undefined],
  ["where code generation is switched off", forbidCodeGeneration],
])("fused stages %s", (_where, prepare) => {
  it("do what they do one by one, for any functions and messages, throwing and dropping ones too", () => {
    fc.assert(
      fc.property(
        fc.array(stage, { minLength: 1, maxLength: 5 }),
        fc.array(rows, { maxLength: 4 }),
        (functions, batches) => {
          prepare();
          const fused = fuse(stagesOf(functions));
          vi.unstubAllGlobals();
          for (const batch of batches) expect(outcomeOf(fused, batch)).toEqual(byHand(functions, batch));
        },
      ),
    );
  });

  it("count for each stage what went in, out and died, as if it ran alone", () => {
    fc.assert(
      fc.property(
        fc.array(stage, { minLength: 1, maxLength: 5 }),
        fc.array(rows, { minLength: 1, maxLength: 4 }),
        (functions, batches) => {
          const stages = stagesOf(functions);
          prepare();
          const fused = fuse(stages);
          vi.unstubAllGlobals();
          for (const batch of batches) fused.transform(new RowBatch(batch));
          let entered = batches.flat();
          stages.forEach(({ meter, edge }, i) => {
            const { out, dead } = byHand([functions[i] as Row], entered);
            expect(meter).toMatchObject({ in: entered.length, out: out.length, dead: dead.length });
            if (edge !== undefined) expect(edge.messages).toBe(out.length);
            entered = out.map((o) => o.value as number);
          });
        },
      ),
    );
  });
});

describe("fused stages", () => {
  it("count a batch once that throws and is tried again in parts", () => {
    const stages = stagesOf([(row) => row, (row) => row]);
    const throwing: PureBehavior = {
      ...rowBehavior((row) => row),
      transform: (batch) => {
        if (batch.n > 1) throw new Error("too many");
        return pureResult(batch);
      },
    };
    const fused = fuse([stages[0] as Stage, { ...(stages[1] as Stage), behavior: throwing }]);
    expect(() => fused.transform(new RowBatch([1, 2]))).toThrow("too many");
    for (const row of [1, 2]) fused.transform(new RowBatch([row]));
    expect(stages.map(({ meter }) => [meter.in, meter.out])).toEqual([
      [2, 2],
      [2, 2],
    ]);
  });

  it("do not give up a message for a transient reason", () => {
    const [only] = stagesOf([
      () => {
        throw engineError("SOURCE-FAILED", "not now");
      },
    ]) as [Stage];
    const transform = () => {
      throw engineError("SOURCE-FAILED", "not now");
    };
    const fused = fuse([{ ...only, behavior: { ...only.behavior, transform } }]);
    expect(() => fused.transform(new RowBatch(["x"]))).toThrow("not now");
    expect(only.meter).toMatchObject({ in: 0, dead: 0 });
  });

  it("take null for a message, and only undefined for none", () => {
    const fused = fuse(stagesOf([(row) => (row === 1 ? null : row), (row) => (row === null ? "was null" : row)]));
    for (let frame = 0; frame < 2; frame++) {
      expect(outcomeOf(fused, [0, 1]).out.map((o) => o.value)).toEqual([0, "was null"]);
    }
  });

  it("run over columns too", () => {
    const columns = columnsOf(new RowBatch(Array.from({ length: 20 }, (_, i) => ({ i }))));
    if (columns === undefined) throw new Error("twenty rows of one shape are columns");
    const fused = fuse(
      stagesOf([(row) => ((row as { i: number }).i < 18 ? undefined : row), (row) => (row as { i: number }).i]),
    );
    const { outputs } = fused.transform(columns);
    expect(outputs[0]?.batch.rows()).toEqual([18, 19]);
    expect([...(outputs[0]?.sources ?? [])]).toEqual([18, 19]);
  });

  it("keep messages between them for peeking, from time to time", () => {
    const stages = stagesOf([(row) => row, (row) => row]);
    fuse(stages).transform(new RowBatch(["seen"]));
    expect(stages[0]?.edge?.newest?.rows()).toEqual(["seen"]);
  });

  it("name the stage that throws on a batch of one message", () => {
    const throwing: PureBehavior = {
      ...rowBehavior(() => {
        throw new Error("always");
      }),
      transform: () => {
        throw new Error("always");
      },
    };
    const [first] = stagesOf([(row) => row]) as [Stage];
    const fused = fuse([first, { ...first, node: "second", behavior: throwing, meter: new ActorMeter() }]);
    expect(outcomeOf(fused, ["x"])).toEqual({ out: [], dead: [{ node: "second", index: 0 }] });
    expect(() => fused.transform(new RowBatch(["x", "y"]))).toThrow("always");
  });
});

describe("what can be fused", () => {
  it("is a function of a row with one port and never more outputs than inputs", () => {
    const plain = rowBehavior((row) => row);
    const { row: _row, ...withoutRow } = plain;
    expect(isFusible(plain)).toBe(true);
    expect(isFusible(withoutRow)).toBe(false);
    expect(isFusible({ ...plain, ports: ["a", "b"] })).toBe(false);
    expect(isFusible({ ...plain, expands: true })).toBe(false);
  });
});
