import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Worker } from "node:worker_threads";
import { type PayloadToken, systemEnv } from "@millrace/engine";
import { payloadStoreContract } from "@millrace/engine/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type MappedPayloadStore, openMappedPayloadStore } from "./mapped-payload-store.ts";
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

  it("reads for code of ours from one array that stays, whatever lease it is for", async () => {
    const store = openMappedPayloadStore({ dir });
    const tokens = [await store.put(Buffer.alloc(20_000, 1), "raw"), await store.put(Buffer.alloc(90_000, 2), "raw")];
    const files = new Set<ArrayBufferLike>();
    const seen: number[][] = [];
    for (const token of [...tokens, ...tokens]) {
      const lease = await store.acquire(token as PayloadToken);
      lease?.read((bytes) => {
        files.add(bytes.buffer);
        seen.push([bytes.length, bytes[0] ?? 0, bytes.at(-1) ?? 0]);
        bytes.fill(9);
      });
      expect(lease?.release()).toBe(true);
    }
    expect(files.size).toBe(1);
    // What was written by mistake is seen by nobody after the lease.
    expect(seen).toEqual([
      [20_000, 1, 1],
      [90_000, 2, 2],
      [20_000, 1, 1],
      [90_000, 2, 2],
    ]);
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
    expect(() => lease?.read(() => "read")).toThrow(expect.objectContaining({ code: "PAYLOAD-LEASE-LOST" }));
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

  it("takes back what the program forgot: slots, mappings and room of 3000 leases", async () => {
    const [length, payloads, slots] = [12_000, 1500, 1001];
    const store = openMappedPayloadStore({ dir, bytesMax: payloads * length, slots });
    const tokens: PayloadToken[] = [];
    for (let i = 0; i < payloads; i++) tokens.push((await store.put(Buffer.alloc(length, i), "raw")) as PayloadToken);
    const [mappedBefore, fileBefore] = [mappings(dir) + VIEWS, fileBytes(dir)];
    const leased = await leaseAndForget(store, [...tokens, ...tokens], (i) => i % payloads);
    expect(leased).toEqual({ right: 3000, mapped: 2 * (slots - 1) });
    expect(mappings(dir) - mappedBefore).toBeGreaterThan(slots / 2);
    for (const token of tokens) await store.discard(token);
    const held = slots - 1;
    expect(store.stats()).toEqual({ payloads: held, bytes: held * length, leases: 2 * held });
    expect(await store.put(Buffer.alloc((payloads - held + 1) * length), "raw")).toBeUndefined();
    await afterCollections(() => store.stats().leases === 0 && mappings(dir) <= mappedBefore);
    expect(store.stats()).toEqual({ payloads: 0, bytes: 0, leases: 0 });
    const again: PayloadToken[] = [];
    for (let i = 0; i < payloads; i++) again.push((await store.put(Buffer.alloc(length, 9), "raw")) as PayloadToken);
    expect(await leaseAndForget(store, again, () => 9)).toEqual({ right: payloads, mapped: slots - 1 });
    expect(fileBytes(dir)).toBe(fileBefore);
    await store.close();
  });

  it("keeps a lease as long as the program has its bytes", async () => {
    const store = openMappedPayloadStore({ dir });
    const [first, second] = [Buffer.alloc(50_000, 1), Buffer.alloc(50_000, 2)];
    const [token, other] = [await store.put(first, "raw"), await store.put(second, "raw")] as PayloadToken[];
    const view = await bytesOf(store, token as PayloadToken);
    const late = await store.acquire(other as PayloadToken);
    expect((await leaseAndForget(store, [other as PayloadToken], () => 2)).right).toBe(1);
    await afterCollections(() => store.stats().leases === 2);
    const asked = late?.bytes;
    await store.discard(token as PayloadToken);
    for (let i = 3; i < 12; i++) await store.put(Buffer.alloc(50_000, i), "raw");
    expect([Buffer.compare(view, first), Buffer.compare(asked as Uint8Array, second)]).toEqual([0, 0]);
    await store.close();
    expect([view.length, asked?.length]).toEqual([0, 0]);
  });

  it("gives nobody the room of a reservation whose bytes somebody can still write to", async () => {
    const store = openMappedPayloadStore({ dir });
    let bytes: Uint8Array | undefined = forgottenReservation(store);
    const first = (await store.put(Buffer.alloc(9000), "raw")) as PayloadToken;
    expect((await leaseAndForget(store, [first], () => 0)).right).toBe(1);
    await afterCollections(() => store.stats().leases === 0);
    const others: PayloadToken[] = [];
    for (let i = 0; i < 20; i++) others.push((await store.put(Buffer.alloc(70_000, 3), "raw")) as PayloadToken);
    bytes.fill(0xee);
    for (const other of others) expect((await store.acquire(other))?.bytes.every((byte) => byte === 3)).toBe(true);
    bytes = undefined;
    await afterCollections(() => store.stats().payloads === others.length + 1);
    await store.close();
  });

  it("leaves no payload behind", async () => {
    const store = openMappedPayloadStore({ dir });
    await store.put(Buffer.alloc(5000), "raw");
    await store.close();
    const [boot = ""] = readdirSync(dir);
    expect(readdirSync(join(dir, boot)).sort()).toEqual(["attached", "environments", "processes", "store"]);
  });
});

/** Mappings of a data file that its readers share: one for all who read it in place, and one for those who copy. */
const VIEWS = 2;

/** How many mappings this process has of data files in a directory. Neighbours in file and memory may count as one. */
function mappings(dir: string): number {
  const lines = readFileSync("/proc/self/maps", "utf8").split("\n");
  return lines.filter((line) => line.includes(dir) && line.endsWith(".mdb")).length;
}

function fileBytes(dir: string): number {
  const files = readdirSync(dir, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".mdb"));
  return files.reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);
}

/** How many of the leases have bytes of the number expected for their token, and how many are on the store's own memory. */
async function leaseAndForget(
  store: MappedPayloadStore,
  tokens: readonly PayloadToken[],
  expected: (i: number) => number,
): Promise<{ right: number; mapped: number }> {
  let [right, mapped] = [0, 0];
  for (const [i, token] of tokens.entries()) {
    const lease = await store.acquire(token);
    if (lease?.bytes[token.length - 1] === expected(i) % 256) right++;
    if (lease?.place() !== undefined) mapped++;
  }
  return { right, mapped };
}

function forgottenReservation(store: MappedPayloadStore): Uint8Array {
  return store.reserve(70_000, "raw")?.bytes as Uint8Array;
}

async function bytesOf(store: MappedPayloadStore, token: PayloadToken): Promise<Uint8Array> {
  return (await store.acquire(token))?.bytes as Uint8Array;
}

async function afterCollections(holds: () => boolean): Promise<void> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  await vi.waitUntil(() => {
    collect();
    return holds();
  }, 45_000);
}

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
