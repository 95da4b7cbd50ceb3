/** A prune is told in the log also when the process dies between the two, once, with who asked. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemEnv } from "@millrace/engine";
import { afterAll, expect, it } from "vitest";
import { type OpenedData, openData } from "../../src/host/open-data.ts";
import { legalHolds, placeHold, RETENTION_STREAM } from "../../src/retention/legal-holds.ts";
import { OpenLogCare } from "../../src/retention/open-log-care.ts";
import { appendSystemEvent, systemEvents, systemPayload } from "../../src/system-stream.ts";
import { appendEvents } from "../audit/audited-data.ts";
import { ALL, BY, NO_PROJECTIONS } from "./running-host.ts";
import { makeSmallLog } from "./small-log.ts";

const env = systemEnv();
const directory = mkdtempSync(join(tmpdir(), "millrace-told-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function opened<T>(use: (data: OpenedData) => Promise<T>, path = directory): Promise<T> {
  const data = await openData({
    path,
    env,
    onFatal: (error) => {
      throw error;
    },
  });
  try {
    return await use(data);
  } finally {
    await data.close();
  }
}

async function told({ log }: OpenedData): Promise<object[]> {
  const events: object[] = [];
  for (const event of await systemEvents(log, RETENTION_STREAM))
    events.push({ type: event.type, by: event.context.principal, ...systemPayload(event) });
  return events;
}

it("is told by whoever opens the log next", async () => {
  await makeSmallLog(directory, 900);
  const base = await opened(async (data) => {
    const payloads = async (): Promise<never> => {
      throw new Error("nothing is pruned by this care");
    };
    const care = new OpenLogCare({ data, env, projections: NO_PROJECTIONS, payloads });
    await care.archive({ beforeMs: ALL, parquet: false, keep: false });
    const heldBy = async (): Promise<undefined> => undefined;
    const pruned = await data.log.retention.prune({ beforeMs: ALL, needs: async () => [], heldBy, by: BY });
    expect(await told(data)).toEqual([]);
    return pruned.base;
  });
  const event = { type: "LogPruned", by: BY.principal, reason: BY.reason, from: 0, to: base };
  expect(await opened(told)).toEqual([event]);
  expect(await opened(told)).toEqual([event]);
});

it("goes when a later prune takes it, as does what placed a hold, and both still count", async () => {
  await opened(async (data) => {
    await placeHold(data.log, env, "case-7", { streamPrefix: "orders-" }, BY);
    await appendEvents(data.log, 900);
    const payloads = async () => ({ stage: async () => [], forget: async () => ({ payloads: 0, bytes: 0 }) });
    const care = new OpenLogCare({ data, env, projections: NO_PROJECTIONS, payloads });
    await care.archive({ beforeMs: ALL, parquet: false, keep: false });
    const position = (await legalHolds(data.log))[0]?.position ?? 0;
    expect((await care.prune({ beforeMs: ALL, by: BY })).base).toBeGreaterThan(position);
  });
  await opened(async (data) => {
    expect(await legalHolds(data.log)).toMatchObject([{ name: "case-7", by: BY.principal, reason: BY.reason }]);
    expect(await told(data)).toMatchObject([
      { type: "LogPruned", from: 0 },
      { type: "LegalHoldPlaced", name: "case-7" },
      { type: "LogPruned", to: data.log.base, carried: expect.stringMatching(/^[0-9a-f]{64}$/) },
    ]);
  });
});

it("is held against what is carried: other carried streams than the log tells of are refused", async () => {
  const path = mkdtempSync(join(tmpdir(), "millrace-told-other-"));
  try {
    await makeSmallLog(path, 900);
    await opened(async (data) => {
      const payloads = async (): Promise<never> => {
        throw new Error("nothing is pruned by this care");
      };
      const care = new OpenLogCare({ data, env, projections: NO_PROJECTIONS, payloads });
      await care.archive({ beforeMs: ALL, parquet: false, keep: false });
      const heldBy = async (): Promise<undefined> => undefined;
      const options = { beforeMs: ALL, needs: async () => [], heldBy, carry: () => [], by: BY };
      const { base: to } = await data.log.retention.prune(options);
      const payload = { from: 0, to, carried: "0".repeat(64) };
      await appendSystemEvent(data.log, env, { stream: RETENTION_STREAM, type: "LogPruned", payload }, BY);
    }, path);
    await expect(opened(told, path)).rejects.toMatchObject({ code: "LOG-MANIFEST" });
  } finally {
    rmSync(path, { recursive: true });
  }
});
