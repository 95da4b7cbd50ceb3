import { sampleEvents, to } from "@millrace/engine/testing";
import { describe, expect, it } from "vitest";
import { AuditMachine, type AuditProcess } from "./audit-machine.ts";

/** Roots by size, over the whole life of a log. */
class Signed {
  readonly #roots = new Map<number, string>();
  newest = 0;

  /** @throws when a size has been signed with another root, or the newest checkpoint is gone */
  see(machine: AuditMachine): void {
    const signed = machine.signed();
    expect(signed?.size ?? 0).toBeGreaterThanOrEqual(this.newest);
    if (signed === undefined) return;
    expect(this.#roots.get(signed.size) ?? signed.root).toBe(signed.root);
    this.#roots.set(signed.size, signed.root);
  }

  /** A checkpoint that was served stays. */
  served({ tree }: AuditProcess): void {
    this.newest = Math.max(this.newest, tree.checkpoint?.size ?? 0);
  }
}

const TILE_BYTES = 8192;
const SEEDS = 10;
const LIVES = 6;

describe("a tree whose process is killed or loses power", () => {
  it(`never signs a size with another root, over ${SEEDS} seeds`, async () => {
    let crashes = 0;
    for (let seed = 0; seed < SEEDS; seed++) {
      const machine = new AuditMachine(`crashes-${seed}`);
      const random = machine.env.random.fork("crashes");
      const signed = new Signed();
      for (let life = 0; life < LIVES; life++) {
        machine.lingerMs = random.below(20);
        const process = await machine.open();
        expect(process.tree.status(), `seed ${seed}`).toMatchObject({ state: "live", rebuilt: undefined });
        signed.see(machine);
        void machine.work(process, 400, random.fork(`life-${life}`));
        await machine.env.advance(random.below(600));
        signed.served(process);
        if (random.chance(0.5)) process.kill();
        else machine.disk.powerCut();
        process.kill();
        crashes++;
      }
      const last = await machine.open();
      signed.see(machine);
      await machine.close(last);
      const report = await machine.verify();
      expect(report.findings, `seed ${seed}`).toEqual([]);
      expect(report.verified).toBe(last.log.durableEnd);
      expect(report.verified).toBeGreaterThan(0);
    }
    expect(crashes).toBe(SEEDS * LIVES);
  }, 60_000);

  it("goes on from every point between tiles, frontier and checkpoint", async () => {
    const seen = new Set<string>();
    for (let cutMs = 1; cutMs <= 60; cutMs += 2) {
      const machine = new AuditMachine("one commit");
      machine.lingerMs = 10_000;
      const first = await machine.open();
      await machine.env.until(machine.work(first, 500));
      await machine.close(first);
      const before = machine.signed();
      const second = await machine.open();
      await machine.env.until(second.log.append(to("stream-0", sampleEvents(20))));
      await machine.env.advance(cutMs);
      machine.disk.powerCut();
      second.kill();
      const tiles = machine.levelBytes(0) === 2 * TILE_BYTES;
      const frontier = machine.frontierSize() > 500;
      const checkpoint = (machine.signed()?.size ?? 0) > 500;
      seen.add(`${tiles ? "tiles " : ""}${frontier ? "frontier " : ""}${checkpoint ? "checkpoint" : ""}`.trim());
      expect(before?.size).toBe(500);
      const third = await machine.open();
      expect(third.tree.status()).toMatchObject({ state: "live", rebuilt: undefined });
      await machine.close(third);
      expect((await machine.verify()).findings).toEqual([]);
      expect(machine.signed()?.size).toBe(520);
    }
    // In no order but this: nothing is signed that tiles and frontier do not have.
    expect([...seen].sort()).toEqual(["", "tiles", "tiles frontier", "tiles frontier checkpoint"]);
  }, 60_000);

  it("appends to the same tree after a restart", async () => {
    const machine = new AuditMachine("restart");
    const first = await machine.open();
    await machine.env.until(machine.work(first, 700));
    await machine.close(first);
    const old = machine.text("checkpoint");
    const key = machine.text("verifier-key");
    const second = await machine.open();
    await machine.env.until(machine.work(second, 700));
    await machine.close(second);
    const report = await machine.verify(old);
    expect(report).toMatchObject({ verified: 1400, findings: [] });
    expect(machine.text("verifier-key")).toBe(key);
    expect(machine.levelBytes(0)).toBe(5 * TILE_BYTES);
  });
});

describe("a tree that is far behind", () => {
  it("does not keep a host from stopping, and goes on at the next start", async () => {
    const machine = new AuditMachine("behind");
    machine.lingerMs = 1_000_000;
    machine.stopMsMax = 0;
    const first = await machine.open();
    await machine.env.until(machine.work(first, 1000));
    await machine.close(first);
    const size = machine.signed()?.size ?? 0;
    expect(size).toBeGreaterThan(0);
    expect(size).toBeLessThan(1000);
    machine.stopMsMax = 60_000;
    const next = await machine.open();
    await machine.close(next);
    expect(await machine.verify()).toMatchObject({ verified: 1000, findings: [] });
  });
});

describe("a disk that is full", () => {
  it("stops the tree only, until there is room", async () => {
    const machine = new AuditMachine("full");
    const process = await machine.open();
    await machine.env.until(machine.work(process, 10));
    await machine.env.advance(500);
    const { size } = process.tree.status();
    machine.disk.failNext("write", "ENOSPC", { path: /\/level-0$/ });
    await machine.env.until(process.log.append(to("stream-0", sampleEvents(290))));
    await machine.env.advance(200);
    expect(process.tree.status()).toMatchObject({ state: "live", size, lag: 300 - size });
    expect(process.tree.status().failure?.message).toContain("ENOSPC");
    await machine.env.advance(2000);
    expect(process.tree.status()).toMatchObject({ state: "live", size: 300, lag: 0, failure: undefined });
    await machine.close(process);
  });

  it("leaves tiles alone that the frontier covers already", async () => {
    const machine = new AuditMachine("signing");
    const process = await machine.open();
    machine.disk.failNext("write", "ENOSPC", { path: /checkpoint\.tmp/ });
    await machine.env.until(process.log.append(to("stream-0", sampleEvents(300))));
    await machine.env.advance(300);
    expect(machine.frontierSize()).toBe(300);
    expect(process.tree.status()).toMatchObject({ state: "live", size: 0, lag: 300 });
    expect(process.tree.status().failure?.message).toContain("ENOSPC");
    expect(process.tree.status().lagMs).toBeGreaterThan(200);
    const covered = machine.paths().filter((path) => path.includes("/level-"));
    expect(covered).toHaveLength(1);
    for (const path of covered) machine.disk.failNext("open", "EIO", { path: new RegExp(`${path}$`) });
    await machine.env.advance(2000);
    expect(process.tree.status()).toMatchObject({ state: "live", size: 300, lag: 0, lagMs: 0, failure: undefined });
  });

  it("that fails ends the tree, and the next start goes on", async () => {
    const machine = new AuditMachine("failing");
    const process = await machine.open();
    machine.disk.failNext("sync", "EIO", { path: /\/level-0$/ });
    await machine.env.until(process.log.append(to("stream-0", sampleEvents(256))));
    await machine.env.advance(500);
    expect(process.tree.status()).toMatchObject({ state: "failed", size: 0 });
    await machine.env.until(machine.work(process, 10));
    await machine.close(process);
    const next = await machine.open();
    await machine.close(next);
    expect(await machine.verify()).toMatchObject({ verified: 266, findings: [] });
  });
});
