/** Files of payloads go with the last event that names them: told by the command, and after a crash by nobody but the disk. */
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PayloadArchive, type PayloadReference, referenceValue, systemEnv } from "@millrace/engine";
import { sampleEvents, to } from "@millrace/engine/testing";
import { systemDisk } from "@millrace/streams/embedded";
import { afterAll, expect, it } from "vitest";
import { type OpenedData, openData } from "../../src/host/open-data.ts";
import { OpenLogCare } from "../../src/retention/open-log-care.ts";
import { addEvents } from "../audit/audited-data.ts";
import { lastJson, millrace } from "../millrace.ts";
import { ALL, BY, NO_PROJECTIONS } from "./running-host.ts";
import { makeSmallLog } from "./small-log.ts";

const TEST_MS = 180_000;
const EVENTS = 900;
const env = systemEnv();
const root = mkdtempSync(join(tmpdir(), "millrace-pruned-payloads-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Made {
  readonly path: string;
  /** Named by events that will be pruned only, and by later ones, too. */
  readonly old: PayloadReference;
  readonly again: PayloadReference;
}

async function withData<T>(path: string, use: (data: OpenedData, archive: PayloadArchive) => Promise<T>): Promise<T> {
  const onFatal = (error: Error): never => {
    throw error;
  };
  const data = await openData({ path, env, onFatal });
  try {
    const { log, directory } = data;
    return await use(data, await PayloadArchive.open({ disk: systemDisk(), directory: directory.payloads, log }));
  } finally {
    await data.close();
  }
}

/** What a host does for a step: the bytes, the event that names them, then they are kept. */
async function addPayload(path: string, fill: number): Promise<PayloadReference> {
  return withData(path, async ({ log }, archive) => {
    const bytes = new Uint8Array(1000 * fill).fill(fill);
    const reference: PayloadReference = {
      sha256: createHash("sha256").update(bytes).digest("hex"),
      format: "npy",
      length: bytes.length,
    };
    await archive.write(reference, bytes);
    const payload = Buffer.from(JSON.stringify({ frame: referenceValue(reference) }));
    await log.append(to("frames", sampleEvents(1, { payload })));
    await archive.keep(reference);
    return reference;
  });
}

/** A log with archived segments in front, whose payloads are named there and, one of them, in what stays. */
async function made(name: string): Promise<Made> {
  const path = join(root, name);
  await makeSmallLog(path, 10);
  const [old, again] = [await addPayload(path, 1), await addPayload(path, 2)];
  await addEvents(path, EVENTS);
  await addPayload(path, 2);
  return { path, old, again };
}

function files({ path }: Made): readonly string[] {
  const names = readdirSync(join(path, "payloads", "objects"), { recursive: true, encoding: "utf8" });
  return names.filter((name) => name.length > 64).map((name) => name.slice(-64));
}

it(
  "millrace log prune deletes what no event names any more, and says how many and how much",
  async () => {
    const m = await made("told");
    const { old, again } = m;
    expect([...files(m)].sort()).toEqual([old.sha256, again.sha256].sort());
    await millrace(["log", "archive", "--older-than", "0", "--no-parquet", "--data", m.path]);
    const pruned = await millrace([
      "log",
      "prune",
      "--older-than",
      "0",
      "--reason",
      "over",
      "--json",
      "--data",
      m.path,
    ]);
    expect([pruned.code, lastJson(pruned.stdout)]).toEqual([
      0,
      expect.objectContaining({ payloads: { payloads: 1, bytes: old.length } }),
    ]);
    expect(files(m)).toEqual([again.sha256]);
    await withData(m.path, async (_, archive) => expect((await archive.read(again))?.[0]).toBe(2));
  },
  TEST_MS,
);

it(
  "a process that dies between the manifest and the files leaves them to the next",
  async () => {
    const m = await made("killed");
    const between = class extends Error {};
    await withData(m.path, async (data, archive) => {
      const forget = async (): Promise<never> => {
        throw new between();
      };
      const payloads = async () => ({ stage: (hashes: Iterable<string>) => archive.stage(hashes), forget });
      const care = new OpenLogCare({ data, env, projections: NO_PROJECTIONS, payloads });
      await care.archive({ beforeMs: ALL, parquet: false, keep: false });
      await expect(care.prune({ beforeMs: ALL, by: BY })).rejects.toThrow(between);
      expect(data.log.base).toBeGreaterThan(EVENTS / 2);
    });
    expect(files(m)).toHaveLength(2);
    await withData(m.path, async () => undefined);
    expect(files(m)).toEqual([m.again.sha256]);
  },
  TEST_MS,
);

it(
  "a process that dies before the manifest leaves everything",
  async () => {
    const m = await made("before");
    await withData(m.path, async (data, archive) => {
      const stage = async (hashes: Iterable<string>): Promise<never> => {
        expect(await archive.stage(hashes)).toHaveLength(2);
        throw new Error("killed");
      };
      const payloads = async () => ({ stage, forget: archive.forget.bind(archive) });
      const care = new OpenLogCare({ data, env, projections: NO_PROJECTIONS, payloads });
      await care.archive({ beforeMs: ALL, parquet: false, keep: false });
      await expect(care.prune({ beforeMs: ALL, by: BY })).rejects.toThrow("killed");
      expect(data.log.base).toBe(0);
    });
    await withData(m.path, async (_, archive) => expect((await archive.read(m.old))?.[0]).toBe(1));
    expect(readdirSync(join(m.path, "payloads", "staged"))).toEqual([]);
  },
  TEST_MS,
);
