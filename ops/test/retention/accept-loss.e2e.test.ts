/** `log repair --accept-loss` on a data directory as a host leaves it, and what auditors have of it afterwards. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { addEvents } from "../audit/audited-data.ts";
import { lastJson, millrace } from "../millrace.ts";
import { makeSmallLog } from "./small-log.ts";

const EVENTS = 300;
let directory: string;
let whole: string;
let key: string;
let bundle: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "millrace-loss-"));
  whole = join(directory, "whole");
  bundle = join(directory, "bundle");
  await addEvents(whole, EVENTS);
  key = (await millrace(["audit", "key", "--data", whole])).stdout.trim();
  await millrace(["audit", "export", "--from", "250", "--to", "280", "--out", bundle, "--data", whole]);
}, 60_000);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function damaged(name: string, file: string, change: (bytes: Buffer) => void): string {
  const data = join(directory, name);
  cpSync(whole, data, { recursive: true });
  const path = join(data, "log", file);
  const bytes = readFileSync(path);
  change(bytes);
  writeFileSync(path, bytes);
  return data;
}

const repair = (data: string, ...args: readonly string[]): ReturnType<typeof millrace> =>
  millrace(["log", "repair", "--data", data, ...args]);

it("says what is lost, cuts when it is told to, and leaves a log that auditors can check anew", async () => {
  const data = damaged("flipped", "0000000001.seg", (bytes) => bytes.write("X", bytes.indexOf('{"left":90}')));
  const said = await repair(data);
  expect(said.stdout).toMatch(
    /^(?:position 210: )?LOG-CORRUPT [^\n]*\nlost from position 210 on: positions 210 to 299, 90 events, 20,480 bytes of blocks\n {2}counts-0: 89 events from revision 211 on\n {2}1 event that cannot be read, [^\n]*\n/,
  );
  expect(said.stdout).toMatch(/\nnot ok: [^\n]*\n[^\n]*--accept-loss\n$/);
  expect(said.code).toBe(1);

  const { code, stdout } = await repair(data, "--accept-loss", "--reason", "no copy is left", "--json");
  expect(code).toBe(0);
  const { ok, accepted } = lastJson(stdout) as {
    ok: boolean;
    accepted: { from: number; to: number; newLogId: string; aside: string; verifierKey: string };
  };
  expect({ ok, from: accepted.from, to: accepted.to }).toEqual({ ok: true, from: 210, to: EVENTS });
  expect(readdirSync(accepted.aside)).toEqual(expect.arrayContaining(["0000000001.seg", "MANIFEST"]));

  // A new origin and key; the log was opened, and says itself what happened.
  const verified = await millrace(["audit", "verify", "--data", data, "--key", accepted.verifierKey]);
  expect(verified.stdout).toMatch(/^ok: 211 of 211 signed records/);
  const checkpoint = (await millrace(["audit", "checkpoint", "--data", data])).stdout;
  expect(checkpoint.split("\n")[0]).toBe(`millrace/log/${accepted.newLogId}`);
  const { stdout: listed } = await millrace(["events", "ls", "--data", data, "--stream", "$retention", "--json"]);
  expect(listed).toContain("LogTruncated");
  expect((await millrace(["events", "show", "210", "--data", data])).stdout).toContain("no copy is left");

  // What was exported before still holds, by the key of that time; so does the old tree's folder.
  const check = spawnSync(process.execPath, [join(bundle, "verify.mjs"), "--key", key, bundle], { encoding: "utf8" });
  expect(check.stdout).toMatch(/^verified: 30 events, positions 250 to 279/);
  expect(readdirSync(join(data, "audit")).sort()).toEqual([key.split("+")[0]?.slice(-32), accepted.newLogId].sort());

  // The second time there is nothing to do.
  const again = await repair(data, "--accept-loss");
  expect(again.stdout).toBe("ok: 0 files repaired\n");
  await addEvents(data, 5);
  expect((await millrace(["audit", "verify", "--data", data])).stdout).toMatch(/^ok: 216 of 216 /);
}, 60_000);

it("makes a lost manifest again from segments and archive, under the same id, or says what is missing", async () => {
  const data = join(directory, "archived");
  await makeSmallLog(data, 900);
  const known = (await millrace(["audit", "key", "--data", data])).stdout.trim();
  await millrace(["log", "archive", "--older-than", "0", "--no-parquet", "--data", data]);
  const [manifest, packed] = [join(data, "log", "MANIFEST"), join(data, "log", "archive", "0000000001.zst")];
  const leaves = packed.replace("zst", "leaves");
  rmSync(manifest);
  const said = await repair(data);
  expect(said.stdout).toBe(`${manifest} is made again from what it described\nok: 1 file repaired\n`);
  expect(said.code).toBe(0);
  await addEvents(data, 5);
  const verified = await millrace(["audit", "verify", "--data", data, "--key", known]);
  expect(verified.stdout).toMatch(/^ok: 905 of 905 /);

  for (const path of [packed, leaves]) {
    const bytes = readFileSync(path);
    rmSync(manifest, { force: true });
    rmSync(path);
    const refused = await repair(data);
    expect(refused.code).not.toBe(0);
    expect(refused.stdout + refused.stderr).toContain(path);
    writeFileSync(path, bytes);
  }
  expect((await repair(data)).code).toBe(0);
  await millrace(["log", "prune", "--older-than", "0", "--data", data]);
  rmSync(manifest);
  expect((await repair(data)).stdout).toBe(`${manifest} is made again from what it described\nok: 1 file repaired\n`);
  const still = await millrace(["audit", "verify", "--data", data, "--key", known]);
  expect(still.stdout).toMatch(/^ok: \d+ of \d+ signed records are what was signed\nthe records of the first /);
  const record = readdirSync(join(data, "log")).find((name) => name.startsWith("pruned-")) ?? "";
  rmSync(join(data, "log", record));
  rmSync(manifest);
  const pruned = await repair(data, "--accept-loss", "--reason", "no copy is left");
  expect(pruned.code).not.toBe(0);
  expect(pruned.stdout + pruned.stderr).toContain("no record of a prune (pruned-….json)");
}, 120_000);

it("begins the tree of a pruned log with the leaves that are left of it", async () => {
  const data = join(directory, "pruned");
  await makeSmallLog(data, 700);
  expect((await millrace(["log", "archive", "--older-than", "0", "--no-parquet", "--data", data])).code).toBe(0);
  expect((await millrace(["log", "prune", "--older-than", "0", "--data", data])).stdout).toMatch(
    /^[1-9]\d* segments? pruned/,
  );
  const active =
    readdirSync(join(data, "log"))
      .filter((name) => name.endsWith(".seg"))
      .sort()[0] ?? "";
  const path = join(data, "log", active);
  const bytes = readFileSync(path);
  bytes.fill(0xff, 4096 + 70, 4096 + 80);
  writeFileSync(path, bytes);
  const { code, stdout } = await repair(data, "--accept-loss", "--json");
  expect(code).toBe(0);
  const { accepted } = lastJson(stdout) as { accepted: { from: number; to: number } };
  expect(accepted.to).toBeGreaterThan(accepted.from);
  const verified = await millrace(["audit", "verify", "--data", data]);
  // It says again what was pruned, since that was lost with the rest, and what was lost.
  const n = accepted.from + 2;
  expect(verified.stdout).toMatch(`ok: ${n} of ${n} signed records are what was signed\nthe records of the first `);
  await addEvents(data, 1);
}, 60_000);
