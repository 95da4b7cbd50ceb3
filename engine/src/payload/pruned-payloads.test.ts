import { describe, expect, it } from "vitest";
import { SimulatedDisk } from "../testing/simulated-disk.ts";
import { SimulatedMount } from "../testing/simulated-mount.ts";
import { SimulatedPayloadStore } from "../testing/simulated-payload-store.ts";
import { type VirtualEnv, virtualEnv } from "../testing/virtual-env.ts";
import { sleep } from "../time/clock.ts";
import { hashesIn } from "./named-payloads.ts";
import { PayloadArchive } from "./payload-archive.ts";
import { PayloadExchange } from "./payload-exchange.ts";
import type { PayloadReference } from "./payload-value.ts";

const DIRECTORY = "/data/payloads";
/** Times between two operations of the disk, well beyond all of a prune. */
const MOMENTS = 160;

/** A log that has only what it is told, and can be read from `base` on. */
class ToldLog {
  readonly events: string[] = [];
  /** What prunes carried. */
  carried = "";
  base = 0;

  async *carriedBytes(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(this.carried);
  }

  get durableEnd(): number {
    return this.events.length;
  }

  async *read({ from = 0, limit = Number.POSITIVE_INFINITY } = {}) {
    if (from < this.base) throw new Error("LOG-PRUNED");
    yield this.events.slice(from, from + limit).map((text) => ({ payload: Buffer.from(text) }));
  }
}

interface Host {
  readonly mount: SimulatedMount;
  readonly exchange: PayloadExchange;
}

/** A host whose first two events name payloads that nothing else names, and one that is named again later. */
class Machine {
  readonly env: VirtualEnv;
  readonly disk: SimulatedDisk;
  readonly log = new ToldLog();
  named: PayloadReference[] = [];

  constructor(seed: number) {
    this.env = virtualEnv(seed);
    this.disk = new SimulatedDisk({ env: this.env, random: this.env.random.fork("disk") });
    this.disk.makeDirectory("/data");
  }

  async start(): Promise<Host> {
    const mount = new SimulatedMount(this.disk);
    const log = this.log as never;
    const archive = await this.env.until(PayloadArchive.open({ disk: mount, directory: DIRECTORY, log }));
    const store = new SimulatedPayloadStore("store", 1e6);
    return { mount, exchange: new PayloadExchange({ store, archive, isMapped: true }) };
  }

  async fill({ exchange }: Host): Promise<void> {
    const draft = exchange.scope();
    for (const fill of [1, 2, 3])
      this.named.push(await this.env.until(exchange.intern(new Uint8Array(100 * fill).fill(fill), "npy", draft)));
    const [a, b, again] = this.named as [PayloadReference, PayloadReference, PayloadReference];
    this.log.events.push(`{"in":"${a.sha256}"}`, `["${b.sha256}","${again.sha256}"]`, "{}", `{"x":"${again.sha256}"}`);
    exchange.keep(this.named);
    draft.end();
    await this.env.until(exchange.settled());
  }

  /** What a prune of the first two events does, in its order. */
  async prune({ exchange }: Host): Promise<{ readonly payloads: number; readonly bytes: number }> {
    const staged = await exchange.stage(await hashesIn(this.log as never, 0, 2));
    this.log.base = 2;
    return exchange.forget(staged);
  }

  get objects(): string[] {
    return this.disk.namesIn(`${DIRECTORY}/objects`);
  }

  get markers(): string[] {
    return this.disk.namesIn(`${DIRECTORY}/staged`);
  }
}

async function filled(seed = 1): Promise<[Machine, Host]> {
  const m = new Machine(seed);
  const host = await m.start();
  await m.fill(host);
  return [m, host];
}

describe("payloads of pruned events", () => {
  it("go with the last event that names them, and are counted", async () => {
    const [m, host] = await filled();
    expect(m.objects).toHaveLength(3);
    expect(await m.env.until(m.prune(host))).toEqual({ payloads: 2, bytes: 300 });
    const again = m.named[2] as PayloadReference;
    expect(m.objects).toEqual([expect.stringContaining(again.sha256)]);
    expect(m.markers).toEqual([]);
    expect((await m.env.until(host.exchange.open(again))).bytes[299]).toBe(3);
  });

  it("stay while what was carried names them, and go when the next prune carries them no more", async () => {
    const [m, host] = await filled();
    const [a] = m.named as [PayloadReference];
    m.log.carried = `state with ${a.sha256}`;
    expect(await m.env.until(m.prune(host))).toEqual({ payloads: 1, bytes: 200 });
    expect((await m.env.until(host.exchange.open(a))).bytes[0]).toBe(1);
    m.disk.powerCut();
    const next = await m.start();
    expect(m.objects).toHaveLength(2);
    const staged = await m.env.until(hashesIn(m.log as never, 2, 3).then((hashes) => next.exchange.stage(hashes)));
    m.log.carried = "";
    expect(await m.env.until(next.exchange.forget(staged))).toEqual({ payloads: 1, bytes: 100 });
  });

  it("stay while somebody uses them, until the next start", async () => {
    const [m, host] = await filled();
    const [held, unsure] = m.named as [PayloadReference, PayloadReference];
    host.exchange.retain(held);
    host.exchange.retain(unsure);
    host.exchange.release(unsure, true);
    await m.env.until(host.exchange.settled());
    expect(await m.env.until(m.prune(host))).toEqual({ payloads: 0, bytes: 0 });
    expect((await m.env.until(host.exchange.open(held))).bytes[0]).toBe(1);
    m.log.events.push(unsure.sha256);
    await m.start();
    expect(m.objects.map((path) => path.slice(-64)).sort()).toEqual(
      [unsure.sha256, (m.named[2] as PayloadReference).sha256].sort(),
    );
  });

  it("are written anew when they are made again, at whatever moment of a prune", async () => {
    const removed = new Set<number>();
    for (let moment = 0; moment < MOMENTS; moment++) {
      const [m, host] = await filled(moment);
      const pruning = m.prune(host);
      await m.env.until(sleep(m.env, moment / 4));
      const draft = host.exchange.scope();
      const made = await m.env.until(host.exchange.intern(new Uint8Array(200).fill(2), "npy", draft));
      m.log.events.push(made.sha256);
      host.exchange.keep([made]);
      draft.end();
      removed.add((await m.env.until(pruning)).payloads);
      await m.env.until(host.exchange.settled());
      for (const { exchange } of [host, await m.start()])
        expect((await m.env.until(exchange.open(made))).bytes[199]).toBe(2);
    }
    // It was made before the decision and behind it.
    expect([...removed].sort()).toEqual([1, 2]);
  });

  it("are there as long as the events are, and no longer, whenever the host is killed or loses power", async () => {
    const seen = new Set<string>();
    for (let moment = 0; moment < MOMENTS; moment++) {
      const [m, host] = await filled(moment);
      await m.env.until(Promise.race([m.prune(host), sleep(m.env, moment / 4)]));
      host.mount.kill();
      if (moment % 2 === 1) m.disk.powerCut();
      seen.add(`${m.log.base}, ${m.objects.length} files`);
      const next = await m.start();
      const kept = m.log.base === 0 ? m.named : m.named.slice(2);
      for (const reference of kept)
        expect((await m.env.until(next.exchange.open(reference))).bytes.length).toBe(reference.length);
      expect(m.objects).toHaveLength(kept.length);
      expect(m.markers).toEqual([]);
    }
    expect([...seen]).toEqual(expect.arrayContaining(["0, 3 files", "2, 3 files", "2, 2 files", "2, 1 files"]));
  });
});
