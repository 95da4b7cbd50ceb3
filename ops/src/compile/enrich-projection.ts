/**
 * Joins each message with the row that a projection has at that moment. Another moment would give another row, so what was
 * found is part of the step, and a replay finds the same.
 */
import { actorError } from "@millrace/actors";
import {
  type CommittedBehavior,
  type Expression,
  type InputSlice,
  isJsonObject,
  type Json,
  type MessageFailure,
  RowBatch,
} from "@millrace/engine";

export interface EnrichProjectionOptions {
  readonly key: Expression;
  /** Field that the row is put into. */
  readonly as: string;
  /** Reject messages without a row (`ENRICH-MISSING`). */
  readonly required: boolean;
  readonly find: (key: Json) => Promise<Json | undefined>;
}

interface Keyed {
  readonly slice: InputSlice;
  readonly index: number;
  readonly key: Json;
}

/** A step looks up this many different keys at most. */
const STEP_MESSAGES_MAX = 512;

export function enrichProjection({ key, as, required, find }: EnrichProjectionOptions): CommittedBehavior {
  let slices: InputSlice[] = [];
  const forget = (): void => {
    slices = [];
  };
  return {
    kind: "committed",
    ports: ["out"],
    stepMessagesMax: STEP_MESSAGES_MAX,
    take(_draft, slice) {
      slices.push(slice);
    },
    async finish(draft) {
      const keyed: Keyed[] = [];
      const failures = new Map<InputSlice, MessageFailure[]>();
      const fail = (slice: InputSlice, index: number, error: unknown): void => {
        failures.set(slice, [...(failures.get(slice) ?? []), { index, error }]);
      };
      for (const slice of slices) keysOf(slice, key, keyed, fail);
      if (keyed.length > 0) {
        const distinct = [...new Map(keyed.map((k) => [JSON.stringify(k.key), k.key])).values()];
        const found = await draft.recordAsync(() =>
          Promise.all(distinct.map(async (k) => [k, (await find(k)) ?? null])),
        );
        // Recorded above in this shape, or in the same step of an earlier run.
        const rows = new Map(
          (found as unknown as readonly (readonly [Json, Json])[]).map(([k, row]) => [JSON.stringify(k), row]),
        );
        const out = joined(keyed, rows, as, required, fail);
        if (out.length > 0) draft.emit("out", new RowBatch(out));
      }
      for (const [slice, own] of failures)
        draft.reject(
          slice,
          own.sort((a, b) => a.index - b.index),
        );
    },
    seal: forget,
    discard: forget,
    fold() {},
  };
}

type Fail = (slice: InputSlice, index: number, error: unknown) => void;

function keysOf(slice: InputSlice, key: Expression, into: Keyed[], fail: Fail): void {
  for (let index = 0; index < slice.batch.n; index++) {
    try {
      into.push({ slice, index, key: key.row(slice.batch.row(index)) });
    } catch (error) {
      fail(slice, index, error);
    }
  }
}

function joined(
  keyed: readonly Keyed[],
  rows: ReadonlyMap<string, Json>,
  as: string,
  required: boolean,
  fail: Fail,
): Json[] {
  const out: Json[] = [];
  for (const { slice, index, key } of keyed) {
    const row = slice.batch.row(index);
    const hit = rows.get(JSON.stringify(key)) ?? null;
    if (!isJsonObject(row))
      fail(slice, index, actorError("EXPR-RESULT", "a message that is not an object cannot be enriched"));
    else if (hit === null && required)
      fail(slice, index, actorError("ENRICH-MISSING", `the projection has no row for ${JSON.stringify(key)}`));
    else out.push({ ...row, [as]: hit });
  }
  return out;
}
