/**
 * Conditions of several parts, put together by `&&`, `||` and `!`, for a kernel that picks their messages in one call: each part
 * compares a number field with a constant, or reads one text field or boolean field. Nobody but such a kernel has this form; without one,
 * or where a column has nulls, is of another type or behind a selection, parts become masks.
 */
import type { ColumnBatch } from "../frame/batch.ts";
import type { CelNode } from "./cel.ts";
import { dictionaryOf, liftOf, NOTHING, type SelectionForm } from "./columnar.ts";
import type { IndexArena } from "./index-arena.ts";
import type { Lift } from "./lift.ts";
import { type Limited, limitedBy } from "./mask-form.ts";
import { type ConditionStep, conditionStep, type PreparedCondition } from "./selection-kernel.ts";
import { NO_SCOPE, pathOf } from "./syntax.ts";

/** Of more parts than these the kernel is not told; calls with many arrays are not measured. */
const PARTS_MAX = 16;

/** What reads one field; which of the ways is taken is told by the type of its column. */
interface Part {
  readonly lift: Lift | undefined;
  readonly number: { readonly field: string; readonly op: number; readonly limit: number } | undefined;
  readonly flag: string | undefined;
}

export function conditionForm(node: CelNode): SelectionForm {
  if (node.op !== "&&" && node.op !== "||" && node.op !== "!_") return NOTHING;
  const steps: (Part | ConditionStep)[] = [];
  if (!collect(node, steps)) return NOTHING;
  const parts = steps.filter((step) => typeof step === "object");
  if (parts.length < 2 || parts.length > PARTS_MAX) return NOTHING;
  return (batch, indices) => picked(steps, parts.length, batch, indices);
}

/** The steps of a condition, operands first; false when a part is another. */
function collect(node: CelNode, steps: (Part | ConditionStep)[]): boolean {
  if (node.op === "&&" || node.op === "||") {
    if (!node.args.every((side) => collect(side, steps))) return false;
    steps.push(node.op);
    return true;
  }
  if (node.op === "!_") {
    if (!collect(node.args, steps)) return false;
    steps.push("!");
    return true;
  }
  const part = partOf(node);
  if (part === undefined) return false;
  steps.push(part);
  return true;
}

function partOf(node: CelNode): Part | undefined {
  const lift = liftOf(node);
  const limited = limitOf(node);
  const field = limited === undefined ? undefined : fieldOf(limited.operand);
  const number =
    limited === undefined || field === undefined
      ? undefined
      : { field, op: conditionStep(limited.op), limit: limited.limit };
  const flag = fieldOf(node);
  return lift === undefined && number === undefined && flag === undefined ? undefined : { lift, number, flag };
}

function fieldOf(node: CelNode): string | undefined {
  const path = pathOf(node, NO_SCOPE);
  return path?.length === 1 ? path[0] : undefined;
}

/** A comparison with a constant. */
export function limitOf(node: CelNode): Limited | undefined {
  switch (node.op) {
    case "<":
    case "<=":
    case ">":
    case ">=":
    case "==":
    case "!=":
      return limitedBy(node.op, node.args);
    default:
      return undefined;
  }
}

const ENTRIES = conditionStep("entries");
const FLAGS = conditionStep("flags");
const NO_ENTRIES = new Uint8Array(0);

function picked(
  steps: readonly (Part | ConditionStep)[],
  parts: number,
  batch: ColumnBatch,
  indices: IndexArena,
): Uint32Array | null {
  if (batch.selection !== null || !indices.picksConditions(batch.n)) return null;
  const prepared = {
    steps: new Uint32Array(steps.length),
    cells: [] as PreparedCondition["cells"][number][],
    limits: new Float64Array(parts),
    entries: [] as Uint8Array[],
  };
  for (const [s, step] of steps.entries()) {
    const code = typeof step === "object" ? addPart(step, batch, prepared) : conditionStep(step);
    if (code < 0) return null;
    prepared.steps[s] = code;
  }
  return indices.condition(prepared, batch.n);
}

interface Preparing {
  readonly cells: PreparedCondition["cells"][number][];
  readonly limits: Float64Array;
  readonly entries: Uint8Array[];
}

/** The number of the part's step; -1 when it cannot be told of these columns. */
function addPart({ lift, number, flag }: Part, batch: ColumnBatch, { cells, limits, entries }: Preparing): number {
  const texts = lift === undefined ? undefined : dictionaryOf(batch, lift.field);
  if (lift !== undefined && texts !== undefined && texts.nulls === null) {
    cells.push(texts.codes);
    entries.push(lift.masks(texts.dictionary).values);
    return ENTRIES;
  }
  const numbers = number === undefined ? undefined : batch.columns.get(number.field);
  if (number !== undefined && numbers?.type === "number" && numbers.nulls === null) {
    limits[cells.length] = number.limit;
    cells.push(numbers.values);
    entries.push(NO_ENTRIES);
    return number.op;
  }
  const flags = flag === undefined ? undefined : batch.columns.get(flag);
  if (flags?.type !== "boolean" || flags.nulls !== null) return -1;
  cells.push(flags.values);
  entries.push(NO_ENTRIES);
  return FLAGS;
}
