import { describe, expect, it } from "vitest";
import { KEY_BYTES_MAX, type OrderedStore } from "../../store/ordered-store.ts";
import { bytes, entries, hex, hexOf, type MakeOrderedStore, withStore } from "./harness.ts";

async function fill(store: OrderedStore, table: string, keys: readonly Uint8Array[]): Promise<void> {
  await store.transact((tx) => {
    for (const key of keys) tx.put(table, key, key);
  });
}

const keysOf = (range: Iterable<{ key: Uint8Array }>): string[] => Array.from(range, (e) => hex(e.key));

export function storeReadContract(make: MakeOrderedStore): void {
  describe("reading", () => {
    points(make);
    ranges(make);
    keyLimits(make);
  });
}

function points(make: MakeOrderedStore): void {
  it("returns what was put, and nothing for other keys and tables", () =>
    withStore(make, async (store) => {
      await store.transact((tx) => tx.put("t", bytes(1), bytes(7, 8)));
      expect([...(store.get("t", bytes(1)) ?? [])]).toEqual([7, 8]);
      expect(store.get("t", bytes(1, 0))).toBeUndefined();
      expect(store.get("t", bytes(0))).toBeUndefined();
      expect(store.get("u", bytes(1))).toBeUndefined();
      expect([store.count("t"), store.count("u")]).toEqual([1, 0]);
      expect(entries(store.range("u"))).toEqual([]);
    }));

  it("keeps empty and large values", () =>
    withStore(make, async (store) => {
      const sizes = [0, 1, 2000, 5000, 40_000, 300_000];
      await store.transact((tx) => {
        for (const size of sizes)
          tx.put("t", bytes(1, size >> 16, (size >> 8) & 255, size & 255), new Uint8Array(size).fill(size % 251));
      });
      const got = Array.from(store.range("t"), (e) => e.value);
      expect(got.map((v) => v.length)).toEqual(sizes);
      expect(got.every((v, i) => v.every((byte) => byte === (sizes[i] as number) % 251))).toBe(true);
      for (const size of sizes)
        expect(store.get("t", bytes(1, size >> 16, (size >> 8) & 255, size & 255))?.length).toBe(size);
    }));

  it("returns copies: neither side sees the other's changes", () =>
    withStore(make, async (store) => {
      const key = Buffer.from([1]);
      const value = Buffer.from([1, 2, 3]);
      await store.transact((tx) => {
        tx.put("t", key, value);
        value.fill(9);
        key.fill(9);
      });
      const first = store.get("t", bytes(1)) as Uint8Array;
      expect([...first]).toEqual([1, 2, 3]);
      first.fill(8);
      const [entry] = [...store.range("t")];
      expect(entry && hex(entry.key)).toBe("01");
      expect([...(entry?.value ?? [])]).toEqual([1, 2, 3]);
      entry?.value.fill(7);
      entry?.key.fill(7);
      store.get("t", bytes(2));
      await store.transact((tx) => tx.put("t", bytes(2), bytes(4, 4, 4)));
      expect([...(store.get("t", bytes(1)) ?? [])]).toEqual([1, 2, 3]);
      expect([...first]).toEqual([8, 8, 8]);
    }));
}

function ranges(make: MakeOrderedStore): void {
  it("orders keys by their bytes, a prefix before what it begins", () =>
    withStore(make, async (store) => {
      const sorted = [
        bytes(0),
        bytes(0, 0),
        bytes(0, 1),
        bytes(1),
        bytes(1, 0),
        bytes(1, 255),
        bytes(2),
        bytes(127),
        bytes(128),
        bytes(255),
        bytes(255, 255),
      ];
      await fill(store, "t", [...sorted].reverse());
      expect(keysOf(store.range("t"))).toEqual(sorted.map(hex));
      expect(keysOf(store.range("t", { reverse: true }))).toEqual(sorted.map(hex).reverse());
    }));

  it("includes the lower bound, excludes the upper, in both directions, whether they are keys or not", () =>
    withStore(make, async (store) => {
      await fill(
        store,
        "t",
        [10, 20, 30, 40].map((n) => bytes(n)),
      );
      const cases: readonly (readonly [number | undefined, number | undefined, readonly number[]])[] = [
        [undefined, undefined, [10, 20, 30, 40]],
        [20, undefined, [20, 30, 40]],
        [15, undefined, [20, 30, 40]],
        [undefined, 30, [10, 20]],
        [undefined, 35, [10, 20, 30]],
        [20, 40, [20, 30]],
        [21, 39, [30]],
        [20, 20, []],
        [30, 20, []],
        [41, undefined, []],
        [undefined, 10, []],
      ];
      for (const [gte, lt, expected] of cases) {
        const options = {
          ...(gte === undefined ? {} : { gte: bytes(gte) }),
          ...(lt === undefined ? {} : { lt: bytes(lt) }),
        };
        const wanted = expected.map((n) => hex(bytes(n)));
        expect(keysOf(store.range("t", options))).toEqual(wanted);
        expect(keysOf(store.range("t", { ...options, reverse: true }))).toEqual([...wanted].reverse());
        expect(keysOf(store.range("t", { ...options, limit: 1 }))).toEqual(wanted.slice(0, 1));
        expect(keysOf(store.range("t", { ...options, reverse: true, limit: 2 }))).toEqual(
          [...wanted].reverse().slice(0, 2),
        );
      }
      expect(keysOf(store.range("t", { limit: 0 }))).toEqual([]);
    }));

  it("can be left early and used twice, also nested", () =>
    withStore(make, async (store) => {
      await fill(
        store,
        "t",
        Array.from({ length: 50 }, (_, i) => bytes(i)),
      );
      for (const { key } of store.range("t")) if (key[0] === 3) break;
      const range = store.range("t", { limit: 3 });
      expect([keysOf(range), keysOf(range)]).toEqual([
        ["00", "01", "02"],
        ["00", "01", "02"],
      ]);
      let pairs = 0;
      for (const outer of store.range("t", { limit: 4 })) {
        for (const inner of store.range("t", { gte: outer.key, limit: 2 })) {
          expect(hexOf(store.get("t", inner.key))).toBe(hex(inner.value));
          pairs += 1;
        }
      }
      expect(pairs).toBe(8);
    }));

  it("sees what was committed before the call", () =>
    withStore(make, async (store) => {
      for (let i = 0; i < 20; i++) {
        await store.transact((tx) => tx.put("t", bytes(i), bytes(i)));
        expect(keysOf(store.range("t", { reverse: true, limit: 1 }))).toEqual([hex(bytes(i))]);
        expect(store.count("t")).toBe(i + 1);
      }
    }));

  it("survives reopening", () =>
    withStore(make, async (store, harness) => {
      await fill(store, "t", [bytes(1), bytes(2), new Uint8Array(KEY_BYTES_MAX).fill(3)]);
      await fill(store, "Tabelle ü/2", [bytes(9)]);
      if (harness.reopen === undefined) return;
      const again = await harness.reopen();
      expect(keysOf(again.range("t"))).toEqual(["01", "02", "03".repeat(KEY_BYTES_MAX)]);
      expect(keysOf(again.range("Tabelle ü/2"))).toEqual(["09"]);
      await again.transact((tx) => tx.put("t", bytes(5), bytes(5)));
      expect(again.count("t")).toBe(4);
    }));
}

function keyLimits(make: MakeOrderedStore): void {
  it("refuses empty and over-long keys by code, and takes the longest", () =>
    withStore(make, async (store) => {
      const code = { code: "STORE-KEY" };
      for (const key of [bytes(), new Uint8Array(KEY_BYTES_MAX + 1)]) {
        await expect(store.transact((tx) => tx.put("t", key, bytes(1)))).rejects.toMatchObject(code);
        await expect(store.transact((tx) => tx.delete("t", key))).rejects.toMatchObject(code);
        expect(() => store.get("t", key)).toThrow(expect.objectContaining(code));
      }
      const longest = new Uint8Array(KEY_BYTES_MAX).fill(255);
      await store.transact((tx) => tx.put("t", longest, bytes(1)));
      expect(hexOf(store.get("t", longest))).toBe(hex(bytes(1)));
      expect(store.count("t")).toBe(1);
    }));

  it("takes any byte string as a bound", () =>
    withStore(make, async (store) => {
      await fill(store, "t", [bytes(1), bytes(2)]);
      const long = new Uint8Array(KEY_BYTES_MAX + 100).fill(1);
      expect(keysOf(store.range("t", { gte: bytes() }))).toEqual(["01", "02"]);
      expect(keysOf(store.range("t", { lt: bytes() }))).toEqual([]);
      expect(keysOf(store.range("t", { gte: long }))).toEqual(["02"]);
      expect(keysOf(store.range("t", { lt: long }))).toEqual(["01"]);
    }));
}
