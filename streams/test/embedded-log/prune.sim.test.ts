import { SimulatedMount } from "@millrace/engine/testing";
import { describe, expect, it } from "vitest";
import { listSegments } from "../../src/embedded/list-segments.ts";
import type { PruneOptions, SegmentInfo } from "../../src/embedded/log-retention.ts";
import { openStoredLog } from "../../src/embedded/open-stored-log.ts";
import { ArchivedLog } from "./archived-log.ts";
import { DIRECTORY } from "./log-machine.ts";
import { gather } from "./log-model.ts";

const FREE: PruneOptions = {
  beforeMs: Number.POSITIVE_INFINITY,
  needs: async () => [],
  heldBy: async () => undefined,
  by: { principal: "test", reason: "" },
};

/** Three archived segments; the stream `early` is in the first of them only. */
async function archived(): Promise<ArchivedLog> {
  const log = new ArchivedLog("prune");
  await log.open();
  for (let i = 0; i < 3; i++) await log.append(["early"], 1000);
  await log.fill(4);
  await log.archive();
  await log.append(["all"], 100);
  await log.until(log.process.log.indexed());
  return log;
}

const prune = (log: ArchivedLog, options: Partial<PruneOptions> = {}) =>
  log.until(log.process.log.retention.prune({ ...FREE, ...options }));

async function segmentsOf(log: ArchivedLog): Promise<readonly SegmentInfo[]> {
  return (await log.until(listSegments(new SimulatedMount(log.machine.disk), DIRECTORY))).segments;
}

const codeOf = (log: ArchivedLog, reading: Promise<unknown>): Promise<unknown> =>
  log.until(
    reading.then(
      () => "read",
      (thrown: { readonly code?: string; readonly details?: object }) => [thrown.code, thrown.details],
    ),
  );

for (const index of ["kept", "made again"] as const) {
  describe(`a pruned log whose index is ${index}`, () => {
    async function pruned(): Promise<{ readonly made: ArchivedLog; readonly base: number }> {
      const made = await archived();
      const { base } = await prune(made);
      made.machine.kill(made.process);
      if (index === "made again") made.machine.forgetWitnesses();
      await made.open();
      return { made, base };
    }

    it("says of what is gone that it was pruned, and where the log begins", async () => {
      const { made, base } = await pruned();
      const { log } = made.process;
      expect(log.base).toBe(base);
      expect(base).toBeGreaterThan(10);
      const code = ["LOG-PRUNED", expect.objectContaining({ base })];
      expect(await codeOf(made, gather(log.read()))).toEqual(code);
      expect(await codeOf(made, gather(log.read({ from: base - 1 })))).toEqual(code);
      expect(await codeOf(made, gather(log.read({ from: base - 1, direction: "backward" })))).toEqual(code);
      expect(await codeOf(made, gather(log.readStream("early")))).toEqual(code);
      expect(await codeOf(made, gather(log.readStream("all", { from: 0 })))).toEqual(code);
      const subscription = log.subscribe({ from: 0, signal: new AbortController().signal });
      expect(await codeOf(made, subscription[Symbol.asyncIterator]().next())).toEqual(code);
    });

    it("reads what is left as before, with the positions and revisions that it had", async () => {
      const { made, base } = await pruned();
      const { log } = made.process;
      const left = await made.until(gather(log.read({ from: base })));
      expect(left.map(({ position }) => position)).toEqual(left.map((_, i) => base + i));
      const backward = await made.until(gather(log.read({ direction: "backward" })));
      expect(backward.reverse().map(({ position }) => position)).toEqual(left.map(({ position }) => position));
      const ofType = { filter: { types: ["Moved"] } };
      const moved = await made.until(gather(log.read({ ...ofType, direction: "backward" })));
      expect(moved.reverse().map(({ position }) => position)).toEqual(
        left.filter(({ type }) => type === "Moved").map(({ position }) => position),
      );
      const all = left.filter(({ stream }) => stream === "all");
      const head = await made.until(log.head("all"));
      expect(all.at(-1)?.revision).toBe(head);
      const stream = await made.until(gather(log.readStream("all", { direction: "backward" })));
      expect(stream.map(({ revision }) => revision)).toEqual(all.map(({ revision }) => revision).reverse());
    });

    it("goes on with the revisions of a stream that is gone as a whole, and with its time", async () => {
      const { made, base } = await pruned();
      const { log } = made.process;
      expect(await made.until(log.head("early"))).toBe(2);
      const event = made.workload.event(new Uint8Array(10));
      const result = await made.until(log.append([{ stream: "early", expected: 2, events: [event] }]));
      expect(result.revisions).toEqual([3]);
      const [read] = await made.until(gather(log.readStream("early", { from: 3 })));
      const [first] = await made.until(gather(log.read({ from: base, limit: 1 })));
      expect(read?.timeMs).toBeGreaterThanOrEqual(first?.timeMs ?? Number.POSITIVE_INFINITY);
      const other = made.workload.event(new Uint8Array(10));
      const none = made.until(log.append([{ stream: "early", expected: "none", events: [other] }]));
      await expect(none).rejects.toMatchObject({ code: "LOG-PRUNED" });
    });

    it("does not take a retry of what is gone for new", async () => {
      const { made } = await pruned();
      const retry = [{ stream: "early", expected: 1, events: [made.workload.event(new Uint8Array(10))] }];
      const outcome = made.until(made.process.log.append(retry));
      await expect(outcome).rejects.toMatchObject({ code: "LOG-PRUNED" });
    });

    it("nor one that begins with another stream", async () => {
      const { made } = await pruned();
      const [first, second] = [made.workload.event(new Uint8Array(10)), made.workload.event(new Uint8Array(10))];
      const retry = [
        { stream: "all", expected: "any" as const, events: [first] },
        { stream: "early", expected: 1, events: [second] },
      ];
      await expect(made.until(made.process.log.append(retry))).rejects.toMatchObject({ code: "LOG-PRUNED" });
    });

    it("has a leaf hash for everything that is gone", async () => {
      const { made, base } = await pruned();
      const mount = new SimulatedMount(made.machine.disk);
      const files = await made.until(openStoredLog(mount, DIRECTORY));
      const counts: number[] = [];
      const counting = async (): Promise<void> => {
        for await (const { bytes } of files.prunedLeaves()) counts.push(bytes.length / 32);
      };
      await made.until(counting());
      expect(counts).toHaveLength(3);
      expect(counts.reduce((a, b) => a + b)).toBe(base);
      expect(made.machine.disk.has(made.archived(1, "zst"))).toBe(false);
      made.machine.disk.flipBit(made.archived(2, "leaves"), 40);
      await expect(made.until(counting())).rejects.toMatchObject({ code: "LOG-ARCHIVE" });
    });
  });
}

describe("nothing is pruned", () => {
  it("that somebody still needs", async () => {
    const made = await archived();
    const needs = async () => [{ code: "HELD-TEST", name: "checkpoint of a projection", position: 5 }];
    await expect(prune(made, { needs })).rejects.toMatchObject({
      code: "LOG-HELD",
      details: { by: "checkpoint of a projection", position: 5 },
    });
    const heldBy = async (position: number) => ({ code: "HELD-LEGAL", name: "the legal hold case-7", position });
    await expect(prune(made, { heldBy })).rejects.toMatchObject({
      code: "LOG-HELD",
      details: { by: "the legal hold case-7", heldBy: [{ code: "HELD-LEGAL", position: 0 }] },
    });
    expect(made.process.log.base).toBe(0);
    expect(await made.check()).toEqual([]);
  });

  it("from the first segment on that is needed; what is before it goes, and the answer says who needs the rest", async () => {
    const made = await archived();
    const [, second] = await segmentsOf(made);
    const position = (second?.firstPosition ?? 0) + 1;
    const need = { code: "HELD-TEST", name: "a node", position, remedy: "wait" };
    const done = await prune(made, { needs: async () => [need] });
    expect(done).toMatchObject({ base: second?.firstPosition, heldBy: [need] });
    expect(done.segments).toHaveLength(1);
    await expect(prune(made, { needs: async () => [need] })).rejects.toMatchObject({ code: "LOG-HELD" });
    expect(made.process.log.base).toBe(second?.firstPosition);
  });

  it("that a live subscription has not passed", async () => {
    const made = await archived();
    const abort = new AbortController();
    const subscription = made.process.log.subscribe({ signal: abort.signal })[Symbol.asyncIterator]();
    await made.until(subscription.next());
    const heldBy = [{ code: "HELD-SUBSCRIPTION" }];
    const passed = await prune(made);
    expect(passed).toMatchObject({ segments: [{ serial: 1 }], heldBy });
    await expect(prune(made)).rejects.toMatchObject({ code: "LOG-HELD", details: { by: "a subscription", heldBy } });
    expect(await made.until(subscription.next())).toMatchObject({ done: false });
    await subscription.return?.();
    expect((await prune(made)).segments).toHaveLength(2);
  });

  it("that is young, or was not archived", async () => {
    const made = await ArchivedLog.make("young");
    expect((await prune(made)).segments).toEqual([]);
    const [first] = (await made.archive()).segments;
    expect((await prune(made, { beforeMs: (first?.lastMs ?? 0) + 1 })).segments).toHaveLength(1);
    expect((await prune(made, { beforeMs: 0 })).segments).toEqual([]);
  });
});
