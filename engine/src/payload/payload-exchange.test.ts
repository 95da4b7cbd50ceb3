import { describe, expect, it } from "vitest";
import { payloadStoreContract } from "../testing/payload-store-contract.ts";
import { SimulatedDisk } from "../testing/simulated-disk.ts";
import { SimulatedMount } from "../testing/simulated-mount.ts";
import { SimulatedPayloadStore } from "../testing/simulated-payload-store.ts";
import { type VirtualEnv, virtualEnv } from "../testing/virtual-env.ts";
import { PayloadArchive } from "./payload-archive.ts";
import { PayloadExchange } from "./payload-exchange.ts";
import { type PayloadRuleId, payloadRulesWithout } from "./payload-rules.ts";

const DIRECTORY = "/data/payloads";

interface Machine {
  readonly env: VirtualEnv;
  readonly disk: SimulatedDisk;
  readonly store: SimulatedPayloadStore;
  readonly exchange: PayloadExchange;
  /** A log that has only what it is told. */
  readonly events: string[];
  until<T>(work: Promise<T>): Promise<T>;
  /** The next start of the host: memory is gone, the disk is what it is. */
  restart(): Promise<Machine>;
}

async function machine(bytesMax = 1000, off: readonly PayloadRuleId[] = []): Promise<Machine> {
  const env = virtualEnv(7);
  const disk = new SimulatedDisk({ env, random: env.random.fork("disk") });
  disk.makeDirectory("/data");
  const events: string[] = [];
  const start = async (n: number): Promise<Machine> => {
    const log = {
      get durableEnd() {
        return events.length;
      },
      async *read({ from = 0 } = {}) {
        yield events.slice(from).map((text) => ({ payload: Buffer.from(text) }));
      },
    };
    const options = { disk: new SimulatedMount(disk), directory: DIRECTORY, log: log as never };
    const archive = await env.until(PayloadArchive.open(options));
    const store = new SimulatedPayloadStore(`store ${n}`, bytesMax);
    const exchange = new PayloadExchange({ store, archive, isMapped: true, rules: payloadRulesWithout(off) });
    return { env, disk, store, exchange, events, until: (work) => env.until(work), restart: () => start(n + 1) };
  };
  return start(1);
}

const bytesOf = (n: number, fill: number): Uint8Array => new Uint8Array(n).fill(fill);

const objectsIn = ({ disk }: Machine): number => disk.namesIn(`${DIRECTORY}/objects`).length;

payloadStoreContract("SimulatedPayloadStore", async ({ bytesMax }) => {
  const store = new SimulatedPayloadStore("store", bytesMax);
  return { store, destroy: () => store.close() };
});

describe("PayloadExchange", () => {
  it("has a payload once in memory while anything holds it, and gives it back with the last hold", async () => {
    const m = await machine();
    const [draft, other] = [m.exchange.scope(), m.exchange.scope()];
    const reference = await m.until(m.exchange.intern(bytesOf(300, 1), "raw", draft));
    await m.until(m.exchange.intern(bytesOf(300, 1), "raw", other));
    expect(m.store.stats()).toMatchObject({ payloads: 1, bytes: 300 });
    m.exchange.retain(reference);
    m.exchange.keep([reference]);
    draft.end();
    other.end();
    const lease = await m.until(m.exchange.open(reference));
    m.exchange.release(reference);
    expect(lease.bytes[299]).toBe(1);
    expect(m.store.stats().payloads).toBe(1);
    expect(lease.release()).toBe(true);
    await m.until(m.exchange.settled());
    expect(m.store.stats()).toEqual({ payloads: 0, bytes: 0, leases: 0 });
    expect(m.exchange.counters()).toMatchObject({
      puts: 1,
      opens: 1,
      copies: 0,
      holds: 0,
      liveBytes: 0,
      liveBytesMax: 300,
    });
    expect(objectsIn(m)).toBe(1);
  });

  it("leaves nothing of a draft that was thrown away (P-R19)", async () => {
    const leftBy = async (off: readonly PayloadRuleId[]): Promise<[number, number]> => {
      const m = await machine(1e6, off);
      for (let i = 0; i < 50; i++) {
        const draft = m.exchange.scope();
        await m.until(m.exchange.intern(bytesOf(100 + i, i), "raw", draft));
        draft.end();
      }
      await m.until(m.exchange.settled());
      return [m.store.stats().payloads, objectsIn(m)];
    };
    expect(await leftBy([])).toEqual([0, 0]);
    expect(await leftBy(["P-R19"])).toEqual([50, 50]);
  });

  it("brings back from the archive what memory has lost (P-R16)", async () => {
    const reopen = async (off: readonly PayloadRuleId[]): Promise<number> => {
      const m = await machine(1000, off);
      const reference = await m.until(m.exchange.intern(bytesOf(10, 5), "npy", m.exchange.scope()));
      m.store.forgetful = true;
      const opening = m.exchange.open(reference);
      opening.catch(() => undefined);
      return (await m.until(opening)).bytes[9] as number;
    };
    expect(await reopen([])).toBe(5);
    await expect(reopen(["P-R16"])).rejects.toMatchObject({ code: "PAYLOAD-MISSING" });
  });

  it("does not go on for ever when memory loses it again (P-R17)", async () => {
    const putsOf = async (off: readonly PayloadRuleId[]): Promise<number> => {
      const m = await machine(1000, off);
      const reference = await m.until(m.exchange.intern(bytesOf(10, 5), "raw", m.exchange.scope()));
      m.store.forgetful = true;
      // The pressure ends after a while, or the rule's absence would never show.
      const acquire = m.store.acquire.bind(m.store);
      m.store.acquire = (token) => {
        if (m.store.puts >= 40) m.store.forgetful = false;
        return acquire(token);
      };
      expect((await m.until(m.exchange.open(reference))).bytes[0]).toBe(5);
      return m.store.puts;
    };
    expect(await putsOf([])).toBeLessThanOrEqual(2);
    expect(await putsOf(["P-R17"])).toBeGreaterThanOrEqual(40);
  });

  it("makes room by what nobody reads, and reads from the archive what finds none (P-R18)", async () => {
    const m = await machine(1000);
    const scope = m.exchange.scope();
    const [a, b] = [
      await m.until(m.exchange.intern(bytesOf(600, 1), "raw", scope)),
      await m.until(m.exchange.intern(bytesOf(600, 2), "raw", scope)),
    ];
    expect(m.exchange.counters()).toMatchObject({ puts: 2, evictions: 1, liveBytes: 600, holds: 2 });
    const reading = await m.until(m.exchange.open(b));
    const spilled = await m.until(m.exchange.open(a));
    expect([reading.bytes[0], spilled.bytes[0]]).toEqual([2, 1]);
    expect(m.exchange.counters()).toMatchObject({ spills: 1, copies: 1, copiedBytes: 600, liveBytes: 600 });
    const huge = await m.until(m.exchange.intern(bytesOf(5000, 3), "raw", scope));
    const lent = await m.until(m.exchange.lend(huge));
    expect(m.disk.bytesOf(lent.place.path).length).toBe(5000);
    expect([lent.token, lent.release(), lent.release()]).toEqual([undefined, true, false]);
  });

  it("never waits for room that its caller has (P-R18)", async () => {
    const secondOf = async (off: readonly PayloadRuleId[]): Promise<string> => {
      const m = await machine(1000, off);
      const step = m.exchange.scope();
      await m.until(m.exchange.intern(bytesOf(600, 1), "raw", step));
      // The step gives its room back when it has put all that it makes; the second never comes to an end without that.
      let asked = 0;
      const put = m.store.put.bind(m.store);
      m.store.put = (bytes, format) => {
        if (++asked > 100) throw new Error("it waits for ever");
        return put(bytes, format);
      };
      const second = m.exchange.intern(bytesOf(600, 2), "raw", step);
      return m.until(second.then(() => "put", String));
    };
    expect(await secondOf([])).toBe("put");
    expect(await secondOf(["P-R18"])).toContain("it waits for ever");
  });

  it("waits with a code when the disk is full, and goes on when it is not", async () => {
    const m = await machine();
    m.disk.capacityBytes = 10;
    const scope = m.exchange.scope();
    const full = m.exchange.intern(bytesOf(300, 1), "raw", scope);
    full.catch(() => undefined);
    await expect(m.until(full)).rejects.toMatchObject({ code: "PAYLOAD-FAILED", kind: "transient" });
    m.disk.capacityBytes = 1e6;
    await m.until(m.exchange.intern(bytesOf(300, 1), "raw", scope));
    expect(m.exchange.counters()).toMatchObject({ puts: 1, holds: 1 });
  });

  it("makes the archive's folders when they are needed next, if they could not be made at first", async () => {
    const m = await machine();
    m.disk.failNext("syncDirectory", "EIO");
    const scope = m.exchange.scope();
    const first = m.exchange.intern(bytesOf(300, 1), "raw", scope);
    first.catch(() => undefined);
    await expect(m.until(first)).rejects.toMatchObject({ code: "PAYLOAD-FAILED", kind: "transient" });
    await m.until(m.exchange.intern(bytesOf(300, 1), "raw", scope));
    expect(objectsIn(m)).toBe(1);
  });

  it("after a crash has what the log names and no other, however far each was", async () => {
    for (const outcome of ["logged", "kept", "unsure", "lost"] as const) {
      const m = await machine();
      const reference = await m.until(m.exchange.intern(bytesOf(300, 1), "arrow", m.exchange.scope()));
      if (outcome !== "lost") m.events.push(`{"emitted":"${reference.sha256}"}`);
      if (outcome === "kept") m.exchange.keep([reference]);
      if (outcome === "unsure") m.exchange.release(reference, true);
      await m.until(m.exchange.settled());
      m.disk.powerCut();
      const next = await m.restart();
      const opening = next.exchange.open(reference);
      opening.catch(() => undefined);
      if (outcome === "lost") {
        await expect(next.until(opening)).rejects.toMatchObject({ code: "PAYLOAD-MISSING" });
        expect(objectsIn(next)).toBe(0);
      } else expect((await next.until(opening)).bytes[299]).toBe(1);
      expect(next.disk.namesIn(`${DIRECTORY}/staged`)).toEqual([]);
    }
  });

  it("says with a code that a payload is damaged", async () => {
    const m = await machine();
    const reference = await m.until(m.exchange.intern(bytesOf(300, 1), "raw", m.exchange.scope()));
    m.exchange.keep([reference]);
    m.events.push(reference.sha256);
    await m.until(m.exchange.settled());
    const next = await m.restart();
    const path = `${DIRECTORY}/objects/${reference.sha256.slice(0, 2)}/${reference.sha256}`;
    const file = await next.until(new SimulatedMount(next.disk).open(path, { mode: "write" }));
    await next.until(file.write(bytesOf(1, 9), 7));
    const opening = next.exchange.open(reference);
    opening.catch(() => undefined);
    await expect(next.until(opening)).rejects.toMatchObject({ code: "PAYLOAD-MISSING" });
  });
});
