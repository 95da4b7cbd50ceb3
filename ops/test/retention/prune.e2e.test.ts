import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { addEvents } from "../audit/audited-data.ts";
import { lastJson, millrace } from "../millrace.ts";
import { makeSmallLog } from "./small-log.ts";

const EVENTS = 900;

let directory: string;
let data: string;

async function ask(...args: readonly string[]): ReturnType<typeof millrace> {
  return millrace([...args, "--data", data]);
}

const TEST_MS = 180_000;

/** Commands that open a stopped log have it for themselves. */
function copyOf(path: string, name: string): string {
  cpSync(path, join(directory, name), { recursive: true });
  return join(directory, name);
}

const archived = (name: string): string => join(data, "log", "archive", name);

/** Changes a byte in the middle of a file. */
function damage(path: string): Buffer {
  const bytes = readFileSync(path);
  const changed = Buffer.from(bytes);
  changed.writeUInt8((bytes.readUInt8(5000) + 1) % 256, 5000);
  writeFileSync(path, changed);
  return bytes;
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "millrace-prune-"));
  data = join(directory, "data");
  await makeSmallLog(data, EVENTS);
}, 60_000);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe("millrace log scrub and repair", { timeout: TEST_MS }, () => {
  it("find damage and make it good from a copy", async () => {
    expect(await ask("log", "archive", "--older-than", "0", "--keep", "--no-parquet")).toMatchObject({ code: 0 });
    expect(lastJson((await ask("log", "scrub", "--json")).stdout)).toMatchObject({ ok: true, findings: [] });
    const segment = join(data, "log", "0000000001.seg");
    const whole = damage(segment);
    const found = await ask("log", "scrub");
    expect([found.code, found.stdout]).toEqual([
      1,
      expect.stringMatching(/position \d+: LOG-CORRUPT .*0000000001\.seg@/),
    ]);
    expect(lastJson((await ask("log", "repair", "--json")).stdout)).toMatchObject({ ok: true, repaired: [segment] });
    expect(Buffer.compare(readFileSync(segment), whole)).toBe(0);
    expect(await ask("log", "scrub", "--rate", "1000")).toMatchObject({ code: 0 });
  });
});

describe("millrace log prune", { timeout: TEST_MS }, () => {
  it("is stopped by a legal hold, which is an event with who and why", async () => {
    await ask("log", "archive", "--older-than", "0", "--no-parquet");
    const placed = await ask("log", "hold", "place", "case-7", "--stream", "counts-", "--reason", "letter of 3 May");
    expect(placed).toMatchObject({ code: 0 });
    expect((await ask("log", "hold", "ls")).stdout).toMatch(/case-7 +counts-.*letter of 3 May/);
    // JavaScript takes it for a day of 2001, in the zone of the machine.
    expect(await ask("log", "hold", "place", "case-8", "--from", "3 May")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("CLI-USAGE --from 3 May: expected a time such as 2026-01-31"),
    });
    const held = await ask("log", "prune", "--older-than", "0", "--json");
    expect(held.code).toBe(1);
    expect(lastJson(held.stdout)).toMatchObject({
      error: { code: "LOG-HELD", details: { by: "the legal hold case-7" } },
    });
    expect(await ask("log", "hold", "place", "case-7")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("LOG-HOLD"),
    });
    expect(await ask("log", "hold", "release", "case-7", "--reason", "closed")).toMatchObject({ code: 0 });
    const { events } = lastJson((await ask("events", "ls", "--stream", "$retention", "--json")).stdout) as {
      readonly events: readonly { readonly type: string; readonly principal: string; readonly payload: object }[];
    };
    expect(events.map(({ type, payload }) => [type, payload])).toEqual([
      ["LegalHoldReleased", expect.objectContaining({ name: "case-7", reason: "closed" })],
      ["LegalHoldPlaced", expect.objectContaining({ name: "case-7", reason: "letter of 3 May" })],
    ]);
    expect(events[0]?.principal).not.toBe("");
  });

  it("forgets what was archived; proofs hold, the rest goes on, and what is gone is said", async () => {
    const pruned = lastJson(
      (await ask("log", "prune", "--older-than", "0", "--reason", "ten years are over", "--json")).stdout,
    ) as {
      readonly pruned: readonly object[];
      readonly base: number;
    };
    expect(pruned.pruned.length).toBeGreaterThan(1);
    expect(pruned.base).toBeGreaterThan(EVENTS / 2);
    expect(() => readFileSync(archived("0000000001.zst"))).toThrow("ENOENT");
    const verified = lastJson((await ask("audit", "verify", "--json")).stdout);
    expect(verified).toMatchObject({ ok: true, pruned: pruned.base });
    const gone = await ask("events", "ls", "--forward", "--json");
    expect([gone.code, gone.stdout]).toEqual([2, expect.stringContaining("LOG-PRUNED")]);
    expect(gone.stdout).toContain(`the log begins at ${pruned.base}`);
    const [exported, who, traced, mistyped, asked] = await Promise.all([
      ask("audit", "export", "--from", "0", "--out", join(directory, "bundle")),
      millrace(["whodunit", "counts-0", "--data", copyOf(data, "who")]),
      millrace(["trace", String(pruned.base), "--json", "--data", copyOf(data, "trace")]),
      millrace(["events", "ls", "--type", "Stpe", "--data", copyOf(data, "type")]),
      millrace(["sql", "select min(position) as first from events", "--json", "--data", copyOf(data, "sql")]),
    ]);
    expect(exported).toMatchObject({ code: 1, stderr: expect.stringContaining("LOG-PRUNED") });
    expect(who.stdout).toContain(`as of position ${EVENTS + 3}; what was before position ${pruned.base} was pruned`);
    expect(lastJson(traced.stdout)).toMatchObject({ from: pruned.base, roots: [{ position: pruned.base }] });
    expect(lastJson(asked.stdout)).toMatchObject({ tables: [{ from: pruned.base }], rows: [{ first: pruned.base }] });
    expect(mistyped).toMatchObject({ code: 2, stderr: expect.stringContaining("CLI-UNKNOWN") });
    await exportOfWhatIsLeft(pruned.base);
    rmSync(join(data, "index"), { recursive: true });
    await addEvents(data, 40);
    const last = lastJson((await ask("events", "ls", "--limit", "1", "--json")).stdout) as {
      readonly events: readonly { readonly stream: string; readonly revision: number }[];
    };
    expect(last.events).toMatchObject([{ stream: "counts-0", revision: EVENTS + 40 - 1 }]);
    expect(lastJson((await ask("log", "scrub", "--json")).stdout)).toMatchObject({ ok: true });
  });
});

/** Of events whose names were given by events that are gone. */
async function exportOfWhatIsLeft(base: number): Promise<void> {
  const bundle = join(directory, "left");
  const { stdout, code } = await ask("audit", "export", "--out", bundle);
  expect([code, stdout]).toEqual([
    0,
    expect.stringMatching(/ names in .*pruned-names.jsonl are not proven.*\n.* --pruned-names\n/),
  ]);
  const check = (...options: readonly string[]): ReturnType<typeof spawnSync> =>
    spawnSync(process.execPath, [join(bundle, "verify.mjs"), ...options], { encoding: "utf8" });
  expect(check()).toMatchObject({
    status: 1,
    stderr: expect.stringContaining("names that pruned events gave are not proven"),
  });
  expect(check("--pruned-names")).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(new RegExp(`positions ${base} to [^]*not proven, given by events that were pruned`)),
  });
  claimPruned(bundle, "$retention");
  expect(check("--pruned-names")).toMatchObject({ status: 1, stderr: expect.stringContaining("and is not") });
}

/** Somebody says that the record which gave a stream its name was pruned, and that the name was another. */
function claimPruned(bundle: string, stream: string): void {
  const events = readFileSync(join(bundle, "events.jsonl"), "utf8").trimEnd().split("\n");
  const event = events.map((line) => JSON.parse(line)).find((each) => each.stream === stream);
  const number = Buffer.from(event.records.at(-1).header, "base64").readUInt32LE(24);
  const path = join(bundle, "pruned-names.jsonl");
  const names = `${readFileSync(path, "utf8")}${JSON.stringify({ kind: "stream", number, name: "another" })}\n`;
  writeFileSync(path, names);
  const manifest = JSON.parse(readFileSync(join(bundle, "manifest.json"), "utf8"));
  manifest.files["pruned-names.jsonl"].sha256 = createHash("sha256").update(names).digest("hex");
  writeFileSync(join(bundle, "manifest.json"), JSON.stringify(manifest));
}
