import { describe, expect, it } from "vitest";
import { systemEnv } from "../../time/system-env.ts";
import { bytes, entries, hex, hexOf, type MakeOrderedStore, withStore } from "./harness.ts";

const { turns } = systemEnv();

export function transactionContract(make: MakeOrderedStore): void {
  describe("transactions", () => {
    outcome(make);
    ownWrites(make);
    deletion(make);
    closing(make);
  });
}

function outcome(make: MakeOrderedStore): void {
  it("return what the function returned", () =>
    withStore(make, async (store) => {
      expect(await store.transact(() => 42)).toBe(42);
      expect(await store.transact((tx) => tx.get("t", bytes(1)))).toBeUndefined();
    }));

  it("keep what was put though its bytes are used again", () =>
    withStore(make, async (store) => {
      const key = bytes(1);
      const value = bytes(1);
      await store.transact((tx) => {
        for (let i = 1; i < 4; i++) {
          key[0] = i;
          value[0] = i + 10;
          tx.put("t", key, value);
        }
        value[0] = 99;
      });
      expect(entries(store.range("t"))).toEqual(["01=0b", "02=0c", "03=0d"]);
    }));

  it("leave nothing behind when the function throws, in any table", () =>
    withStore(make, async (store) => {
      await store.transact((tx) => tx.put("t", bytes(1), bytes(1)));
      const failing = store.transact((tx) => {
        tx.put("t", bytes(1), bytes(9));
        tx.put("t", bytes(2), bytes(9));
        tx.delete("t", bytes(1));
        tx.put("fresh", bytes(1), bytes(9));
        tx.deleteRange("t");
        throw new RangeError("no");
      });
      await expect(failing).rejects.toThrow(RangeError);
      expect(entries(store.range("t"))).toEqual(["01=01"]);
      expect(entries(store.range("fresh"))).toEqual([]);
      await store.transact((tx) => tx.put("fresh", bytes(3), bytes(3)));
      expect(entries(store.range("fresh"))).toEqual(["03=03"]);
    }));

  it("apply in call order, each seeing those before it", () =>
    withStore(make, async (store) => {
      const increments = Array.from({ length: 50 }, (_, i) =>
        store.transact((tx) => {
          const now = tx.get("t", bytes(1))?.[0] ?? 0;
          expect(now).toBe(i);
          tx.put("t", bytes(1), bytes(now + 1));
        }),
      );
      await Promise.all(increments);
      expect(hexOf(store.get("t", bytes(1)))).toBe(hex(bytes(50)));
    }));

  it("fail alone: those queued around one that throws commit", () =>
    withStore(make, async (store) => {
      const settled = await Promise.allSettled(
        [0, 1, 2, 3].map((i) =>
          store.transact((tx) => {
            tx.put("t", bytes(i), bytes(i));
            if (i === 1) throw new Error("only this one");
          }),
        ),
      );
      expect(settled.map((s) => s.status)).toEqual(["fulfilled", "rejected", "fulfilled", "fulfilled"]);
      expect(entries(store.range("t"))).toEqual(["00=00", "02=02", "03=03"]);
    }));

  it("are never seen half done", () =>
    withStore(make, async (store) => {
      let finished = false;
      const writing = (async () => {
        for (let i = 0; i < 100; i++) {
          await store.transact((tx) => {
            tx.put("a", bytes(1), bytes(i));
            tx.put("b", bytes(1), bytes(i));
          });
        }
        finished = true;
      })();
      while (!finished) {
        expect(hexOf(store.get("a", bytes(1)))).toBe(hexOf(store.get("b", bytes(1))));
        await new Promise<void>((resolve) => turns.yieldToIo(resolve));
      }
      await writing;
    }));

  it("may write many entries at once", () =>
    withStore(make, async (store) => {
      const key = (i: number): Uint8Array => bytes((i * 7919) & 255, i >> 8, i & 255);
      await store.transact((tx) => {
        for (let i = 0; i < 20_000; i++) tx.put("t", key(i), bytes(i & 255));
      });
      expect(store.count("t")).toBe(20_000);
      for (let i = 0; i < 20_000; i += 997) expect(hexOf(store.get("t", key(i)))).toBe(hex(bytes(i & 255)));
    }));
}

function ownWrites(make: MakeOrderedStore): void {
  it("read their own writes, by key, by range and by count", () =>
    withStore(make, async (store) => {
      await store.transact((tx) => {
        for (const n of [1, 3, 5]) tx.put("t", bytes(n), bytes(n));
      });
      await store.transact((tx) => {
        tx.put("t", bytes(2), bytes(2));
        tx.put("t", bytes(3), bytes(33));
        tx.delete("t", bytes(5));
        expect(hexOf(tx.get("t", bytes(3)))).toBe(hex(bytes(33)));
        expect(tx.get("t", bytes(5))).toBeUndefined();
        expect(tx.count("t")).toBe(3);
        expect(entries(tx.range("t"))).toEqual(["01=01", "02=02", "03=21"]);
        expect(entries(tx.range("t", { reverse: true, lt: bytes(3) }))).toEqual(["02=02", "01=01"]);
        tx.deleteRange("t", { gte: bytes(2), lt: bytes(3) });
        expect(entries(tx.range("t"))).toEqual(["01=01", "03=21"]);
      });
      expect(entries(store.range("t"))).toEqual(["01=01", "03=21"]);
    }));

  it("may delete what a finished range named", () =>
    withStore(make, async (store) => {
      await store.transact((tx) => {
        for (let i = 0; i < 100; i++) tx.put("t", bytes(i), bytes(i));
      });
      await store.transact((tx) => {
        for (const { key } of [...tx.range("t")]) if ((key[0] as number) % 2 === 0) tx.delete("t", key);
      });
      expect(store.count("t")).toBe(50);
    }));
}

function deletion(make: MakeOrderedStore): void {
  it("delete keys, missing ones too", () =>
    withStore(make, async (store) => {
      await store.transact((tx) => tx.put("t", bytes(1), bytes(1)));
      await store.transact((tx) => {
        tx.delete("t", bytes(1));
        tx.delete("t", bytes(2));
        tx.delete("never", bytes(2));
      });
      expect(store.count("t")).toBe(0);
    }));

  it("delete ranges with either bound or none", () =>
    withStore(make, async (store) => {
      const refill = (): Promise<void> =>
        store.transact((tx) => {
          for (const n of [1, 2, 3, 4]) tx.put("t", bytes(n), bytes(n));
        });
      const cases = [
        [{ gte: bytes(2), lt: bytes(4) }, ["01=01", "04=04"]],
        [{ gte: bytes(3) }, ["01=01", "02=02"]],
        [{ lt: bytes(3) }, ["03=03", "04=04"]],
        [{}, []],
      ] as const;
      for (const [options, left] of cases) {
        await refill();
        await store.transact((tx) => tx.deleteRange("t", options));
        expect(entries(store.range("t"))).toEqual(left);
      }
    }));

  it("let a whole table be dropped and used again", () =>
    withStore(make, async (store, harness) => {
      await store.transact((tx) => {
        tx.put("t", bytes(1), bytes(1));
        tx.put("kept", bytes(1), bytes(1));
      });
      await store.drop("t");
      await store.drop("never");
      expect([store.count("t"), store.count("kept")]).toEqual([0, 1]);
      expect(store.get("t", bytes(1))).toBeUndefined();
      await store.transact((tx) => tx.put("t", bytes(2), bytes(2)));
      expect(entries(store.range("t"))).toEqual(["02=02"]);
      if (harness.reopen !== undefined) expect(entries((await harness.reopen()).range("t"))).toEqual(["02=02"]);
    }));

  it("hold many tables", () =>
    withStore(make, async (store) => {
      for (let i = 0; i < 40; i++) await store.transact((tx) => tx.put(`table ${i}`, bytes(1), bytes(i)));
      for (let i = 0; i < 40; i++) expect(hexOf(store.get(`table ${i}`, bytes(1)))).toBe(hex(bytes(i)));
    }));
}

function closing(make: MakeOrderedStore): void {
  it("finish before the store closes; afterwards every call fails by code", () =>
    withStore(make, async (store, harness) => {
      const inFlight = store.transact((tx) => tx.put("t", bytes(1), bytes(1)));
      const closed = store.close();
      await inFlight;
      await closed;
      const code = { code: "STORE-CLOSED" };
      await expect(store.transact(() => 0)).rejects.toMatchObject(code);
      expect(() => store.get("t", bytes(1))).toThrow(expect.objectContaining(code));
      expect(() => [...store.range("t")]).toThrow(expect.objectContaining(code));
      await store.close();
      if (harness.reopen !== undefined) expect(entries((await harness.reopen()).range("t"))).toEqual(["01=01"]);
    }));
}
