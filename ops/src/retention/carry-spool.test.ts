import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StreamCarry } from "@millrace/engine";
import { systemDisk } from "@millrace/streams/embedded";
import { afterEach, beforeEach, expect, it } from "vitest";
import { CarrySpool } from "./carry-spool.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "millrace-spool-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

const carryOf = (stream: string, state: Uint8Array | undefined): StreamCarry => {
  return { stream, revision: stream.length, positions: [1, 2], state };
};

async function gather(spool: CarrySpool): Promise<readonly StreamCarry[]> {
  const all = [];
  for await (const carry of spool.all()) all.push(carry);
  return all;
}

const CARRIES = [carryOf("a", Buffer.from("first")), carryOf("bc", undefined), carryOf("d", Buffer.from("second"))];

it("gives back what was added, and leaves nothing behind", async () => {
  const spool = new CarrySpool(systemDisk(), dir);
  for (const carry of CARRIES) await spool.add(carry);
  expect(readdirSync(dir)).toEqual(["carried-states.tmp"]);
  expect(await gather(spool)).toEqual(CARRIES);
  await spool.close();
  expect(readdirSync(dir)).toEqual([]);
});

it("refuses a state that is not what was written", async () => {
  const spool = new CarrySpool(systemDisk(), dir);
  for (const carry of CARRIES) await spool.add(carry);
  const path = join(dir, "carried-states.tmp");
  writeFileSync(path, readFileSync(path, "utf8").replace("second", "secund"));
  await expect(gather(spool)).rejects.toMatchObject({ code: "HOST-CARRY" });
  await spool.close();
  expect(existsSync(path)).toBe(false);
});

it("makes no file where no stream has a state", async () => {
  const spool = new CarrySpool(systemDisk(), dir);
  await spool.add(carryOf("a", undefined));
  expect(await gather(spool)).toEqual([carryOf("a", undefined)]);
  await spool.close();
  expect(readdirSync(dir)).toEqual([]);
});
