/** A manifest that is lost after a prune: made again from what is left, or refused by the name of what is missing. */
import { createHash } from "node:crypto";
import { SimulatedMount } from "@millrace/engine/testing";
import { describe, expect, it } from "vitest";
import { crc32c } from "../../src/embedded/crc32c.ts";
import type { EmbeddedLog } from "../../src/embedded/embedded-log.ts";
import { type Manifest, readManifest } from "../../src/embedded/manifest.ts";
import { repairLog } from "../../src/embedded/repair-log.ts";
import { scrubLog } from "../../src/embedded/scrub-log.ts";
import { ArchivedLog, leavesOf, placesOf } from "./archived-log.ts";
import { DIRECTORY } from "./log-machine.ts";
import { gather } from "./log-model.ts";

const MANIFEST = `${DIRECTORY}/MANIFEST`;
const STOPS = 10;
const STOP_MS = 4;
const BY = { principal: "test", reason: "it is old" };

const seenEnd = async (): Promise<number> => 0;
const mountOf = (log: ArchivedLog): SimulatedMount => new SimulatedMount(log.machine.disk);

async function prune(log: ArchivedLog, state: string): Promise<number> {
  const carry = { stream: "node", revision: 2, positions: [0], state: Buffer.from(state) };
  const { base } = await log.until(
    log.process.log.retention.prune({
      beforeMs: Number.POSITIVE_INFINITY,
      needs: async () => [],
      heldBy: async () => undefined,
      carry: () => [carry],
      by: BY,
    }),
  );
  return base;
}

/** Pruned twice; `archived`: more was archived since. Closed. */
async function pruned(archived = false): Promise<ArchivedLog> {
  const log = new ArchivedLog("lost manifest");
  await log.open();
  await log.append(["node", "$$node"], 100);
  await log.fill(3);
  await log.archive();
  await prune(log, "first");
  await log.fill(5);
  await log.archive();
  await prune(log, "second");
  if (archived) {
    await log.fill(7);
    await log.archive();
  }
  await log.append(["late"], 100);
  await log.until(log.process.log.indexed());
  await log.machine.close(log.process);
  return log;
}

async function opened(log: ArchivedLog): Promise<EmbeddedLog> {
  await log.open();
  return log.process.log;
}

/** All that a reader can find out. */
async function contentOf(log: ArchivedLog) {
  const reader = await opened(log);
  const carried = await log.until(reader.carried("node"));
  const events = placesOf(await log.until(gather(reader.read({ from: reader.base }))));
  const content = {
    id: reader.id,
    base: reader.base,
    events: createHash("sha256").update(events.join("\n")).digest("hex"),
    heads: await Promise.all(["node", "all", "late", "nobody"].map((stream) => log.until(reader.head(stream)))),
    metadata: placesOf(await log.until(gather(reader.readStream("$$node", { direction: "backward" })))),
    carried: [carried?.revision, Buffer.from(carried?.state ?? []).toString(), placesOf(carried?.events ?? [])],
    lastPruned: reader.retention.lastPruned,
  };
  await log.machine.close(log.process);
  return content;
}

const manifestOf = async (log: ArchivedLog): Promise<Partial<Manifest> | undefined> => {
  const manifest = await log.until(readManifest(mountOf(log), DIRECTORY, crc32c));
  return manifest && { ...manifest, gen: 0, epoch: 0 };
};

const repair = (log: ArchivedLog) => {
  const { env } = log.machine.env.process("repair");
  return log.until(repairLog({ disk: mountOf(log), env, directory: DIRECTORY, seenEnd, leavesOf }));
};

const named = (log: ArchivedLog, pattern: RegExp): string =>
  log.machine.disk.paths().find((path) => pattern.test(path)) ?? "";

describe("a lost manifest of a log that was pruned", () => {
  it.each([false, true])("is made again as it was (archived since: %s)", async (archived) => {
    const log = await pruned(archived);
    const before = await contentOf(log);
    expect(before).toMatchObject({
      carried: [2, "second", [expect.stringMatching(/^0 node@0/)]],
      lastPruned: { by: BY },
    });
    expect(log.machine.disk.paths().filter((path) => path.includes("/pruned-"))).toHaveLength(1);
    const manifest = await manifestOf(log);
    for (const lose of [() => log.machine.disk.remove(MANIFEST), () => log.machine.disk.flipBit(MANIFEST, 100)]) {
      lose();
      expect(await log.machine.outcomeOfOpening()).toBe("LOG-MANIFEST");
      expect(await repair(log)).toEqual({ repaired: [MANIFEST], findings: [] });
      const again = await manifestOf(log);
      // Of a segment that was prepared and not used it says the same; whose end was seen last is found by walking.
      expect(again).toEqual({ ...manifest, openEnd: again?.openEnd });
    }
    expect(await contentOf(log)).toEqual(before);
    log.machine.forgetWitnesses();
    expect(await contentOf(log)).toEqual(before);
  });

  it("is made again after a crash at any moment of a prune: as before it, or as behind it", async () => {
    const bases = new Set<number>();
    for (let i = 0; i < STOPS; i++) {
      const log = await pruned(true);
      const [before, { base }] = [await contentOf(log), await opened(log)];
      prune(log, "third").catch(() => undefined);
      await log.machine.env.advance(i * STOP_MS);
      log.machine.powerCut(log.process);
      log.machine.disk.remove(MANIFEST);
      expect((await repair(log)).findings).toEqual([]);
      const after = await contentOf(log);
      if (after.base === base) expect(after).toEqual(before);
      else expect(after).toMatchObject({ heads: before.heads, carried: [2, "third", before.carried[2]] });
      bases.add(after.base);
    }
    expect(bases.size).toBe(2);
  });

  it("is refused when what it takes is lost as well, by its name", async () => {
    const cases: readonly (readonly [RegExp, "remove" | "flip", object])[] = [
      [/\/pruned-/, "remove", { code: "LOG-MANIFEST", message: expect.stringContaining("pruned-") }],
      [/\/pruned-/, "flip", { code: "LOG-MANIFEST", message: expect.stringContaining("pruned-") }],
      [/\/carry-/, "remove", { code: "LOG-MANIFEST", message: expect.stringContaining("carry-") }],
      [/\/carry-/, "flip", { code: "LOG-MANIFEST", message: expect.stringContaining("carry-") }],
      [/\/streams-/, "flip", { code: "LOG-MANIFEST", place: { file: expect.stringContaining("streams-") } }],
      [/0001\.leaves$/, "flip", { code: "LOG-ARCHIVE", place: { file: expect.stringContaining("0001.leaves") } }],
    ];
    for (const [pattern, damage, refusal] of cases) {
      const log = await pruned();
      log.machine.disk.remove(MANIFEST);
      const path = named(log, pattern);
      if (damage === "remove") log.machine.disk.remove(path);
      else log.machine.disk.flipBit(path, 50);
      await expect(repair(log), `${pattern} ${damage}`).rejects.toMatchObject(refusal);
      expect(log.machine.disk.has(MANIFEST)).toBe(false);
    }
  });

  it("can be made again once a repair has written what a former version did not", async () => {
    const log = await pruned();
    const record = named(log, /\/pruned-/);
    log.machine.disk.remove(record);
    const { findings } = await log.until(
      scrubLog({ disk: mountOf(log), directory: DIRECTORY, seenEnd, pause: async () => undefined }),
    );
    expect(findings).toEqual([]);
    expect(await repair(log)).toEqual({ repaired: [record], findings: [] });
    expect(await repair(log)).toEqual({ repaired: [], findings: [] });
    log.machine.disk.remove(MANIFEST);
    expect((await repair(log)).repaired).toEqual([MANIFEST]);
  });
});
