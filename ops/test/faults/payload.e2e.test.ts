/** Payloads by reference, whose users die, stop, and fill the memory that they are in. */
import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { PayloadToken } from "@millrace/engine";
import { openMappedPayloadStore } from "@millrace/native";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { root } from "../../bin/setup.mjs";
import { isFull, limitMs, tell, times } from "./form.ts";
import { killPayloads } from "./payload-kill.mjs";

const noAddon = process.env.MILLRACE_SKIP_RUST;
const noMount = noAddon ?? process.env.MILLRACE_SKIP_LOOP;
const KILLS = times(25, 500);
/** At lines of the protocol; `npm test` has some of them among the tests of the crates. */
const POINT_KILLS = 10_000;

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
      tell(context, figures);
      expect(figures).toMatch(new RegExp(`^${POINT_KILLS} kills, all freed`));
    },
    limitMs(120_000),
  );
});

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
