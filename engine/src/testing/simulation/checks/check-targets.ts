import type { Json } from "../../../frame/json.ts";
import { formatPoint } from "../../../frame/point.ts";
import type { Delivered, SimulatedTarget } from "../simulated-target.ts";
import type { LaneItem, ModelLane } from "./lane-model.ts";
import type { NodeHistory } from "./node-history.ts";
import { holds } from "./violation.ts";

/** I1 and I3 at the end of the graph: what the target holds is what the lanes carried, as often as its kind promises. */
export function checkTarget(target: SimulatedTarget, history: NodeHistory, lanes: readonly ModelLane[]): void {
  const dead = new Set(history.steps.flatMap(({ step }) => step.dead.map((d) => `${d.lane}@${formatPoint(d)}`)));
  const expected = new Map<string, LaneItem>();
  for (const lane of lanes) {
    for (const item of lane.items) {
      const key = `${lane.name}@${formatPoint(item)}`;
      if (!dead.has(key)) expected.set(key, item);
    }
  }
  const [conflict] = target.conflicts;
  holds(conflict === undefined, "I3", () => `${target.name}: ${conflict}`);
  if (target.kind === "upsert") checkNewest(target, [...expected.values()]);
  else checkEach(target, expected);
}

function checkEach(target: SimulatedTarget, expected: ReadonlyMap<string, LaneItem>): void {
  const seen = new Set<string>();
  for (const row of target.rows) {
    const key = keyOf(row);
    const item = expected.get(key);
    holds(item !== undefined, "I1", () => `${target.name} holds ${key}, which no lane carries or which is dead`);
    holds(
      same(item.row, row.row),
      "I3",
      () => `${target.name} holds ${text(row.row)} for ${key}, not ${text(item.row)}`,
    );
    holds(!target.isExactlyOnce || !seen.has(key), "I1", () => `${target.name} holds ${key} twice`);
    seen.add(key);
  }
  for (const key of expected.keys()) holds(seen.has(key), "I1", () => `${target.name} lacks ${key}`);
}

/** An upsert target of one lane ends with the newest row of each key. */
function checkNewest(target: SimulatedTarget, items: readonly LaneItem[]): void {
  const newest = new Map<string, Json>();
  for (const item of items) newest.set(target.keyOf(item.row), item.row);
  const held = new Map(target.rows.map((row) => [target.keyOf(row.row), row.row]));
  for (const [key, row] of newest)
    holds(
      same(held.get(key), row),
      "I1",
      () => `${target.name} ends with ${text(held.get(key))} for ${key}, not ${text(row)}`,
    );
}

function keyOf(row: Delivered): string {
  return `${row.lane}@${formatPoint(row)}`;
}

function same(a: Json | undefined, b: Json): boolean {
  return a !== undefined && text(a) === text(b);
}

function text(value: Json | undefined): string {
  return JSON.stringify(value) ?? "nothing";
}
