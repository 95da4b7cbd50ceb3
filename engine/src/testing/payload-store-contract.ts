/** What every `PayloadStore` must do. */
import { describe, expect, it } from "vitest";
import type { PayloadStore, PayloadToken } from "../payload/payload-store.ts";

export interface PayloadStoreHarness {
  readonly store: PayloadStore;
  /** The same store as another process sees it. Absent when a store lives in one process. */
  peer?(): Promise<PayloadStore>;
  /** Makes the stores free what others let go, where they do not notice at once. */
  settle?(): Promise<void>;
  /** Spoils the stored bytes of a payload. Absent when they cannot be reached. */
  damage?(token: PayloadToken): Promise<void>;
  destroy(): Promise<void>;
}

/** Opens an empty store that has room for `bytesMax` bytes of payloads. */
export type MakePayloadStore = (options: { readonly bytesMax: number }) => Promise<PayloadStoreHarness>;

const MIB = 1024 * 1024;

export function payloadStoreContract(name: string, make: MakePayloadStore): void {
  const withStore = async (
    body: (store: PayloadStore, harness: PayloadStoreHarness) => Promise<void>,
    bytesMax = 64 * MIB,
  ): Promise<void> => {
    const harness = await make({ bytesMax });
    try {
      await body(harness.store, harness);
    } finally {
      await harness.destroy();
    }
  };

  describe(`${name} is a payload store`, () => {
    it("hands over what was put, of any size and format", () =>
      withStore(async (store) => {
        for (const [size, format] of [
          [0, "raw"],
          [1, "json"],
          [70_000, "msgpack"],
          [5 * MIB, "arrow"],
        ] as const) {
          const bytes = sample(size);
          const token = await putInto(store, bytes, format);
          expect(token).toMatchObject({ store: store.id, format, length: size });
          expect(token.hash).toMatch(/^([0-9a-f]{16}|[0-9a-f]{64})$/);
          const lease = await store.acquire(JSON.parse(JSON.stringify(token)) as PayloadToken);
          expect(lease?.token).toEqual(token);
          expect(Buffer.compare(lease?.bytes ?? Buffer.alloc(9), bytes)).toBe(0);
          expect(lease?.release()).toBe(true);
        }
      }));

    it("shows a payload to code that reads it at once, beside whoever has its bytes", () =>
      withStore(async (store) => {
        for (const size of [0, 3, 70_000]) {
          const [other, token] = [await putInto(store, sample(9000)), await putInto(store, sample(size))];
          const [a, b] = [await store.acquire(token), await store.acquire(token)];
          const copied = [a, b].map((lease) => lease?.read((bytes) => Buffer.from(bytes)));
          expect(copied).toEqual([Buffer.from(sample(size)), Buffer.from(sample(size))]);
          a?.bytes.fill(9);
          expect(a?.read((bytes) => bytes.every((byte) => byte === 9))).toBe(true);
          expect([a?.release(), b?.release()]).toEqual([true, true]);
          expect(() => a?.read(() => "read")).toThrow(expect.objectContaining({ code: "PAYLOAD-RELEASED" }));
          await store.discard(other);
          await store.discard(token);
        }
      }));

    it("keeps producer and readers apart: nobody sees what another writes", () =>
      withStore(async (store) => {
        const given = Buffer.from([1, 2, 3]);
        const token = await putInto(store, given);
        given.fill(9);
        const [a, b] = [await store.acquire(token), await store.acquire(token)];
        a?.bytes.fill(7);
        expect([...(b?.bytes ?? [])]).toEqual([1, 2, 3]);
        expect(b?.isValid()).toBe(true);
      }));

    it("detaches on release: no reader can read on", () =>
      withStore(async (store) => {
        const lease = await store.acquire(await putInto(store, sample(100)));
        const view = lease?.bytes;
        expect([lease?.isValid(), lease?.release(), lease?.isValid(), lease?.release()]).toEqual([
          true,
          true,
          false,
          false,
        ]);
        expect(view?.length).toBe(0);
        expect(() => lease?.bytes).toThrow(expect.objectContaining({ code: "PAYLOAD-RELEASED" }));
      }));

    it("frees a payload once its producer let go, but not under a reader", () =>
      withStore(async (store) => {
        const token = await putInto(store, sample(1000));
        const lease = await store.acquire(token);
        await store.discard(token);
        expect([...(lease?.bytes.subarray(0, 3) ?? [])]).toEqual([...sample(3)]);
        expect(lease?.release()).toBe(true);
        expect(await store.acquire(token)).toBeUndefined();
        await store.discard(token);
        expect(store.stats()).toEqual({ payloads: 0, bytes: 0, leases: 0 });
      }));

    it("counts what it holds", () =>
      withStore(async (store) => {
        const tokens = [await putInto(store, sample(10)), await putInto(store, sample(20))];
        const lease = await store.acquire(tokens[0] as PayloadToken);
        expect(store.stats()).toEqual({ payloads: 2, bytes: 30, leases: 1 });
        lease?.release();
        await store.discard(tokens[1] as PayloadToken);
        expect(store.stats()).toEqual({ payloads: 1, bytes: 10, leases: 0 });
      }));

    it("never uses an id again", () =>
      withStore(async (store) => {
        const ids = new Set<string>();
        for (let i = 0; i < 20; i++) {
          const token = await putInto(store, sample(5));
          await store.discard(token);
          ids.add(token.id);
        }
        expect(ids.size).toBe(20);
      }));

    it("does not resolve tokens that are not its own", () =>
      withStore(async (store) => {
        const token = await putInto(store, sample(5));
        const others: PayloadToken[] = [
          { ...token, store: `${token.store}x` },
          { ...token, id: `${token.id}0` },
          { ...token, id: "../../etc/hostname" },
          { ...token, id: "" },
          { ...token, length: 6 },
          { ...token, hash: token.hash.replace(/^./, (c) => (c === "0" ? "1" : "0")) },
        ];
        for (const other of others) {
          expect(await store.acquire(other)).toBeUndefined();
          if (other.id !== token.id || other.store !== token.store) await store.discard(other);
        }
        expect(store.stats()).toEqual({ payloads: 1, bytes: 5, leases: 0 });
      }));

    it("says that it has no room instead of waiting, and has some again", () =>
      withStore(async (store) => {
        const first = await putInto(store, sample(600));
        expect(await store.put(sample(600), "raw")).toBeUndefined();
        expect(await store.put(sample(300), "raw")).toBeDefined();
        await store.discard(first);
        expect(await store.put(sample(600), "raw")).toBeDefined();
        expect(await store.put(sample(2000), "raw")).toBeUndefined();
      }, 1000));

    it("serves other processes, whose leases outlive the producer's hold", () =>
      withStore(async (store, harness) => {
        if (harness.peer === undefined) return;
        const peer = await harness.peer();
        const token = await putInto(store, sample(500));
        const lease = await peer.acquire(token);
        await peer.discard(token);
        expect((await store.acquire(token))?.release()).toBe(true);
        await store.discard(token);
        expect(Buffer.compare(lease?.bytes ?? Buffer.alloc(1), sample(500))).toBe(0);
        expect(lease?.release()).toBe(true);
        await harness.settle?.();
        expect(await peer.acquire(token)).toBeUndefined();
        const theirs = await putInto(peer, sample(7));
        expect(theirs.id).not.toBe(token.id);
        const read = await store.acquire(theirs);
        expect(read?.bytes.length).toBe(7);
        read?.release();
        await peer.close();
        expect(await store.acquire(theirs)).toBeUndefined();
      }));

    it("does not resolve a payload whose bytes are damaged", () =>
      withStore(async (store, harness) => {
        if (harness.damage === undefined) return;
        const token = await putInto(store, sample(500));
        await harness.damage(token);
        expect(await store.acquire(token)).toBeUndefined();
      }));

    it("ends with everything that it wrote", () =>
      withStore(async (store) => {
        const token = await putInto(store, sample(10));
        const lease = await store.acquire(token);
        await store.close();
        expect(lease?.isValid()).toBe(false);
        const code = { code: "PAYLOAD-CLOSED" };
        await expect(store.put(sample(1), "raw")).rejects.toMatchObject(code);
        await expect(store.acquire(token)).rejects.toMatchObject(code);
        await store.close();
      }));
  });
}

function sample(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => i * 31 + 7);
}

async function putInto(
  store: PayloadStore,
  bytes: Uint8Array,
  format: PayloadToken["format"] = "raw",
): Promise<PayloadToken> {
  const token = await store.put(bytes, format);
  expect(token).toBeDefined();
  return token as PayloadToken;
}
