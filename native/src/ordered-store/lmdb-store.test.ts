import { execFileSync, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { orderedStoreContract } from "@millrace/engine/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { markClosed, takeClosedMark } from "./closed-mark.ts";
import { openLmdbStore } from "./lmdb-store.ts";

const freshDir = (): string => mkdtempSync(join(tmpdir(), "millrace-lmdb-"));

orderedStoreContract("the LMDB store", async () => {
  const dir = freshDir();
  let store = await openLmdbStore({ dir });
  return {
    store,
    async reopen() {
      await store.close();
      store = await openLmdbStore({ dir });
      return store;
    },
    async destroy() {
      await store.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
});

const key = (i: number): Uint8Array => Uint8Array.of(1, i >> 8, i & 255);

describe("opening an LMDB store", () => {
  let dir: string;
  beforeEach(() => {
    dir = freshDir();
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it("refuses options that would end the process", async () => {
    for (const mapBytes of [2 << 30, -1, 0, 4095, 1.5, Number.NaN, 2 ** 60]) {
      await expect(openLmdbStore({ dir, mapBytes })).rejects.toMatchObject({ code: "INVARIANT" });
    }
    expect(existsSync(join(dir, "data.mdb"))).toBe(false);
  });

  it("refuses a directory that this process has open", async () => {
    const store = await openLmdbStore({ dir });
    await expect(openLmdbStore({ dir: `${dir}/.` })).rejects.toMatchObject({ code: "STORE-FAILED" });
    await store.close();
    await (await openLmdbStore({ dir })).close();
  });

  it("makes the directory, and says that nothing was rebuilt", async () => {
    const store = await openLmdbStore({ dir: join(dir, "a/b") });
    expect(store.rebuilt).toBe(false);
    await store.close();
    const again = await openLmdbStore({ dir: join(dir, "a/b") });
    expect(again.rebuilt).toBe(false);
    await again.close();
  });

  async function fill(): Promise<void> {
    const store = await openLmdbStore({ dir });
    await store.transact((tx) => {
      for (let i = 0; i < 2000; i++) tx.put("t", key(i), new Uint8Array(100).fill(i));
    });
    await store.close();
  }

  async function expectRebuilt(): Promise<void> {
    const store = await openLmdbStore({ dir });
    expect(store.rebuilt).toBe(true);
    expect(store.count("t")).toBe(0);
    await store.transact((tx) => tx.put("t", key(1), key(1)));
    await store.close();
    const again = await openLmdbStore({ dir });
    expect([again.rebuilt, again.count("t")]).toEqual([false, 1]);
    await again.close();
  }

  it("rebuilds a file that is not a store", async () => {
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, "data.mdb"), Buffer.alloc(40_960, 0x5a));
    await expectRebuilt();
  });

  it("rebuilds a store that was cut off", async () => {
    await fill();
    truncateSync(join(dir, "data.mdb"), 5 * 4096);
    await expectRebuilt();
  });

  it("rebuilds a store whose pages were overwritten", async () => {
    await fill();
    const file = openSync(join(dir, "data.mdb"), "r+");
    const size = readFileSync(join(dir, "data.mdb")).length;
    for (let at = 2 * 4096; at < size; at += 4096) writeSync(file, Buffer.alloc(4096, 0xa7), 0, 4096, at);
    await expectRebuilt();
  });

  /** Pages that hold keys far from either end. */
  function damageMiddle(): void {
    const bytes = readFileSync(join(dir, "data.mdb"));
    const file = openSync(join(dir, "data.mdb"), "r+");
    for (let i = 5000; i < 15_000; i += 10) {
      const at = bytes.indexOf(Buffer.concat([key(i), Buffer.alloc(100, i)]));
      writeSync(file, Buffer.alloc(4096, 0xa7), 0, 4096, at - (at % 4096));
    }
  }

  async function fillMuch(): Promise<void> {
    const store = await openLmdbStore({ dir });
    await store.transact((tx) => {
      for (let i = 0; i < 20_000; i++) tx.put("t", key(i), new Uint8Array(100).fill(i));
    });
    await store.close();
  }

  it("looks for damage everywhere unless the data is as it was closed", async () => {
    await fillMuch();
    expect([takeClosedMark(dir), takeClosedMark(dir)]).toEqual([true, false]);
    damageMiddle();
    markClosed(dir);
    const trusted = await openLmdbStore({ dir });
    expect(trusted.rebuilt).toBe(false);
    await trusted.close();
    expect(takeClosedMark(dir)).toBe(true);
    await expectRebuilt();
  });

  it("looks beside its users for damage that opening has no time to look for, and then takes no more", async () => {
    await fillMuch();
    damageMiddle();
    const store = await openLmdbStore({ dir, lookMsMax: 0.01 });
    expect(store.rebuilt).toBe(false);
    await store.transact((tx) => tx.put("t", key(1), key(1)));
    await store.examined;
    await expect(store.transact((tx) => tx.put("t", key(2), key(2)))).rejects.toMatchObject({ code: "STORE-FAILED" });
    await store.close();
    await expectRebuilt();
  });

  it("looks again until it has looked at everything", async () => {
    await fillMuch();
    takeClosedMark(dir);
    const hasty = await openLmdbStore({ dir, lookMsMax: 0.01 });
    await hasty.close();
    expect(takeClosedMark(dir)).toBe(false);
    const store = await openLmdbStore({ dir, lookMsMax: 0.01 });
    await store.examined;
    expect(store.count("t")).toBe(20_000);
    await store.close();
    expect(takeClosedMark(dir)).toBe(true);
  });

  const built = join(import.meta.dirname, "../../dist/mod.js");
  it.skipIf(!existsSync(built))("keeps what was committed when its process is killed", async () => {
    const script = `
      import { openLmdbStore } from ${JSON.stringify(built)};
      const store = await openLmdbStore({ dir: ${JSON.stringify(dir)} });
      await store.transact((tx) => tx.put("t", Uint8Array.of(1), Uint8Array.of(7)));
      store.transact((tx) => tx.put("t", Uint8Array.of(2), new Uint8Array(1e6)));
      process.kill(process.pid, "SIGKILL");`;
    const child = spawnSync(process.execPath, ["--input-type=module", "-e", script]);
    expect(child.signal).toBe("SIGKILL");
    expect(takeClosedMark(dir)).toBe(false);
    const store = await openLmdbStore({ dir });
    expect(store.rebuilt).toBe(false);
    expect([...(store.get("t", Uint8Array.of(1)) ?? [])]).toEqual([7]);
    await store.close();
  });
});

/** A full disk needs one of our own: a small tmpfs, which only root may mount. */
const noTmpfs = process.env.MILLRACE_SKIP_TMPFS ?? (process.getuid?.() === 0 ? undefined : "not root");

describe(`an LMDB store on a full disk${noTmpfs === undefined ? "" : ` (skipped: ${noTmpfs})`}`, () => {
  it.skipIf(noTmpfs !== undefined)("refuses by code, keeps what it has, and resumes once there is room", async () => {
    const dir = freshDir();
    execFileSync("/bin/mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", dir]);
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on("unhandledRejection", note);
    try {
      const ballast = join(dir, "ballast");
      writeFileSync(ballast, Buffer.alloc(3 * 1024 * 1024));
      let store = await openLmdbStore({ dir: join(dir, "store") });
      const put = (i: number, bytes = 20_000): Promise<void> =>
        store.transact((tx) => tx.put("t", key(i), new Uint8Array(bytes).fill(i)));
      let accepted = 0;
      const error = await (async () => {
        for (;;) {
          await put(accepted);
          accepted += 1;
        }
      })().catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: "STORE-FULL", kind: "transient" });
      expect(accepted).toBeGreaterThan(50);
      expect(store.count("t")).toBe(accepted);
      for (const q of await Promise.allSettled([put(1000, 2_000_000), put(1001, 9_000_000), put(1002, 100_000)])) {
        expect(q).toMatchObject({ status: "rejected", reason: { code: "STORE-FULL" } });
      }
      rmSync(ballast);
      for (let i = 0; i < 40; i++) await put(accepted + i);
      await store.transact((tx) => tx.deleteRange("t", { gte: key(10) }));
      await store.close();
      store = await openLmdbStore({ dir: join(dir, "store") });
      expect([store.rebuilt, store.count("t")]).toEqual([false, 10]);
      await store.close();
      await new Promise<void>((resolve) => setImmediate(resolve));
      expect(unhandled).toEqual([]);
    } finally {
      process.off("unhandledRejection", note);
      execFileSync("/bin/umount", ["-l", dir]);
      rmSync(dir, { recursive: true, force: true });
    }
  });
});
