import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { type PayloadToken, systemEnv } from "@millrace/engine";
import { payloadStoreContract } from "@millrace/engine/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openMappedPayloadStore } from "./mapped-payload-store.ts";
import { openPayloadStore } from "./payload-store.ts";

const ADDON = join(import.meta.dirname, "..", "..", "millrace.node");
/** A thread that takes a lease and holds it for ever. It runs without our sources, which may not be JavaScript yet. */
const THREAD = `
const { parentPort, workerData: { addon, dir, token: { id, length, hash } } } = require("node:worker_threads");
const lodge = new (require(addon).Lodge)(dir, { bytesMax: 2 ** 20, leasedBytesMax: 2 ** 30, machineBytesMax: 2 ** 40, slots: 8, leaseMs: 3600000 });
const bytes = new Uint8Array(lodge.buffer(lodge.acquire(id, 0, length, hash)));
parentPort.postMessage(bytes[0]);
parentPort.on("message", () => bytes[0]);
`;

const skipped = process.env.MILLRACE_SKIP_RUST;
const freshDir = (): string =>
  mkdtempSync(join(statSync("/dev/shm", { throwIfNoEntry: false }) ? "/dev/shm" : tmpdir(), "millrace-mapped-"));

describe.skipIf(skipped)(`payloads by reference${skipped ? ` (skipped: ${skipped})` : ""}`, () => {
  payloadStoreContract("the mapped payload store", async ({ bytesMax }) => {
    const dir = freshDir();
    const stores = [openMappedPayloadStore({ dir, bytesMax })];
    return {
      store: stores[0] as (typeof stores)[number],
      async peer() {
        const peer = openMappedPayloadStore({ dir, bytesMax });
        stores.push(peer);
        return peer;
      },
      async settle() {
        for (const store of stores) store.sweep();
      },
      async destroy() {
        for (const store of stores) await store.close();
        rmSync(dir, { recursive: true, force: true });
      },
    };
  });

  let dir: string;
  beforeEach(() => {
    dir = freshDir();
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it("lets a consumer write every byte of its reference and harms nobody", async () => {
    const store = openMappedPayloadStore({ dir });
    const peer = openMappedPayloadStore({ dir });
    const bytes = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, i) => i * 7));
    const token = (await store.put(bytes, "raw")) as PayloadToken;
    const neighbour = (await store.put(bytes, "raw")) as PayloadToken;
    const [hostile, same, other] = [await store.acquire(token), await store.acquire(token), await peer.acquire(token)];
    hostile?.bytes.fill(0xee);
    expect(hostile?.isValid()).toBe(true);
    for (const lease of [same, other, await peer.acquire(neighbour)]) {
      expect(Buffer.compare(lease?.bytes ?? Buffer.alloc(1), bytes)).toBe(0);
    }
    hostile?.release();
    expect(Buffer.compare((await store.acquire(token))?.bytes ?? Buffer.alloc(1), bytes)).toBe(0);
    await peer.close();
    await store.close();
  });

  it("gives zeros to whoever moved the bytes away before the release", async () => {
    const store = openMappedPayloadStore({ dir });
    const token = (await store.put(Buffer.alloc(100_000, 7), "raw")) as PayloadToken;
    const lease = await store.acquire(token);
    const buffer = lease?.bytes.buffer as ArrayBuffer & { transfer?(): ArrayBuffer };
    if (buffer.transfer !== undefined) {
      const moved = new Uint8Array(buffer.transfer());
      expect(moved[99_999]).toBe(7);
      expect(lease?.release()).toBe(true);
      expect(moved.every((byte) => byte === 0)).toBe(true);
    }
    expect((await store.acquire(token))?.bytes[99_999]).toBe(7);
    await store.close();
  });

  it("tells a reader whose lease was revoked, by code", async () => {
    const owner = openMappedPayloadStore({ dir, leaseMs: 40 });
    const reader = openMappedPayloadStore({ dir, leaseMs: 0 });
    const token = (await owner.put(Buffer.alloc(50_000, 7), "raw")) as PayloadToken;
    const lease = await reader.acquire(token);
    const view = lease?.bytes;
    await owner.discard(token);
    await vi.waitUntil(() => {
      owner.sweep();
      return owner.stats().payloads === 0;
    }, 45_000);
    expect(lease?.isValid()).toBe(false);
    expect(view?.length).toBe(0);
    expect(() => lease?.bytes).toThrow(expect.objectContaining({ code: "PAYLOAD-LEASE-LOST", kind: "transient" }));
    expect(lease?.release()).toBe(false);
    expect(await reader.acquire(token)).toBeUndefined();
    await reader.close();
    await owner.close();
  });

  it("keeps pinned bytes", async () => {
    const store = openMappedPayloadStore({ dir });
    const token = (await store.put(Buffer.alloc(50_000, 7), "raw")) as PayloadToken;
    const lease = await store.acquire(token);
    expect(lease?.pin()).toBe(true);
    lease?.unpin();
    expect(lease?.release()).toBe(true);
    expect(lease?.pin()).toBe(false);
    await store.close();
  });

  it("copies what is small, so that nothing can take it away, and still tells where it lies", async () => {
    const owner = openMappedPayloadStore({ dir });
    const reader = openMappedPayloadStore({ dir, leaseMs: 0 });
    const token = (await owner.put(Buffer.alloc(5000, 7), "raw")) as PayloadToken;
    const lease = await reader.acquire(token);
    const located = await reader.locate(token);
    const place = located as NonNullable<typeof located>;
    const file = readFileSync(place.path).subarray(place.offset, place.offset + token.length);
    expect(file.every((byte) => byte === 7)).toBe(true);
    place.release();
    await owner.discard(token);
    await owner.put(Buffer.alloc(5000, 8), "raw");
    expect(owner.stats().payloads).toBe(1);
    expect([lease?.isValid(), lease?.pin(), lease?.place()]).toEqual([true, true, undefined]);
    const view = lease?.bytes as Uint8Array;
    expect(view.every((byte) => byte === 7)).toBe(true);
    expect([reader.stats().leases, lease?.release(), view.length, reader.stats().leases]).toEqual([1, true, 0, 0]);
    expect(await reader.acquire(token)).toBeUndefined();
    expect(await reader.acquire({ ...token, length: -1 })).toBeUndefined();
    await reader.close();
    await owner.close();
  });

  it("takes payloads that are written in place, once they are published", async () => {
    const store = openMappedPayloadStore({ dir });
    const reservation = store.reserve(70_000, "npy");
    reservation?.bytes.fill(5);
    const view = reservation?.bytes;
    const token = reservation?.publish() as PayloadToken;
    expect(view?.length).toBe(0);
    expect(token).toMatchObject({ store: store.id, format: "npy", length: 70_000 });
    expect((await store.acquire(token))?.bytes.every((byte) => byte === 5)).toBe(true);
    expect(reservation?.publish()).toBeUndefined();
    store.reserve(10, "raw")?.giveUp();
    expect(store.stats()).toMatchObject({ payloads: 1, bytes: 70_000 });
    expect(store.reserve(2 ** 40, "raw")).toBeUndefined();
    await store.close();
  });

  it("is chosen where the addon is, and its absence is explained", async () => {
    const opened = openPayloadStore({ dir, env: systemEnv(), bytesMax: 1000 });
    expect(opened.kind).toBe("mapped");
    expect(await opened.store.put(Buffer.alloc(2000), "raw")).toBeUndefined();
    await opened.store.close();
    writeFileSync(join(dir, "file"), "");
    expect(() => openMappedPayloadStore({ dir: join(dir, "file") })).toThrow(
      expect.objectContaining({ code: "PAYLOAD-FAILED" }),
    );
  });

  it("frees what a thread held that was ended in the middle", async () => {
    const store = openMappedPayloadStore({ dir });
    const token = (await store.put(Buffer.alloc(50_000, 7), "raw")) as PayloadToken;
    const worker = new Worker(THREAD, { eval: true, workerData: { addon: ADDON, dir, token } });
    const [first] = await once(worker, "message");
    expect(first).toBe(7);
    await store.discard(token);
    expect(store.stats().payloads).toBe(1);
    await worker.terminate();
    store.sweep();
    expect(store.stats().payloads).toBe(0);
    await store.close();
    const [boot = ""] = readdirSync(dir);
    expect(readdirSync(join(dir, boot)).sort()).toEqual(["attached", "environments", "processes", "store"]);
  });

  it("leaves no payload behind", async () => {
    const store = openMappedPayloadStore({ dir });
    await store.put(Buffer.alloc(5000), "raw");
    await store.close();
    const [boot = ""] = readdirSync(dir);
    expect(readdirSync(join(dir, boot)).sort()).toEqual(["attached", "environments", "processes", "store"]);
  });
});

describe("without the addon", () => {
  afterEach(() => {
    vi.unstubAllEnvs();
    vi.resetModules();
  });

  it("payloads are copied", async () => {
    vi.stubEnv("MILLRACE_NATIVE", "off");
    vi.resetModules();
    const fresh = await import("./payload-store.ts");
    const dir = freshDir();
    const { store, kind, reason } = fresh.openPayloadStore({ dir, env: systemEnv() });
    expect({ kind, reason }).toEqual({ kind: "copied", reason: "the native addon is not in use: MILLRACE_NATIVE=off" });
    const token = (await store.put(Buffer.from("copied"), "raw")) as PayloadToken;
    expect(Buffer.from((await store.acquire(token))?.bytes ?? []).toString()).toBe("copied");
    await store.close();
    rmSync(dir, { recursive: true, force: true });
  });
});
