/** Timestamps over time columns, and their parts. */
import { reusedNumbers } from "./arithmetic.ts";
import type { CelNode } from "./cel.ts";
import { constantNumbers, gathered, marked, NOTHING, type NumbersForm, type TimesForm } from "./columnar.ts";
import { isTimestamp } from "./functions.ts";
import { compileRow } from "./row.ts";
import { NO_SCOPE, pathOf, readsOf } from "./syntax.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

function modulo(a: number, b: number): number {
  return a - Math.floor(a / b) * b;
}

const PARTS: ReadonlyMap<string, (ms: number) => number> = new Map([
  ["getMilliseconds", (ms) => modulo(ms, SECOND)],
  ["getSeconds", (ms) => Math.floor(modulo(ms, MINUTE) / SECOND)],
  ["getMinutes", (ms) => Math.floor(modulo(ms, HOUR) / MINUTE)],
  ["getHours", (ms) => Math.floor(modulo(ms, DAY) / HOUR)],
  // 1970-01-01 was a Thursday; Sunday is 0.
  ["getDayOfWeek", (ms) => modulo(Math.floor(ms / DAY) + 4, 7)],
]);

/** `timestamp(event.t).getHours()` and its like, in UTC. */
export function partOfTime(name: string, operand: TimesForm): NumbersForm {
  const part = PARTS.get(name);
  if (part === undefined) return NOTHING;
  return (batch) => {
    const times = operand(batch);
    if (times === null) return null;
    const values = new Float64Array(batch.n);
    for (let i = 0; i < values.length; i++) values[i] = part(times.values[i] as number);
    return { values, unsure: times.unsure, int: true };
  };
}

/** A timestamp per message: `timestamp(event.field)` on a time column, or a constant. */
export function timesForm(node: CelNode): TimesForm {
  if (node.op !== "call" || node.args[0] !== "timestamp") return NOTHING;
  const argument = node.args[1][0] as CelNode;
  const path = pathOf(argument, NO_SCOPE);
  if (path?.length === 1) return fieldTimes(path[0] as string);
  const reads = readsOf(node, NO_SCOPE);
  if (reads.whole || reads.fields.size > 0) return NOTHING;
  const constant = compileRow(node)(null);
  return constant instanceof Date ? constantNumbers(constant.getTime(), true) : NOTHING;
}

function fieldTimes(field: string): TimesForm {
  const reused = reusedNumbers();
  return (batch) => {
    const column = batch.columns.get(field);
    if (column?.type !== "time") return null;
    const { values, unsure } = gathered(column.values, column.nulls, batch, reused);
    return { values, unsure: marked(values, unsure, batch.n, isWholeTimestamp) };
  };
}

/** CEL's timestamps end where ISO years have four digits, and time cells may hold fractions that strings do not. */
function isWholeTimestamp(ms: number): boolean {
  return isTimestamp(ms) && Number.isInteger(ms);
}
