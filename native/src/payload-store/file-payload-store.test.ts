import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type PayloadToken, systemEnv } from "@millrace/engine";
import { payloadStoreContract } from "@millrace/engine/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openFilePayloadStore } from "./file-payload-store.ts";

const env = systemEnv();
const freshDir = (): string => mkdtempSync(join(tmpdir(), "millrace-payloads-"));

function fileOf(dir: string, { id }: PayloadToken): string {
  const [owner = "", sequence = ""] = id.split("-");
  return join(dir, owner, sequence);
}

payloadStoreContract("the file payload store", async ({ bytesMax }) => {
  const dir = freshDir();
  const stores = [openFilePayloadStore({ dir, env, bytesMax })];
  return {
    store: stores[0] as (typeof stores)[number],
    async peer() {
      const peer = openFilePayloadStore({ dir, env, bytesMax });
      stores.push(peer);
      return peer;
    },
    async damage(token) {
      writeFileSync(fileOf(dir, token), Buffer.alloc(token.length));
    },
    async destroy() {
      for (const store of stores) await store.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
});

describe("the file payload store", () => {
  let dir: string;
  beforeEach(() => {
    dir = freshDir();
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it("lets nobody else in", async () => {
    chmodSync(dir, 0o777);
    const store = openFilePayloadStore({ dir, env });
    const token = (await store.put(Buffer.from("secret"), "raw")) as PayloadToken;
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    expect(statSync(fileOf(dir, token)).mode & 0o777).toBe(0o600);
    await store.close();
  });

  it("does not resolve a payload that was cut off", async () => {
    const store = openFilePayloadStore({ dir, env });
    const token = (await store.put(Buffer.from("a payload"), "raw")) as PayloadToken;
    truncateSync(fileOf(dir, token), 3);
    expect(await store.acquire(token)).toBeUndefined();
    await store.close();
  });

  it("removes what dead processes left, and nothing of the living", async () => {
    const living = openFilePayloadStore({ dir, env });
    const token = (await living.put(Buffer.from("kept"), "raw")) as PayloadToken;
    const { pid } = spawnSync(process.execPath, ["-e", ""]);
    const orphan = join(dir, "0".repeat(32));
    mkdirSync(orphan);
    writeFileSync(join(orphan, "pid"), String(pid));
    writeFileSync(join(orphan, "1"), "left behind");
    const next = openFilePayloadStore({ dir, env });
    expect(existsSync(orphan)).toBe(false);
    expect((await next.acquire(token))?.bytes.length).toBe(4);
    await next.close();
    await living.close();
    expect(readdirSync(dir)).toEqual(["store"]);
  });

  it("keeps no copy that the program forgot", async () => {
    const store = openFilePayloadStore({ dir, env });
    const token = (await store.put(Buffer.from("a payload"), "raw")) as PayloadToken;
    const kept = await store.acquire(token);
    for (let i = 0; i < 100; i++) await store.acquire(token);
    expect(store.stats().leases).toBe(101);
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    await vi.waitUntil(() => {
      collect();
      return store.stats().leases === 1;
    }, 45_000);
    await store.close();
    expect(kept?.isValid()).toBe(false);
  });

  it("says by code that its directory cannot be used", () => {
    writeFileSync(join(dir, "file"), "");
    expect(() => openFilePayloadStore({ dir: join(dir, "file"), env })).toThrow(
      expect.objectContaining({ code: "PAYLOAD-FAILED" }),
    );
  });
});
