/** Readers of a log that another process writes: what they may see (L-R21), and what becomes of it when that process goes. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RecordedEvent, storedRecords } from "@millrace/engine";
import { openStoredLog, StoredEvents, systemDisk } from "@millrace/streams/embedded";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { noCompiler, preload } from "./disk-faults.ts";
import { payloadOf } from "./log-appender.mjs";
import { Acknowledged, audit, startAppender } from "./log-audit.mjs";

/** The block write in which the writer is killed. */
const LAST_WRITE = 40;
const FAR_BEYOND = 1_000_000_000;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "millrace-log-readers-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Ids by position, of what a reader in this process finds in `[0, end)`; checked as they come. */
async function idsBelow(end: number): Promise<{ readonly ids: readonly string[]; readonly failure?: unknown }> {
  const ids: string[] = [];
  const log = await openStoredLog(systemDisk(), join(directory, "log"));
  const names = new StoredEvents();
  try {
    for await (const batch of log.readStored(0, end))
      for (const record of storedRecords(batch)) {
        names.learn(record);
        if (!record.isControl) ids.push(idOf(names.event(record), ids.length));
      }
    return { ids };
  } catch (failure) {
    return { ids, failure };
  } finally {
    await log.close();
  }
}

function idOf(event: RecordedEvent, position: number): string {
  const id = Buffer.from(event.id);
  if (event.position !== position) throw new Error(`position ${event.position} where ${position} should be`);
  if (payloadOf(id).compare(event.payload) !== 0) throw new Error(`the payload at ${position} is another`);
  return id.toString("hex");
}

describe.skipIf(noCompiler)(
  `a writer that is killed within a block${noCompiler ? ` (skipped: ${noCompiler})` : ""}`,
  () => {
    it("leaves to readers in another process what it acknowledged, and never half a block", async () => {
      const acknowledged = new Acknowledged();
      const env = { ...preload(directory), BLOCK_WRITE_KILLS_AT: String(LAST_WRITE) };
      const { exited, begun } = startAppender(directory, 1, acknowledged, env);
      await begun;
      let isRunning = true;
      void exited.then(() => {
        isRunning = false;
      });
      const promised = (): number => Math.max(...Array.from(acknowledged.entries(), ([, position]) => position)) + 1;
      let seen: readonly string[] = [];
      const look = async (): Promise<void> => {
        const end = promised();
        const { ids, failure } = await idsBelow(end);
        expect(failure).toBeUndefined();
        expect(ids).toHaveLength(end);
        expect(ids.slice(0, seen.length)).toEqual(seen);
        seen = ids;
      };
      do await look();
      while (isRunning);
      expect(await exited).toMatchObject({ signal: "SIGKILL" });
      await look();
      const beyond = await idsBelow(FAR_BEYOND);
      expect(beyond.failure).toMatchObject({ code: "LOG-CORRUPT" });
      const { events, lost, cut } = await audit(directory, acknowledged);
      expect({ lost, cut }).toEqual({ lost: 0, cut: true });
      const { ids } = await idsBelow(events);
      expect(ids).toHaveLength(events);
      for (const shown of [seen, beyond.ids]) expect(ids.slice(0, shown.length)).toEqual(shown);
    });
  },
);

describe("a writer that archives and prunes what is being read", () => {
  let keeper: ChildProcess;

  const ask = async (job: "archive" | "prune"): Promise<{ readonly segments: number; readonly base: number }> => {
    keeper.send(job);
    return (await once(keeper, "message"))[0];
  };
  const positionsOf = (batch: Parameters<typeof storedRecords>[0]): number[] =>
    storedRecords(batch).flatMap(({ position, isControl, payload }) => {
      if (isControl) return [];
      if (payload.some((byte) => byte !== (position & 255))) throw new Error(`the payload at ${position} is another`);
      return [position];
    });

  it("serves a reader in another process from the archive, and says where the log begins now", async () => {
    keeper = fork(new URL("./log-keeper.mjs", import.meta.url), [join(directory, "log")], { execArgv: [] });
    const exited = once(keeper, "exit");
    try {
      const [{ end }] = (await once(keeper, "message")) as [{ readonly end: number }];
      const log = await openStoredLog(systemDisk(), join(directory, "log"));
      const reading = log.readStored(0, end)[Symbol.asyncIterator]();
      const positions: number[] = [];
      const step = async (): Promise<boolean> => {
        const { value, done } = await reading.next();
        if (done !== true) positions.push(...positionsOf(value));
        return done !== true;
      };
      await step();
      expect((await ask("archive")).segments).toBeGreaterThan(3);
      await step();
      await step();
      const { base } = await ask("prune");
      const failure = await (async () => {
        while (await step());
      })().catch((thrown: unknown) => thrown);
      // What had been opened before it went is read on; then the reader hears that it is gone.
      expect(failure).toMatchObject({ code: "LOG-PRUNED", details: { base } });
      expect(positions).toEqual(positions.map((_, i) => i));
      expect(positions.length).toBeLessThan(base);
      await log.close();

      const left = await openStoredLog(systemDisk(), join(directory, "log"));
      expect(left.base).toBe(base);
      const kept: number[] = [];
      for await (const batch of left.readStored(base, end)) kept.push(...positionsOf(batch));
      expect(kept).toEqual(Array.from({ length: end - base }, (_, i) => base + i));
      await expect(left.readStored(0, end)[Symbol.asyncIterator]().next()).rejects.toMatchObject({
        code: "LOG-PRUNED",
      });
      await left.close();
    } finally {
      keeper.kill("SIGKILL");
      await exited;
    }
  });
});
