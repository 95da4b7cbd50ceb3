/** Batch references: what a graph must give, computed from its whole input at once. */
import type { Json } from "../../frame/json.ts";
import { Violation } from "./checks/violation.ts";
import type { Row } from "./pure-behaviors.ts";
import type { SimulatedTarget } from "./simulated-target.ts";

/** The target's rows are these, each as often, in any order; compared by `of`. */
export function expectRows(
  target: SimulatedTarget,
  expected: readonly Json[],
  of: (row: Json) => Json = (row) => row,
): void {
  const wanted = tally(expected.map(of));
  const held = tally(target.rows.map((r) => of(r.row)));
  for (const key of new Set([...wanted.keys(), ...held.keys()])) {
    const [want = 0, have = 0] = [wanted.get(key), held.get(key)];
    if (want !== have)
      throw new Violation("I2", `${target.name} holds ${key} ${have} times, the batch reference ${want}`);
  }
}

/** Tumbling windows over all rows, as `sumWindow` emits them. */
export function windowsOf(rows: readonly Row[], sizeMs: number): Json[] {
  const groups = new Map<string, Row & { count: number }>();
  for (const { key, time, value } of rows) {
    const start = Math.floor(time / sizeMs) * sizeMs;
    const group = groups.get(`${start}/${key}`);
    if (group === undefined)
      groups.set(`${start}/${key}`, { id: start, key, time: start + sizeMs - 1, value, count: 1 });
    else groups.set(`${start}/${key}`, { ...group, value: group.value + value, count: group.count + 1 });
  }
  return [...groups.values()];
}

/** Ids of late rows, and the watermark that each missed. */
export function lateOf(rows: readonly Row[], boundMs: number): Map<number, number> {
  const late = new Map<number, number>();
  let watermark = Number.NEGATIVE_INFINITY;
  for (const { id, time } of rows) {
    if (time < watermark) late.set(id, watermark);
    else watermark = Math.max(watermark, time - boundMs);
  }
  return late;
}

/** The target's rows are the late ones, each with the watermark that it missed. */
export function expectLate(target: SimulatedTarget, late: ReadonlyMap<number, number>): void {
  expectRows(target, [...late], (row) => (Array.isArray(row) ? row : [(row as Row).id, (row as Row).missed ?? null]));
}

function tally(rows: readonly Json[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const row of rows) {
    const key = JSON.stringify(row);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}
