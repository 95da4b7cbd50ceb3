import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemEnv } from "@millrace/engine";
import { memoryOrderedStore } from "@millrace/streams/memory";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { EmbeddedLog } from "./embedded-log.ts";
import { openEmbeddedLog } from "./open-embedded-log.ts";
import { systemDisk } from "./system-disk.ts";

const SEGMENT_BYTES = 1024 * 1024;
const isRootOnLinux = process.platform === "linux" && process.getuid?.() === 0;
const whyNoTmpfs = isRootOnLinux ? "" : " (skipped: needs root on Linux)";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "millrace-disk-"));
});
afterEach(() => rm(directory, { recursive: true }));

function open(at: string, lockWaitMs = 100): Promise<EmbeddedLog> {
  return openEmbeddedLog({
    directory: at,
    disk: systemDisk(),
    env: systemEnv(),
    indexStore: memoryOrderedStore(),
    segmentBytes: SEGMENT_BYTES,
    lockWaitMs,
  });
}

let ids = 0;
function append(log: EmbeddedLog, payloadBytes: number): Promise<unknown> {
  const id = Buffer.alloc(16);
  id.writeUInt32LE(++ids);
  const context = {
    causationId: id,
    correlationId: id,
    principal: "t",
    tenant: "",
    codeVersion: "",
    graph: "",
    graphRevision: 0,
    node: "",
    epoch: 0,
  };
  return log.append([
    {
      stream: "s",
      expected: "any",
      events: [{ id, type: "T", schemaVersion: 0, context, payload: new Uint8Array(payloadBytes).fill(1) }],
    },
  ]);
}

/** A process that holds the lock of a file until it is killed. */
function holder(path: string): Promise<ChildProcess> {
  const child = spawn("flock", [path, "sh", "-c", "echo held; sleep 60"], {
    stdio: ["ignore", "pipe", "ignore"],
    detached: true,
  });
  return new Promise((resolve) => child.stdout?.once("data", () => resolve(child)));
}

describe("the lock on a real disk", () => {
  it("refuses a second opener in the same process and in others, a stopped one too, and ends with its holder", async () => {
    const first = await open(directory);
    expect(first.health.lock).toBe("flock");
    await expect(open(directory)).rejects.toMatchObject({ code: "LOG-LOCKED" });
    await first.close();

    const child = await holder(join(directory, "LOCK"));
    await expect(open(directory)).rejects.toMatchObject({ code: "LOG-LOCKED" });
    process.kill(-(child.pid as number), "SIGSTOP");
    await expect(open(directory)).rejects.toMatchObject({ code: "LOG-LOCKED" });
    process.kill(-(child.pid as number), "SIGKILL");
    await (await open(directory, 45_000)).close();
  });
});

describe("a real disk that is full", () => {
  it.skipIf(!isRootOnLinux)(
    `refuses with LOG-FULL, reads on, and resumes by itself when there is space again${whyNoTmpfs}`,
    async () => {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=3m", "tmpfs", directory]);
      try {
        const log = await open(`${directory}/log`);
        let appended = 0;
        const untilRefused = async (): Promise<unknown> => {
          for (;;) {
            const failure = await append(log, 30_000).then(
              () => undefined,
              (thrown: unknown) => thrown,
            );
            if (failure !== undefined) return failure;
            appended++;
          }
        };
        expect(await untilRefused()).toMatchObject({ code: "LOG-FULL", kind: "transient" });
        expect(appended).toBeGreaterThan(50);
        let read = 0;
        for await (const events of log.read()) read += events.length;
        expect(read).toBe(appended);
        execFileSync("mount", ["-o", "remount,size=8m", directory]);
        await expect.poll(() => log.health.state).toBe("open");
        await append(log, 30_000);
        expect(log.durableEnd).toBe(appended + 1);
        await log.close();
      } finally {
        execFileSync("umount", [directory]);
      }
    },
  );
});
