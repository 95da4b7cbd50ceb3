import { createHash } from "node:crypto";
import { storedRecords } from "@millrace/engine";
import { SimulatedMount } from "@millrace/engine/testing";
import { describe, expect, it } from "vitest";
import type { LeafChecks } from "../../src/embedded/archived-listing.ts";
import { openStoredLog } from "../../src/embedded/open-stored-log.ts";
import { type RepairReport, repairLog } from "../../src/embedded/repair-log.ts";
import { type ScrubReport, scrubLog } from "../../src/embedded/scrub-log.ts";
import { ArchivedLog, leavesOf } from "./archived-log.ts";
import { DIRECTORY } from "./log-machine.ts";

/** `LOG_FLIP_STRIDE=1` flips every byte of every file; the short form every 1009th. */
const FLIP_STRIDE = Number(process.env.LOG_FLIP_STRIDE ?? 1009);
const MINUTES_MS = 60_000;

/** Segment 1 is archived, 2 is here with a copy in the archive, 3 is here only, 4 takes blocks. Closed. */
async function scrubbed(): Promise<ArchivedLog> {
  const log = await ArchivedLog.make("scrub", 2, { open: { segmentBytes: 32 * 1024 } });
  const finish = async (): Promise<Uint8Array> => Buffer.from("a twin");
  const twin = () => ({ add: () => undefined, finish });
  await log.archive({ twin });
  await log.fill(3);
  await log.archive({ twin, keep: true });
  await log.fill(4);
  await log.append(["all"], 700);
  await log.machine.close(log.process);
  return log;
}

function scrub(log: ArchivedLog): Promise<ScrubReport> {
  const disk = new SimulatedMount(log.machine.disk);
  const seenEnd = async (): Promise<number> => log.process.log.durableEnd;
  return log.until(scrubLog({ disk, directory: DIRECTORY, seenEnd, pause: async () => undefined }));
}

function repair(
  log: ArchivedLog,
  seen: number = log.process.log.durableEnd,
  checks: Partial<LeafChecks> = {},
): Promise<RepairReport> {
  const disk = new SimulatedMount(log.machine.disk);
  const seenEnd = async (): Promise<number> => seen;
  return log.until(repairLog({ disk, env: log.machine.env, directory: DIRECTORY, leavesOf, seenEnd, ...checks }));
}

/** A hash over every stored record, or the code with which reading ended. */
async function readAll(log: ArchivedLog): Promise<string> {
  const reading = async (): Promise<string> => {
    const files = await openStoredLog(new SimulatedMount(log.machine.disk), DIRECTORY);
    const hash = createHash("sha256");
    for await (const batch of files.readStored(0, log.process.log.durableEnd))
      for (const { position, header, payload } of storedRecords(batch))
        hash.update(`${position}`).update(header).update(payload);
    return hash.digest("hex");
  };
  return log.until(reading().catch((thrown: { readonly code?: string }) => thrown.code ?? String(thrown)));
}

describe("a scrub", () => {
  it("finds nothing in a log that is whole, archived or not", async () => {
    const log = await scrubbed();
    expect(await scrub(log)).toMatchObject({ segments: 4, findings: [] });
    expect((await scrub(log)).bytes).toBeGreaterThan(2 * 32 * 1024);
  });

  it(
    "finds every flipped byte of every file, and no read gives other bytes",
    async () => {
      const log = await scrubbed();
      const whole = await readAll(log);
      const codes = new Map<string, number>();
      const files = [...log.machine.disk.image()].filter(([path]) => !/LOCK|0000000005/.test(path));
      expect(files.length).toBeGreaterThan(8);
      for (const [path, bytes] of files) {
        const end = path.endsWith("0000000004.seg") ? usedEnd(bytes) : bytes.length;
        for (let at = path.length % FLIP_STRIDE; at < end; at += FLIP_STRIDE) {
          log.machine.disk.flipBit(path, at, at % 8);
          const { findings } = await scrub(log);
          expect(findings.length, `${path} ${at}`).toBeGreaterThan(0);
          const code = findings[0]?.code ?? "";
          expect(["LOG-CORRUPT", "LOG-MANIFEST", "LOG-ARCHIVE", "LOG-SCHEMA"], `${path} ${at}`).toContain(code);
          codes.set(code, (codes.get(code) ?? 0) + 1);
          const read = await readAll(log);
          if (read !== whole) expect(read, `${path} ${at}`).toMatch(/^LOG-(CORRUPT|MANIFEST|ARCHIVE|SCHEMA)$/);
          log.machine.disk.flipBit(path, at, at % 8);
        }
      }
      expect(codes.get("LOG-CORRUPT")).toBeGreaterThan(10);
      expect(await scrub(log)).toMatchObject({ findings: [] });
    },
    60 * MINUTES_MS,
  );

  it("names segment, file, position and offset of what is bad", async () => {
    const log = await scrubbed();
    log.machine.disk.flipBit(log.machine.segment(3), 4096 + 64 + 140);
    const { findings } = await scrub(log);
    expect(findings).toEqual([
      {
        code: "LOG-CORRUPT",
        message: expect.stringContaining("checksum"),
        file: log.machine.segment(3),
        serial: 3,
        position: expect.any(Number),
        offset: 4096 + 64,
      },
    ]);
  });
});

describe("each file of a log with an archive", () => {
  const zst = (serial: number) => (log: ArchivedLog) => log.archived(serial, "zst");
  const leaves = (serial: number) => (log: ArchivedLog) => log.archived(serial, "leaves");
  const parquet = (serial: number) => (log: ArchivedLog) => log.archived(serial, "parquet");
  const segment = (serial: number) => (log: ArchivedLog) => log.machine.segment(serial);
  const carry = () => `${DIRECTORY}/carry-0000000002.bin`;
  const files: readonly (readonly [string, (log: ArchivedLog) => string, string])[] = [
    ["the archive of a segment that is gone", zst(1), "LOG-ARCHIVE"],
    ["its leaf hashes", leaves(1), "LOG-ARCHIVE"],
    ["its twin", parquet(1), "LOG-ARCHIVE"],
    ["a segment with a copy", segment(2), "LOG-MANIFEST"],
    ["the copy", zst(2), "LOG-ARCHIVE"],
    ["a segment without a copy", segment(3), "LOG-MANIFEST"],
    ["the carried heads", carry, "LOG-MANIFEST"],
    ["the manifest", () => `${DIRECTORY}/MANIFEST`, "LOG-MANIFEST"],
  ];
  const cut = (log: ArchivedLog, path: string, bytes: number): void => {
    const whole = log.machine.disk.bytesOf(path);
    log.machine.disk.put(path, whole.subarray(0, Math.max(0, whole.length - bytes)));
  };
  for (const [title, path, code] of files) {
    it(`is found with ${code} when ${title} is missing or cut`, async () => {
      const log = await scrubbed();
      const bytes = log.machine.disk.bytesOf(path(log));
      log.machine.disk.remove(path(log));
      expect((await scrub(log)).findings).toMatchObject([{ code, file: path(log) }]);
      for (const missing of [1, 4096]) {
        log.machine.disk.put(path(log), bytes);
        cut(log, path(log), missing);
        expect((await scrub(log)).findings, `${missing} bytes`).toMatchObject([{ code, file: path(log) }]);
      }
    });
  }

  it("is found when it is another's", async () => {
    const log = await scrubbed();
    const [one, two] = [zst(1)(log), zst(2)(log)].map((path) => log.machine.disk.bytesOf(path)) as [
      Uint8Array,
      Uint8Array,
    ];
    log.machine.disk.put(zst(1)(log), two);
    log.machine.disk.put(zst(2)(log), one);
    expect((await scrub(log)).findings).toMatchObject([
      { code: "LOG-ARCHIVE", serial: 1 },
      { code: "LOG-ARCHIVE", serial: 2 },
    ]);
    expect(await readAll(log)).toBe("LOG-ARCHIVE");
  });
});

describe("a repair", () => {
  it("makes a segment again from its copy, and a copy and leaf hashes from what is whole", async () => {
    const log = await scrubbed();
    const pristine = log.machine.disk.image();
    const damaged = [log.machine.segment(2), log.archived(1, "leaves")];
    for (const path of damaged) log.machine.disk.flipBit(path, 40);
    expect(await repair(log)).toEqual({ repaired: [damaged[1], damaged[0]], findings: [] });
    log.machine.disk.remove(log.archived(2, "zst"));
    expect(await repair(log)).toEqual({ repaired: [log.archived(2, "zst")], findings: [] });
    for (const path of [...damaged, log.archived(2, "zst")])
      expect(Buffer.compare(log.machine.disk.bytesOf(path), pristine.get(path) as Uint8Array), path).toBe(0);
    expect(log.machine.disk.has(`${damaged[0]}.damaged`)).toBe(true);
    await log.open();
    expect(await log.check()).toEqual([]);
  });

  it.each(["gone", "flipped"])("makes a manifest again that is %s, from segments and archive", async (how) => {
    const log = await scrubbed();
    const manifest = `${DIRECTORY}/MANIFEST`;
    const carry = `${DIRECTORY}/carry-0000000002.bin`;
    const [whole, carried, before] = [await readAll(log), log.machine.disk.bytesOf(carry), log.process.log.id];
    log.machine.disk.remove(carry);
    if (how === "gone") log.machine.disk.remove(manifest);
    else log.machine.disk.flipBit(manifest, 50);
    expect(await repair(log)).toEqual({ repaired: [manifest], findings: [] });
    expect(Buffer.compare(log.machine.disk.bytesOf(carry), carried)).toBe(0);
    expect(await readAll(log)).toBe(whole);
    log.machine.forgetWitnesses();
    await log.open();
    expect(log.process.log.id).toBe(before);
    await log.append(["all"], 700);
    await log.fill(6);
    await log.archive();
    expect(await log.check()).toEqual([]);
    await log.reopen();
    expect(await log.check()).toEqual([]);
  });

  it("says what of a lost manifest is missing elsewhere, and changes nothing", async () => {
    const log = await scrubbed();
    log.machine.disk.remove(`${DIRECTORY}/MANIFEST`);
    const refused = async (path: string, change: () => void): Promise<void> => {
      const bytes = log.machine.disk.bytesOf(path);
      change();
      const image = [...log.machine.disk.image().keys()];
      await expect(repair(log), path).rejects.toMatchObject({ place: { file: path } });
      expect([...log.machine.disk.image().keys()]).toEqual(image);
      log.machine.disk.put(path, bytes);
    };
    for (const path of [log.archived(1, "zst"), log.archived(1, "leaves"), log.machine.segment(3)])
      await refused(path, () => log.machine.disk.remove(path));
    for (const path of [log.archived(1, "zst"), log.archived(1, "leaves"), log.machine.segment(3)])
      await refused(path, () => log.machine.disk.flipBit(path, 5000 % log.machine.disk.bytesOf(path).length));
    await expect(repair(log, log.process.log.durableEnd + 1)).rejects.toMatchObject({ code: "LOG-MANIFEST" });
    const forked = { checkLeaves: async () => Promise.reject(Object.assign(new Error("fork"), { code: "LOG-FORK" })) };
    await expect(repair(log, undefined, forked)).rejects.toMatchObject({ code: "LOG-FORK" });
    expect(await repair(log)).toMatchObject({ findings: [] });
  });

  it("leaves alone what nothing else has", async () => {
    const log = await scrubbed();
    log.machine.disk.flipBit(log.machine.segment(3), 5000);
    log.machine.disk.flipBit(log.archived(1, "zst"), 50);
    const before = log.machine.disk.bytesOf(log.machine.segment(3));
    const report = await repair(log);
    expect(report).toMatchObject({ repaired: [], findings: [{ serial: 1 }, { serial: 3 }] });
    expect(Buffer.compare(log.machine.disk.bytesOf(log.machine.segment(3)), before)).toBe(0);
  });
});

function usedEnd(bytes: Uint8Array): number {
  let end = bytes.length;
  while (end > 4096 && bytes.subarray(end - 4096, end).every((byte) => byte === 0)) end -= 4096;
  return end;
}
