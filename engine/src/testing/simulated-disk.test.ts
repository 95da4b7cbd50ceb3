import { describe, expect, it } from "vitest";
import { errnoOf } from "../disk/disk.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import { SimulatedMount } from "./simulated-mount.ts";
import { type VirtualEnv, virtualEnv } from "./virtual-env.ts";

const PATH = "/data/file";

function machine(seed: number): { env: VirtualEnv; disk: SimulatedDisk } {
  const env = virtualEnv(seed);
  const disk = new SimulatedDisk({ env, random: env.random.fork("disk") });
  disk.makeDirectory("/data");
  return { env, disk };
}

async function durableFile(env: VirtualEnv, disk: SimulatedDisk, bytes: Uint8Array): Promise<void> {
  await env.until(
    (async () => {
      const mount = new SimulatedMount(disk);
      const file = await mount.open(PATH, { mode: "create" });
      await file.write(bytes, 0);
      await file.sync();
      await mount.syncDirectory("/data");
      await file.close();
    })(),
  );
}

describe("SimulatedDisk", () => {
  it("loses unsynced bytes and unsynced names at a power cut in some seeds and keeps synced ones in all", async () => {
    const kept = { bytes: 0, name: 0 };
    for (let seed = 0; seed < 40; seed++) {
      const { env, disk } = machine(seed);
      await durableFile(env, disk, new Uint8Array(1024).fill(1));
      const mount = new SimulatedMount(disk);
      const file = await env.until(mount.open(PATH, { mode: "write" }));
      await env.until(file.write(new Uint8Array(512).fill(2), 512));
      await env.until(mount.open("/data/new", { mode: "create" }));
      disk.powerCut();
      expect(disk.bytesOf(PATH)[0]).toBe(1);
      if (disk.bytesOf(PATH)[512] === 2) kept.bytes++;
      if (disk.has("/data/new")) kept.name++;
    }
    for (const count of Object.values(kept)) {
      expect(count).toBeGreaterThan(0);
      expect(count).toBeLessThan(40);
    }
  });

  it("keeps every byte of a DSYNC write that returned", async () => {
    for (let seed = 0; seed < 20; seed++) {
      const { env, disk } = machine(seed);
      await durableFile(env, disk, new Uint8Array(8192));
      const file = await env.until(new SimulatedMount(disk).open(PATH, { mode: "write", dsync: true }));
      await env.until(file.write(new Uint8Array(4096).fill(7), 4096));
      disk.powerCut();
      expect(
        disk
          .bytesOf(PATH)
          .subarray(4096)
          .every((byte) => byte === 7),
      ).toBe(true);
    }
  });

  it("tears a write in flight by whole sectors and may lose neighbours in the same page", async () => {
    let torn = 0;
    let neighboursLost = 0;
    for (let seed = 0; seed < 60; seed++) {
      const { env, disk } = machine(seed);
      await durableFile(env, disk, new Uint8Array(4096).fill(1));
      const file = await env.until(new SimulatedMount(disk).open(PATH, { mode: "write", dsync: true }));
      void file.write(new Uint8Array(2048).fill(2), 0);
      await env.advance(0.05);
      disk.powerCut();
      const bytes = disk.bytesOf(PATH);
      const sectors = Array.from({ length: 8 }, (_, i) => new Set(bytes.subarray(i * 512, (i + 1) * 512)));
      for (const values of sectors) expect(values.size).toBe(1);
      const first = sectors.slice(0, 4).map((values) => [...values][0]);
      if (first.includes(1) && first.includes(2)) torn++;
      if (sectors.slice(4).some((values) => values.has(0))) neighboursLost++;
    }
    expect(torn).toBeGreaterThan(5);
    expect(neighboursLost).toBeGreaterThan(5);
  });

  it("shows after a failed sync bytes that the medium does not have, and a second sync succeeds without them", async () => {
    const { env, disk } = machine(3);
    await durableFile(env, disk, new Uint8Array(512));
    const file = await env.until(new SimulatedMount(disk).open(PATH, { mode: "write" }));
    await env.until(file.write(new Uint8Array(512).fill(9), 0));
    disk.failNext("sync", "EIO");
    const failure = await env.until(file.sync().catch((thrown: unknown) => thrown));
    expect(errnoOf(failure)).toBe("EIO");
    await env.until(file.sync());
    expect(disk.bytesOf(PATH)[0]).toBe(9);
    disk.file(PATH).durable.fill(0);
    disk.powerCut();
    expect(disk.bytesOf(PATH)[0]).toBe(0);
  });

  it("refuses what does not fit and takes it when there is space again", async () => {
    const { env, disk } = machine(4);
    disk.capacityBytes = 4096;
    const file = await env.until(new SimulatedMount(disk).open(PATH, { mode: "create" }));
    await env.until(file.write(new Uint8Array(4096), 0));
    const failure = await env.until(file.write(new Uint8Array(512), 4096).catch((thrown: unknown) => thrown));
    expect(errnoOf(failure)).toBe("ENOSPC");
    disk.capacityBytes = 8192;
    expect(await env.until(file.write(new Uint8Array(512), 4096))).toBe(512);
  });

  it("keeps the cache and frees the lock when a process is killed, but not before its late write has landed", async () => {
    let late = 0;
    for (let seed = 0; seed < 60; seed++) {
      const { env, disk } = machine(seed);
      await durableFile(env, disk, new Uint8Array(512));
      const mount = new SimulatedMount(disk);
      const file = await env.until(mount.open(PATH, { mode: "write", dsync: true }));
      await env.until(file.tryLock());
      let settled = false;
      void file.write(new Uint8Array(512).fill(5), 0).then(() => {
        settled = true;
      });
      mount.kill();
      const next = await env.until(new SimulatedMount(disk).open(PATH, { mode: "write" }));
      if ((await env.until(next.tryLock())) === undefined) {
        late++;
        expect(disk.bytesOf(PATH)[0]).toBe(0);
        await env.idle();
        expect(disk.bytesOf(PATH)[0]).toBe(5);
        expect(await env.until(next.tryLock())).toBe("flock");
      }
      await env.idle();
      expect(settled).toBe(false);
    }
    expect(late).toBeGreaterThan(5);
  });

  it("loses a write that it reported, when told to", async () => {
    const { env, disk } = machine(5);
    await durableFile(env, disk, new Uint8Array(512));
    const file = await env.until(new SimulatedMount(disk).open(PATH, { mode: "write", dsync: true }));
    disk.writesToLose = 1;
    await env.until(file.write(new Uint8Array(512).fill(5), 0));
    disk.powerCut();
    expect(disk.bytesOf(PATH)[0]).toBe(0);
    expect(disk.counts.lostWrites).toBe(1);
  });
});
