/** What is known of streams whose last events were pruned: revision, type, and of metadata the event itself (L-R26). */
import { createHash } from "node:crypto";
import { SimulatedMount, sampleEvent, tagged, to } from "@millrace/engine/testing";
import { describe, expect, it } from "vitest";
import { StoredCarry } from "../../src/embedded/carry-file.ts";
import { crc32c } from "../../src/embedded/crc32c.ts";
import { NAME_KINDS } from "../../src/embedded/dictionary.ts";
import { ManifestFile, readManifest } from "../../src/embedded/manifest.ts";
import { ALL_RULES_HOLD } from "../../src/embedded/rules.ts";
import { ArchivedLog, placesOf } from "./archived-log.ts";
import { DIRECTORY } from "./log-machine.ts";
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

/** What an earlier version would have left: one JSON document, of revisions only in the first format. */
async function asFormat(made: ArchivedLog, format: 1 | 2): Promise<void> {
  await made.machine.close(made.process);
  const mount = new SimulatedMount(made.machine.disk);
  const manifest = await made.until(readManifest(mount, DIRECTORY, crc32c));
  if (manifest === undefined || manifest.carry === null) throw new Error("there is a manifest, and a carry");
  const carry = await made.until(StoredCarry.open(mount, DIRECTORY, manifest.carry));
  const names = (await made.until(gathered(carry.names()))).map(({ kind, number, name }) => [
    NAME_KINDS.indexOf(kind),
    number,
    name,
  ]);
  const ends = await made.until(gathered(carry.ends()));
  const document =
    format === 1
      ? { heads: ends.map(([stream, { revision }]) => [stream, revision]) }
      : {
          ends: ends.map(([stream, { revision, type, schemaVersion, record }]) => [
            ...[stream, revision, type, schemaVersion],
            ...(record === undefined ? [] : [Buffer.from(record).toString("base64")]),
          ]),
        };
  const bytes = Buffer.from(JSON.stringify({ format, timeMs: carry.timeMs, ...document, names }));
  const file = manifest.carry.file.replace(/bin$/, "json");
  const open = await made.until(mount.open(`${DIRECTORY}/${file}`, { mode: "create" }));
  await made.until(open.write(bytes, 0));
  await made.until(open.sync());
  await made.until(open.close());
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const written = new ManifestFile(mount, DIRECTORY, manifest, crc32c, ALL_RULES_HOLD);
  const named = { file, sha256, ...(format === 1 ? {} : { format }) };
  await made.until(written.update((current) => ({ ...current, carry: named })));
  await made.open();
}

async function gathered<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
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

  it.each([1, 2] as const)("are there when a version archived that had format %i", async (format) => {
    const { made, metadata } = await filled();
    await made.archive();
    await asFormat(made, format);
    await prune(made);
    await holds(made, metadata);
    await again(made, "made again");
    await holds(made, metadata);
    const files = made.machine.disk.paths().filter((path) => path.includes("carry-"));
    expect(files).toHaveLength(1);
  });

  it("are not known where a former version pruned already", async () => {
    const { made } = await filled();
    await made.archive();
    await prune(made);
    await asFormat(made, 1);
    made.machine.forgetWitnesses();
    await again(made, "made again");
    expect(await made.until(made.process.log.prunedEnd("closed"))).toBeUndefined();
    expect(await made.until(made.process.log.head("closed"))).toBe(1);
    await made.fill(5);
    await made.archive();
    await prune(made);
    expect(await made.until(made.process.log.head("closed"))).toBe(1);
  });
});
