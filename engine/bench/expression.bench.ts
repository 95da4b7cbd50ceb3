/** Expressions over a frame of 4096 messages, as columns and as rows, beside the loop one would write by hand. */
import { bench, describe } from "vitest";
import { compileExpression } from "../src/expression/expression.ts";
import { ColumnBatch } from "../src/frame/batch.ts";
import { type Column, Dictionary } from "../src/frame/column.ts";

const N = 4096;
const delay = Float64Array.from({ length: N }, (_, i) => (i * 7919) % 60);
const dictionary = new Dictionary();
const codes = Uint32Array.from({ length: N }, (_, i) => dictionary.code(`O${(i * 31) % 200}`));
const date = Float64Array.from({ length: N }, (_, i) => 978_307_200_000 + i * 60_000);
const frame = new ColumnBatch(
  new Map<string, Column>([
    ["delay", { type: "number", values: delay, nulls: null }],
    ["origin", { type: "dictionary", codes, dictionary, nulls: null }],
    ["date", { type: "time", values: date, nulls: null }],
  ]),
  null,
  N,
);
const rows = frame.rows();

describe("4096 messages as columns", () => {
  bench("by hand: delay >= 15", () => {
    const out = new Uint32Array(N);
    let n = 0;
    for (let i = 0; i < N; i++) if ((delay[i] as number) >= 15) out[n++] = i;
    out.subarray(0, n);
  });
  for (const source of [
    "event.delay >= 15",
    "event.delay >= 15 && event.delay < 50",
    "event.delay * 2 + 1 > 40",
    'event.origin == "O7"',
    'event.date >= "2001-01-02"',
    "timestamp(event.date).getHours() >= 6",
  ]) {
    const expression = compileExpression(source);
    bench(source, () => {
      expression.predicate(frame);
    });
  }
});

describe("4096 messages as rows", () => {
  bench("by hand: delay >= 15", () => {
    for (const row of rows) (row as { delay: number }).delay >= 15;
  });
  for (const source of ["event.delay >= 15", 'event.delay >= 15 && event.origin == "O7"', "event.delay * 2 + 1"]) {
    const expression = compileExpression(source);
    bench(source, () => {
      for (const row of rows) expression.row(row);
    });
  }
});
