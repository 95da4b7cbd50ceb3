/** Payloads by reference, whose users die, stop, and fill the memory that they are in. */
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { promisify } from "node:util";
import type { PayloadLease, PayloadToken } from "@millrace/engine";
import { openMappedPayloadStore } from "@millrace/native";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { root } from "../../bin/setup.mjs";
import { isFull, limitMs, tell, times } from "./form.ts";
import { killPayloads } from "./payload-kill.mjs";

const noAddon = process.env.MILLRACE_SKIP_RUST;
const noMount = noAddon ?? process.env.MILLRACE_SKIP_LOOP;
const KILLS = times(15, 500);
/** At lines of the protocol; `npm test` has some of them among the tests of the crates. */
const POINT_KILLS = 10_000;
/** What a dead process held is free again after so long. */
const FREED_MS_MAX = 2000;
const PUTS = times(5000, 100_000);
/** How long the leases of those who hold on last, at least. */
const HELD_MS = times(0, 60_000);
/** Renewed up to twelve times that. */
const HELD_LEASE_MS = 30_000;
const LIVE = 600;
const SHARED_MEMORY = "/dev/shm";
const BLOCK_BYTES = 512;
const LOOK_EVERY = 100;

describe.skipIf(noAddon)(`payloads by reference${noAddon ? ` (skipped: ${noAddon})` : ""}`, () => {
  it(
    "are right or told to be lost, and all freed, when their producers and readers are killed and stopped",
    async (context) => {
      const { kills, stops, put, right, missed, lost, wrong, left } = await killPayloads(KILLS);
      tell(context, `${kills} kills, ${stops} stops: ${put} put, ${right} read, ${missed} missed, ${lost} lost`);
      expect({ kills, wrong, left }).toEqual({ kills: KILLS, wrong: 0, left: [] });
      expect(right).toBeGreaterThan(KILLS);
    },
    limitMs(120_000),
  );

  it.runIf(isFull)(
    "are right and freed when their owner or reader is killed at any line of the protocol",
    async (context) => {
      const crate = ["-p", "millrace-lodge", "--features", "faults", "--test", "kills"];
      const { stdout } = await promisify(execFile)(
        "cargo",
        ["test", "--release", "--locked", "--offline", ...crate, "--", "--nocapture"],
        { cwd: join(root, "native"), env: { ...process.env, PAYLOAD_KILLS: String(POINT_KILLS) } },
      );
      const figures = /^\d+ kills.*$/m.exec(stdout)?.[0] ?? "";
      const byKeeper = /^freed by the keeper.*$/m.exec(stdout)?.[0] ?? "";
      tell(context, `${figures}; ${byKeeper}`);
      expect(figures).toMatch(new RegExp(`^${POINT_KILLS} kills, all freed`));
      for (const said of [figures, byKeeper])
        expect(Number(/after (\d+) ms/.exec(said)?.[1])).toBeLessThanOrEqual(FREED_MS_MAX);
    },
    limitMs(120_000),
  );
});

describe.skipIf(noAddon)(`payloads whose readers hold on${noAddon ? ` (skipped: ${noAddon})` : ""}`, () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(existsSync(SHARED_MEMORY) ? SHARED_MEMORY : tmpdir(), "millrace-held-"));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  it(
    "take less than twice what lives, however many are put meanwhile",
    async (context) => {
      const owner = openMappedPayloadStore({ dir });
      const reader = openMappedPayloadStore({ dir, leaseMs: HELD_LEASE_MS });
      const live: PayloadToken[] = [];
      const held: { lease: PayloadLease | undefined; fill: number }[] = [];
      let [bytes, bytesHigh, fileHigh] = [0, 0, 0];
      for (let i = 0; i < PUTS; i++) {
        const length = 10_000 + ((i * 7919) % 190_000);
        const token = (await owner.put(Buffer.alloc(length, i), "raw")) as PayloadToken;
        bytes += length;
        if (live.push(token) > LIVE) {
          const oldest = live.shift() as PayloadToken;
          bytes -= oldest.length;
          await owner.discard(oldest);
        }
        if (i % LOOK_EVERY > 0) continue;
        if (held.length < 5) held.push({ lease: await reader.acquire(token), fill: i & 0xff });
        bytesHigh = Math.max(bytesHigh, bytes);
        fileHigh = Math.max(fileHigh, bytesOnDisk(dir));
        await wait((HELD_MS * LOOK_EVERY) / PUTS);
      }
      tell(context, `${PUTS} puts, at most ${bytesHigh} bytes live, ${fileHigh} in files`);
      for (const { lease, fill } of held) expect(lease?.isValid() === true && lease.bytes[0]).toBe(fill);
      expect(fileHigh).toBeGreaterThan(bytesHigh);
      expect(fileHigh).toBeLessThan(2 * bytesHigh);
      for (const { lease } of held) lease?.release();
      await owner.close();
      await reader.close();
    },
    limitMs(60_000),
  );
});

/** What the files below a directory take, holes left out. */
function bytesOnDisk(dir: string): number {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((file) => file.isFile());
  const found = files.map((file) => statSync(join(file.parentPath, file.name), { throwIfNoEntry: false }));
  return found.reduce((sum, stat) => sum + (stat?.blocks ?? 0) * BLOCK_BYTES, 0);
}

describe.skipIf(noMount)(`a full memory file system${noMount ? ` (skipped: ${noMount})` : ""}`, () => {
  const SIZE_MIB = 40;
  const MIB = 1024 * 1024;
  let mount: string;
  beforeEach(() => {
    mount = mkdtempSync(join(tmpdir(), "millrace-tmpfs-"));
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${SIZE_MIB}m`, "millrace", mount]);
  });
  afterEach(() => {
    // Detached buffers hold their mappings until the engine has collected them.
    execFileSync("umount", ["--lazy", mount]);
    rmSync(mount, { recursive: true });
  });

  it("is an answer and not a signal: what is there is read, let go, and there is room again", async () => {
    const dir = join(mount, "payloads");
    const store = openMappedPayloadStore({ dir, bytesMax: 1024 * MIB });
    const tokens: PayloadToken[] = [];
    for (let round = 0; round < 3; round++) {
      for (;;) {
        const token = await store.put(Buffer.alloc(MIB, tokens.length), "raw");
        if (token === undefined) break;
        tokens.push(token);
      }
      expect(tokens.length).toBeGreaterThan(SIZE_MIB / 3);
      expect(tokens.length).toBeLessThan(SIZE_MIB);
      for (const [i, token] of tokens.entries()) {
        const lease = await store.acquire(token);
        expect(lease?.bytes.every((byte) => byte === i)).toBe(true);
        lease?.release();
      }
      await store.discard(tokens.pop() as PayloadToken);
      await store.discard(tokens.pop() as PayloadToken);
      expect(store.reserve(MIB, "raw")?.publish()).toMatchObject({ length: MIB });
      for (const token of tokens.splice(0)) await store.discard(token);
    }
    await store.close();
  });

  it("refuses to open a store by code, and leaves nothing behind", () => {
    mkdirSync(join(mount, "payloads"));
    const ballast = join(mount, "ballast");
    execFileSync("fallocate", ["-l", `${SIZE_MIB * MIB - 300 * 1024}`, ballast]);
    const failed = expect.objectContaining({ code: "PAYLOAD-FAILED" });
    for (let free = 0; free < 5; free++) {
      expect(() => openMappedPayloadStore({ dir: join(mount, "payloads") })).toThrow(failed);
      execFileSync("fallocate", ["-l", `${SIZE_MIB * MIB - (300 + free * 1200) * 1024}`, "-n", ballast]);
      writeFileSync(ballast, "");
      execFileSync("fallocate", ["-l", `${SIZE_MIB * MIB - (300 + free * 1100) * 1024}`, ballast]);
    }
  });
});
