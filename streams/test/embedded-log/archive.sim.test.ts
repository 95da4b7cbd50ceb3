import { type StoredBatch, storedRecords } from "@millrace/engine";
import { SimulatedMount } from "@millrace/engine/testing";
import { describe, expect, it } from "vitest";
import { ArchiveFile } from "../../src/embedded/archive-file.ts";
import { blockKernels } from "../../src/embedded/block-kernels.ts";
import { crc32c } from "../../src/embedded/crc32c.ts";
import { listSegments } from "../../src/embedded/list-segments.ts";
import type { PruneOptions } from "../../src/embedded/log-retention.ts";
import { openStoredLog } from "../../src/embedded/open-stored-log.ts";
import type { Witness } from "../../src/embedded/witnesses.ts";
import { ArchivedLog, placesOf } from "./archived-log.ts";
import { DIRECTORY } from "./log-machine.ts";
import { gather, hex } from "./log-model.ts";

const PRUNE_ALL: PruneOptions = {
  beforeMs: Number.POSITIVE_INFINITY,
  needs: async () => [],
  heldBy: async () => undefined,
  by: { principal: "test", reason: "" },
};

async function storedOf(batches: AsyncIterable<StoredBatch>): Promise<string[]> {
  const records: string[] = [];
  for await (const batch of batches)
    for (const { position, header, payload } of storedRecords(batch))
      records.push(`${position} ${hex(header)} ${hex(payload)}`);
  return records;
}

/** Everything that readers can ask, in one list. */
async function everything({ process, machine }: ArchivedLog): Promise<string[]> {
  const { log } = process;
  const end = log.durableEnd;
  const files = await machine.env.until(openStoredLog(new SimulatedMount(machine.disk), DIRECTORY));
  const reads = [
    gather(log.read()).then(placesOf),
    gather(log.read({ direction: "backward" })).then(placesOf),
    gather(log.read({ filter: { node: "n1" } })).then(placesOf),
    gather(log.read({ filter: { streamPrefix: "stream-1" } })).then(placesOf),
    gather(log.readStream("stream-0")).then(placesOf),
    gather(log.readStream("all", { direction: "backward", limit: 7 })).then(placesOf),
    storedOf(log.readStored(0, end)),
    storedOf(files.readStored(0, end)),
    storedOf(files.readStored(5, 9)),
  ];
  const found: string[] = [];
  for (const read of reads) found.push("----", ...(await machine.env.until(read)));
  return found;
}

describe("archived segments", () => {
  it("leave the log, and every read finds them in the archive as they were", async () => {
    const archived = await ArchivedLog.make("archive");
    const before = await everything(archived);
    const done = await archived.archive();
    expect(done.segments.map(({ serial, state }) => [serial, state])).toEqual([
      [1, "archived"],
      [2, "archived"],
      [3, "archived"],
    ]);
    expect([1, 2, 3].map((serial) => archived.machine.disk.has(archived.machine.segment(serial)))).toEqual([
      false,
      false,
      false,
    ]);
    expect(await everything(archived)).toEqual(before);
    expect(archived.process.log.base).toBe(0);
    await archived.reopen();
    expect(await everything(archived)).toEqual(before);
    await archived.append(["all"], 100);
    expect(await archived.check()).toEqual([]);
  });

  it("are indexed again from the archive when the index is gone", async () => {
    const archived = await ArchivedLog.make("archive");
    const before = await everything(archived);
    await archived.archive();
    archived.machine.kill(archived.process);
    archived.machine.forgetWitnesses();
    await archived.open();
    expect(await everything(archived)).toEqual(before);
    await archived.append(["stream-0"], 100);
    expect(await archived.check()).toEqual([]);
  });

  it("unpack to the segment file byte for byte, with a leaf a record", async () => {
    const archived = await ArchivedLog.make("archive");
    const segment = archived.machine.disk.bytesOf(archived.machine.segment(1));
    const [first] = (await archived.archive()).segments;
    const mount = new SimulatedMount(archived.machine.disk);
    const file = await archived.until(ArchiveFile.open(mount, archived.archived(1, "zst"), blockKernels(crc32c)));
    const unpacked = Buffer.alloc(await file.size());
    await archived.until(file.read(unpacked, 0));
    expect(Buffer.compare(unpacked, segment)).toBe(0);
    const leaves = archived.machine.disk.bytesOf(archived.archived(1, "leaves"));
    expect(leaves.length).toBe(((first?.endPosition ?? 0) - (first?.firstPosition ?? 0)) * 32);
    expect(leaves.length).toBeGreaterThan(0);
  });

  it("are those that are old enough, signed and indexed", async () => {
    const archived = await ArchivedLog.make("archive");
    const { log } = archived.process;
    const mount = new SimulatedMount(archived.machine.disk);
    const [, , third] = (await archived.until(listSegments(mount, DIRECTORY))).segments;
    const last = (third?.firstPosition ?? 0) - 1;
    const [event] = await archived.until(gather(log.read({ from: last, limit: 1 })));
    const young = await archived.archive({ beforeMs: event?.timeMs ?? 0 });
    expect(young).toMatchObject({ segments: [{ serial: 1 }], waitsFor: undefined });
    const unsigned = await archived.archive({ signedEnd: (third?.firstPosition ?? 0) - 1 });
    expect(unsigned).toEqual({ segments: [], waitsFor: "the Merkle tree" });
    expect((await archived.archive()).segments.map(({ serial }) => serial)).toEqual([2, 3]);
  });

  it("have what a snapshot saw that was made at the end of the last of them, until that is pruned", async () => {
    const archived = new ArchivedLog("witness");
    await archived.open();
    const seen: Witness[] = [];
    while (archived.process.log.health.activeSegment < 3) {
      await archived.append(["all"], 5000);
      seen.push({ name: "snapshot", ...archived.process.log.witness() });
    }
    await archived.until(archived.process.log.indexed());
    await archived.machine.env.advance(200);
    const end = (await archived.archive()).segments.at(-1)?.endPosition;
    const snapshot = seen.find(({ pos }) => pos === end) as Witness;
    const opening = (chain: number): Promise<string> =>
      archived.machine.outcomeOfOpening({ witnesses: [{ ...snapshot, chain }] });
    const outcomes = async (): Promise<readonly string[]> => {
      await archived.machine.close(archived.process);
      return [await opening(snapshot.chain), await opening(snapshot.chain ^ 1)];
    };
    expect(await outcomes()).toEqual(["opened", "LOG-TAIL-LOST"]);
    await archived.open();
    await archived.until(archived.process.log.retention.prune(PRUNE_ALL));
    expect(await outcomes()).toEqual(["opened", "opened"]);
  });

  it("are not archived when they are not what was sealed or what was signed", async () => {
    const damaged = await ArchivedLog.make("archive");
    damaged.machine.disk.flipBit(damaged.machine.segment(1), 4096 + 700);
    await expect(damaged.archive()).rejects.toMatchObject({ code: "LOG-CORRUPT" });
    const forked = await ArchivedLog.make("archive");
    const checkLeaves = () => Promise.reject(Object.assign(new Error("forked"), { code: "LOG-FORK" }));
    await expect(forked.archive({ checkLeaves })).rejects.toMatchObject({ code: "LOG-FORK" });
    for (const { machine } of [damaged, forked]) expect(machine.disk.has(machine.segment(1))).toBe(true);
  });

  it("come with a twin of their events", async () => {
    const archived = await ArchivedLog.make("archive");
    const expected = placesOf(await archived.until(gather(archived.process.log.read())));
    const lines: string[] = [];
    const twin = () => ({
      add: (event: Parameters<typeof placesOf>[0][number]) => void lines.push(...placesOf([event])),
      finish: async () => Buffer.from("twin"),
    });
    const { segments } = await archived.archive({ twin });
    expect(lines).toEqual(expected.slice(0, segments.at(-1)?.endPosition ?? undefined));
    expect(Buffer.from(archived.machine.disk.bytesOf(archived.archived(2, "parquet"))).toString()).toBe("twin");
  });
});
