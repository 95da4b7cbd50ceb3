import { type Batch, type Column, ColumnBatch, Dictionary, type Json, RowBatch, reportOf } from "@millrace/engine";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { KeyPlacer } from "./key-placer.ts";
import { partitionOf } from "./partitioner.ts";

const PARTITIONS = 12;

function placerWith(calls: string[][] = []): KeyPlacer {
  const kernel = {
    place(keys: readonly string[], partitions: number, into: Int32Array): void {
      calls.push([...keys]);
      into.set(keys.map((key) => partitionOf(key, partitions)));
    },
  };
  return new KeyPlacer({ topic: "t", field: "k", partitions: PARTITIONS, kernel });
}

const placed = (placer: KeyPlacer, batch: Batch): Json => {
  const { keys, partitions } = placer.places(batch);
  return keys.map((key, i) => [key, partitions[i] as number]);
};

const one = (column: Column, n: number): ColumnBatch => new ColumnBatch(new Map([["k", column]]), null, n);

function coded(dictionary: Dictionary, values: readonly Json[]): ColumnBatch {
  const codes = Uint32Array.from(values, (value) => dictionary.code(value));
  return one({ type: "dictionary", codes, dictionary, nulls: null }, values.length);
}

const refusal = (batch: Batch): unknown => {
  try {
    return placerWith().places(batch);
  } catch (error) {
    return reportOf(error);
  }
};

describe("rows are placed by their keys", () => {
  it("in whatever form their batch is, and whichever of its rows are picked", () => {
    const key = fc.oneof(fc.constantFrom<Json>("JFK", "ATL", "", true, 7, -0), fc.string({ unit: "binary" }));
    fc.assert(
      fc.property(fc.array(fc.array(key, { maxLength: 30 }), { maxLength: 3 }), fc.nat(3), (frames, picked) => {
        const placer = placerWith();
        const dictionary = new Dictionary();
        for (const values of frames) {
          const indices = Uint32Array.from([...values.keys()].filter((i) => i % 4 <= picked));
          const wanted = [...indices].map((i) => [String(values[i]), partitionOf(String(values[i]), PARTITIONS)]);
          const rows = new RowBatch(values.map((k) => ({ k })));
          for (const batch of [rows, one({ type: "json", values }, values.length), coded(dictionary, values)])
            expect(placed(placer, batch.select(indices))).toEqual(wanted);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("each entry of a dictionary once, however many batches have it", () => {
    const calls: string[][] = [];
    const placer = placerWith(calls);
    const dictionary = new Dictionary();
    const names = Array.from({ length: 40 }, (_, i) => `flight-of-the-day-number-${i}`);
    placer.places(coded(dictionary, [...names, ...names]));
    const more = names.map((name) => `${name}-late`);
    for (let time = 0; time < 2; time++) placer.places(coded(dictionary, [...more, ...names]));
    expect(calls).toEqual([names, more]);
  });

  it("of a few rows without placing a large dictionary", () => {
    const calls: string[][] = [];
    const dictionary = new Dictionary();
    const names = Array.from({ length: 40 }, (_, i) => `flight-of-the-day-number-${i}`);
    const few = coded(dictionary, names).slice(0, 2);
    expect(placed(placerWith(calls), few)).toEqual(
      names.slice(0, 2).map((name) => [name, partitionOf(name, PARTITIONS)]),
    );
    expect(calls).toEqual([]);
  });

  it("or refused when one has none", () => {
    const dictionary = new Dictionary();
    const entries = coded(dictionary, ["a", { no: 1 }, "b"]);
    const nulls = { type: "dictionary", codes: Uint32Array.of(0, 0), dictionary, nulls: Uint8Array.of(0, 1) } as const;
    for (const [batch, said] of [
      [new RowBatch([{ k: "a" }, { k: null }]), "null"],
      [new RowBatch([{ k: "a" }, { other: 1 }]), "nothing"],
      [new RowBatch([7]), "nothing"],
      [entries, '{"no":1}'],
      [one(nulls, 2), "null"],
      [new ColumnBatch(new Map(), null, 1), "nothing"],
    ] as const)
      expect(refusal(batch)).toMatchObject({ code: "KAFKA-KEY", message: expect.stringContaining(`has ${said} in`) });
    expect(placed(placerWith(), entries.select(Uint32Array.of(0, 2)))).toEqual([
      ["a", partitionOf("a", PARTITIONS)],
      ["b", partitionOf("b", PARTITIONS)],
    ]);
  });
});
