/** What is known of streams whose last events were pruned: revision, type, and of metadata the event itself (L-R26). */
import { sampleEvent, tagged, to } from "@millrace/engine/testing";
import { describe, expect, it } from "vitest";
import { ArchivedLog, placesOf } from "./archived-log.ts";
import { gather } from "./log-model.ts";

const FREE = {
  beforeMs: Number.POSITIVE_INFINITY,
  needs: async () => [],
  heldBy: async () => undefined,
  by: { principal: "test", reason: "" },
};

/** Streams that end in the first segments, and what they were before these went. */
async function filled(): Promise<{ readonly made: ArchivedLog; readonly metadata: readonly string[] }> {
  const made = new ArchivedLog("carry");
  await made.open();
  for (const type of ["Opened", "$streamDeleted"]) await append(made, "closed", sampleEvent({ type, ...tagged([]) }));
  await append(made, "own", sampleEvent({ type: "Stepped" }));
  for (const tag of ["first", "second"])
    await append(made, "$$open", sampleEvent({ type: "$metadata", ...tagged([tag]) }));
  await append(made, "$$later", sampleEvent({ type: "$metadata" }));
  await made.fill(3);
  await append(made, "alive", sampleEvent());
  const metadata = placesOf(await made.until(gather(made.process.log.readStream("$$open"))));
  return { made, metadata };
}

async function append(made: ArchivedLog, stream: string, event: ReturnType<typeof sampleEvent>): Promise<void> {
  await made.until(made.process.log.append(to(stream, event)));
}

async function prune(made: ArchivedLog): Promise<number> {
  const { base } = await made.until(made.process.log.retention.prune(FREE));
  return base;
}

async function holds({ process: { log }, ...made }: ArchivedLog, metadata: readonly string[]): Promise<void> {
  const until = <T>(promise: Promise<T>): Promise<T> => made.machine.env.until(promise);
  expect(await until(log.prunedEnd("closed"))).toEqual({ revision: 1, type: "$streamDeleted", schemaVersion: 0xe5db });
  expect(await until(log.prunedEnd("own"))).toEqual({ revision: 0, type: "Stepped", schemaVersion: 1 });
  expect(await until(log.prunedEnd("nobody"))).toBeUndefined();
  expect(await until(log.prunedEnd("alive"))).toBeUndefined();
  expect(await until(log.prunedEnd("$$open"))).toBeUndefined();
  const last = await until(gather(log.readStream("$$open", { direction: "backward" })));
  expect(placesOf(last)).toEqual(metadata.slice(1));
  expect(placesOf(await until(gather(log.readStream("$$open", { from: 1 }))))).toEqual(metadata.slice(1));
  expect(await until(gather(log.readStream("$$open", { from: 1, filter: { types: ["Other"] } })))).toEqual([]);
  await expect(until(gather(log.readStream("$$open")))).rejects.toMatchObject({ code: "LOG-PRUNED" });
  await expect(until(gather(log.readStream("closed", { direction: "backward" })))).rejects.toMatchObject({
    code: "LOG-PRUNED",
  });
}

async function again(made: ArchivedLog, index: "kept" | "made again"): Promise<void> {
  made.machine.kill(made.process);
  if (index === "made again") made.machine.forgetWitnesses();
  await made.open();
}

describe("the ends of streams that were pruned", () => {
  it("are known at once, after a restart and in an index that was made again", async () => {
    const { made, metadata } = await filled();
    await made.archive();
    expect(await made.until(made.process.log.prunedEnd("closed"))).toBeUndefined();
    expect(await prune(made)).toBeGreaterThan(6);
    await holds(made, metadata);
    for (const index of ["kept", "made again", "kept"] as const) {
      await again(made, index);
      await holds(made, metadata);
    }
  });

  it("are those of the newest prune, and give way to what is appended", async () => {
    const { made, metadata } = await filled();
    await made.archive();
    await prune(made);
    await append(made, "own", sampleEvent({ type: "Went on" }));
    await append(made, "$$later", sampleEvent({ type: "$metadata", ...tagged(["new"]) }));
    expect(await made.until(made.process.log.prunedEnd("own"))).toBeUndefined();
    const newest = await made.until(gather(made.process.log.readStream("$$later", { direction: "backward" })));
    expect(newest.map(({ revision }) => revision)).toEqual([1]);
    await made.fill(6);
    await made.archive();
    await prune(made);
    for (const index of ["kept", "made again"] as const) {
      await again(made, index);
      const { log } = made.process;
      expect(await made.until(log.prunedEnd("own"))).toEqual({ revision: 1, type: "Went on", schemaVersion: 1 });
      expect(await made.until(log.prunedEnd("closed"))).toMatchObject({ type: "$streamDeleted" });
      expect(placesOf(await made.until(gather(log.readStream("$$later", { direction: "backward" }))))).toEqual(
        placesOf(newest),
      );
      expect(placesOf(await made.until(gather(log.readStream("$$open", { direction: "backward" }))))).toEqual(
        metadata.slice(1),
      );
    }
  });
});
