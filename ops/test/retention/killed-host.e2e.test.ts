/** A host that is killed while it archives, prunes or erases: the next start has finished it, or it has had no effect. */
import { existsSync, readdirSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { listSegments, systemDisk } from "@millrace/streams/embedded";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ALL, BY, RunningHost } from "./running-host.ts";

const EVENTS = 2500;
const TEST_MS = 180_000;

let host: RunningHost;

beforeAll(async () => {
  host = await RunningHost.make(EVENTS);
}, TEST_MS);
afterAll(() => host.remove());

/** Kills the host as soon as `moment` comes, or when it has answered; starts it again. */
async function killedAt(asking: Promise<unknown>, moment: () => boolean): Promise<void> {
  const answered = asking.then(
    () => "answered",
    (thrown: { readonly code?: string }) => thrown.code,
  );
  let isAnswered = false;
  void answered.then(() => {
    isAnswered = true;
  });
  while (!isAnswered && !moment()) await setImmediate();
  await host.kill();
  expect(["answered", "HOST-LOST"]).toContain(await answered);
  await host.start();
}

async function base(): Promise<number> {
  return (await listSegments(systemDisk(), host.path("log"))).base;
}

async function eventsOf(stream: string): Promise<readonly { readonly type: string; readonly principal: string }[]> {
  const { body } = await host.get(`/api/v1/events?stream=${encodeURIComponent(stream)}&direction=forward`);
  return (body as { readonly events: readonly { readonly type: string; readonly principal: string }[] }).events;
}

const archived = (name: string): string => host.path("log", "archive", name);
const isDraft = (name: string): boolean => name.endsWith(".tmp");

describe("a host that is killed", { timeout: TEST_MS }, () => {
  it.each([
    ["packs a segment", () => existsSync(archived("0000000001.zst.tmp"))],
    ["names what it packed", () => existsSync(archived("0000000001.zst"))],
    ["removes a segment", () => !existsSync(host.path("log", "0000000003.seg"))],
  ])("while it archives and %s has every event, and archives the rest when asked again", async (_what, moment) => {
    await killedAt(host.care.archive({ beforeMs: ALL, parquet: false, keep: false }), moment);
    expect(readdirSync(host.path("log", "archive")).filter(isDraft)).toEqual([]);
    const { body } = await host.get(`/api/v1/events?direction=forward&from=0&limit=1000`);
    expect((body as { readonly events: readonly object[] }).events).toHaveLength(1000);
    expect(await base()).toBe(0);
  });

  it("while it prunes has pruned all that was asked and says so, or nothing", async () => {
    await host.care.archive({ beforeMs: host.madeMs, parquet: false, keep: false });
    for (const moment of [
      () => existsSync(host.path("log", "MANIFEST.tmp")),
      () => !existsSync(archived("0000000001.zst")),
    ]) {
      await killedAt(host.care.prune({ beforeMs: host.madeMs, by: BY }), moment);
      const told = await eventsOf("$retention");
      if ((await base()) === 0) expect(told).toEqual([]);
      else expect(told).toEqual([expect.objectContaining({ type: "LogPruned", principal: BY.principal })]);
    }
    expect(await base()).toBeGreaterThan(EVENTS / 2);
    expect(existsSync(archived("0000000001.leaves"))).toBe(true);
    expect(existsSync(archived("0000000001.zst"))).toBe(false);
    expect(await host.told("audit", "verify")).toMatchObject({ ok: true, pruned: await base() });
  });

  it("while it destroys a key has destroyed it, and says who asked", async () => {
    await host.push({ id: 1, customer: "ann", email: "plain-ann@example.org" });
    await killedAt(host.care.erase({ subject: "ann", yes: true, by: BY }), () =>
      existsSync(host.path("keys", "subjects.keys.draft")),
    );
    expect(await eventsOf("$erasure")).toEqual([
      expect.objectContaining({ type: "ErasureIntended", principal: BY.principal }),
      expect.objectContaining({ type: "SubjectErased", principal: BY.principal }),
    ]);
    await expect
      .poll(() => host.rows("ann"))
      .toEqual([expect.objectContaining({ email: { $erased: expect.anything() } })]);
    expect(existsSync(host.path("keys", "subjects.keys.draft"))).toBe(false);
  });
});
