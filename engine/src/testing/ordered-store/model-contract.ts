/** Random transactions on a store and on a model of it must agree. The model is a map of maps that sorts when asked. */
import fc from "fast-check";
import { expect, it } from "vitest";
import type { OrderedReader, OrderedStore, RangeOptions } from "../../store/ordered-store.ts";
import { entries, hex, type MakeOrderedStore, type OrderedStoreHarness, withStore } from "./harness.ts";

const RUNS = 40;
const TABLES = ["t", "u"] as const;

/** Few distinct bytes, so that keys collide, nest and sort close together. */
const key = fc
  .array(fc.constantFrom(0, 1, 127, 128, 255), { minLength: 1, maxLength: 4 })
  .map((b) => Uint8Array.from(b));
const value = fc.uint8Array({ maxLength: 5 });
const table = fc.constantFrom(...TABLES);
const bounds = fc.record({ gte: key, lt: key }, { requiredKeys: [] });
const rangeOptions: fc.Arbitrary<RangeOptions> = fc.record(
  { gte: key, lt: key, reverse: fc.boolean(), limit: fc.nat(6) },
  { requiredKeys: [] },
);

type Write =
  | { readonly do: "put"; readonly table: string; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly do: "delete"; readonly table: string; readonly key: Uint8Array }
  | { readonly do: "deleteRange"; readonly table: string; readonly bounds: Pick<RangeOptions, "gte" | "lt"> }
  | { readonly do: "look"; readonly table: string; readonly key: Uint8Array; readonly range: RangeOptions };

const look = fc.record({ do: fc.constant("look" as const), table, key, range: rangeOptions });
const write: fc.Arbitrary<Write> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("put" as const), table, key, value }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delete" as const), table, key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("deleteRange" as const), table, bounds }) },
  { weight: 2, arbitrary: look },
);

type Operation =
  | { readonly do: "transact"; readonly writes: readonly Write[]; readonly fails: boolean }
  | { readonly do: "look"; readonly table: string; readonly key: Uint8Array; readonly range: RangeOptions }
  | { readonly do: "drop"; readonly table: string }
  | { readonly do: "reopen" };

const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("transact" as const),
      writes: fc.array(write, { maxLength: 12 }),
      fails: fc.integer({ min: 0, max: 4 }).map((n) => n === 0),
    }),
  },
  { weight: 3, arbitrary: look },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("drop" as const), table }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reopen" as const) }) },
);

type ModelTable = ReadonlyMap<string, string>;
type Model = ReadonlyMap<string, ModelTable>;

const EMPTY: Model = new Map(TABLES.map((name) => [name, new Map<string, string>()]));

function rangeOf(model: Model, name: string, options: RangeOptions): string[] {
  const { gte, lt } = options;
  const inside = [...(model.get(name) as ModelTable)]
    .filter(([k]) => (gte === undefined || k >= hex(gte)) && (lt === undefined || k < hex(lt)))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([k, v]) => `${k}=${v}`);
  return (options.reverse === true ? inside.reverse() : inside).slice(0, options.limit);
}

function applied(model: Model, w: Write): Model {
  if (w.do === "look") return model;
  const next = new Map(model.get(w.table));
  if (w.do === "put") next.set(hex(w.key), hex(w.value));
  else if (w.do === "delete") next.delete(hex(w.key));
  else for (const line of rangeOf(model, w.table, w.bounds)) next.delete(line.split("=")[0] as string);
  return new Map(model).set(w.table, next);
}

export function storeModelContract(make: MakeOrderedStore): void {
  it("agrees with sorted maps on any sequence of transactions", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { minLength: 1, maxLength: 15 }), (operations) =>
        withStore(make, async (_, harness) => {
          let store = harness.store;
          let model = EMPTY;
          for (const op of operations) [store, model] = await perform(op, store, model, harness);
          for (const name of TABLES) expect(entries(store.range(name))).toEqual(rangeOf(model, name, {}));
        }),
      ),
      { numRuns: RUNS },
    );
  }, 120_000);
}

async function perform(
  op: Operation,
  store: OrderedStore,
  model: Model,
  harness: OrderedStoreHarness,
): Promise<[OrderedStore, Model]> {
  switch (op.do) {
    case "transact":
      return [store, await transactBoth(op.writes, op.fails, store, model)];
    case "look":
      compare(store, model, op.table, op.key, op.range);
      return [store, model];
    case "drop":
      await store.drop(op.table);
      return [store, new Map(model).set(op.table, new Map())];
    case "reopen":
      return [harness.reopen === undefined ? store : await harness.reopen(), model];
  }
}

const PLANNED = new Error("a planned failure");

async function transactBoth(
  writes: readonly Write[],
  fails: boolean,
  store: OrderedStore,
  before: Model,
): Promise<Model> {
  let model = before;
  const run = store.transact((tx) => {
    for (const w of writes) {
      model = applied(model, w);
      if (w.do === "put") tx.put(w.table, w.key, w.value);
      else if (w.do === "delete") tx.delete(w.table, w.key);
      else if (w.do === "deleteRange") tx.deleteRange(w.table, w.bounds);
      else compare(tx, model, w.table, w.key, w.range);
    }
    if (fails) throw PLANNED;
  });
  if (!fails) {
    await run;
    return model;
  }
  await expect(run).rejects.toBe(PLANNED);
  return before;
}

function compare(reader: OrderedReader, model: Model, name: string, at: Uint8Array, options: RangeOptions): void {
  const found = reader.get(name, at);
  expect(found === undefined ? undefined : hex(found)).toBe(model.get(name)?.get(hex(at)));
  expect(entries(reader.range(name, options))).toEqual(rangeOf(model, name, options));
  expect(reader.count(name)).toBe(model.get(name)?.size);
}
