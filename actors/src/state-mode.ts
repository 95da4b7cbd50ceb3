/**
 * `mode: state` around a stateless behavior, as a spreadsheet computes: per key only the latest message of a step counts, and
 * a result that equals the one before does not propagate. What is logged is the last result of each key and port.
 */
import {
  type CommittedBehavior,
  type InputSlice,
  type Json,
  type MessageFailure,
  type PureBehavior,
  RowBatch,
  type StateEvent,
} from "@millrace/engine";
import type { Expression } from "./expression.ts";

export interface StateModeOptions {
  readonly behavior: PureBehavior;
  /** What a message is the state of. Absent: all messages are states of one thing. Keys are kept for ever. */
  readonly key?: Expression;
}

interface Latest {
  readonly slice: InputSlice;
  readonly index: number;
}

/** Last results as JSON text, by port and key. */
type Results = Map<string, string>;

export function stateMode({ behavior, key }: StateModeOptions): CommittedBehavior {
  const results: Results = new Map();
  let changed: Results = new Map();
  let latest = new Map<string, Latest>();
  const fold = (event: StateEvent): void => {
    for (const [id, text] of event as readonly (readonly [string, string])[]) results.set(id, text);
  };
  const forget = (): void => {
    changed = new Map();
    latest = new Map();
  };
  return {
    kind: "committed",
    ports: behavior.ports,
    take(draft, slice) {
      const { n } = slice.batch;
      const failures: MessageFailure[] = [];
      let conflated = 0;
      for (let index = 0; index < n; index++) {
        const id = keyOf(slice, index, key, failures);
        if (id === undefined) continue;
        if (latest.delete(id)) conflated++;
        latest.set(id, { slice, index });
      }
      if (failures.length > 0) draft.reject(slice, failures);
      if (conflated > 0) draft.drop(conflated, "conflated");
    },
    finish(draft) {
      const inputs = [...latest];
      if (inputs.length === 0) return;
      const result = behavior.transform(new RowBatch(inputs.map(([, { slice, index }]) => slice.batch.row(index))));
      const failed = new Set<number>();
      for (const { index, error } of result.failures) {
        const { slice, index: own } = (inputs[index] as (typeof inputs)[number])[1];
        failed.add(index);
        draft.reject(slice, [{ index: own, error }]);
      }
      for (const [port, { batch, sources }] of result.outputs.entries()) {
        const byInput = inputs.map((): Json[] => []);
        for (let i = 0; i < batch.n; i++) byInput[sources === null ? i : (sources[i] as number)]?.push(batch.row(i));
        const fresh: Json[] = [];
        for (const [i, [id]] of inputs.entries()) {
          const values = byInput[i] as Json[];
          const text = JSON.stringify(values);
          const place = `${port} ${id}`;
          if (failed.has(i) || (results.get(place) ?? "[]") === text) continue;
          changed.set(place, text);
          fresh.push(...values);
        }
        if (fresh.length > 0) draft.emit(behavior.ports[port] as string, new RowBatch(fresh));
      }
      if (changed.size > 0) draft.change([...changed]);
    },
    seal() {
      for (const [id, text] of changed) results.set(id, text);
      forget();
    },
    discard: forget,
    fold,
    snapshot: () => [...results],
    restore(snapshot) {
      results.clear();
      fold(snapshot);
    },
  };
}

function keyOf(
  slice: InputSlice,
  index: number,
  key: Expression | undefined,
  failures: MessageFailure[],
): string | undefined {
  if (key === undefined) return "";
  try {
    return JSON.stringify(key.row(slice.batch.row(index)));
  } catch (error) {
    failures.push({ index, error });
    return undefined;
  }
}
