import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { goEnv } from "../../bin/setup.mjs";
import { millrace } from "../millrace.ts";
import { addEvents } from "./audited-data.ts";

const skipped = process.env.MILLRACE_SKIP_GO;
const why = skipped === undefined ? "" : ` (skipped: ${skipped})`;
const PEER = join(import.meta.dirname, "go-peer");
const POSITIONS = [0, 1, 255, 256, 511, 700, 1233];

describe.skipIf(skipped !== undefined)(`Go's checksum database${why}`, () => {
  let directory: string;
  let data: string;
  let peer: string;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "millrace-go-"));
    data = join(directory, "data");
    peer = join(directory, "audit-peer");
    await addEvents(data, 700);
    await save("old", ["checkpoint"]);
    await addEvents(data, 534);
    await save("consistency", ["consistency", "700"]);
    for (const position of POSITIONS) await save(`proof-${position}`, ["prove", String(position)]);
    await save("exported", ["tiles", "--out", tree()]);
    await save("key", ["key"]);
    const env = { ...process.env, ...goEnv };
    const built = spawnSync("go", ["build", "-o", peer, "."], { cwd: PEER, env, encoding: "utf8" });
    expect(built.stderr).toBe("");
  }, 120_000);
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  async function save(name: string, args: readonly string[]): Promise<void> {
    const { code, stdout, stderr } = await millrace(["audit", ...args, "--data", data]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    writeFileSync(join(directory, name), stdout);
  }

  function check(tree: string): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
    const at = (name: string): string => join(directory, name);
    const proofs = POSITIONS.map((position) => at(`proof-${position}`));
    const key = readFileSync(at("key"), "utf8").trim();
    return spawnSync(peer, [tree, key, at("old"), at("consistency"), ...proofs], { encoding: "utf8" });
  }

  function tree(): string {
    return join(directory, "public");
  }

  it("accepts the checkpoint, and makes of the tiles the proofs that we make", () => {
    const { status, stdout, stderr } = check(tree());
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout.trim().split("\n")).toEqual([
      "consistent: 700 records are the beginning of 1234",
      ...POSITIONS.map((position) => `included: position ${position} of 1234`),
    ]);
  });

  it("refuses a checkpoint, a tile and a proof with a changed byte", () => {
    for (const name of ["checkpoint", "tile/0/000", "tile/1/000.p/4"]) refuses(join(tree(), name), 40);
    for (const position of POSITIONS) refuses(join(directory, `proof-${position}`), 100);
    refuses(join(directory, "consistency"), 20);
    expect(check(tree()).status).toBe(0);
  });

  function refuses(path: string, at: number): void {
    const whole = readFileSync(path);
    const changed = Buffer.from(whole);
    changed[at] = (whole[at] as number) === 0x41 ? 0x42 : 0x41;
    writeFileSync(path, changed);
    expect(check(tree()).status, path).toBe(1);
    writeFileSync(path, whole);
  }
});
