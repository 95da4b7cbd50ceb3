import { crc32c } from "@millrace/streams/embedded";
import { beforeAll, describe, expect, it } from "vitest";
import { AUDIT, AuditMachine, LOG } from "./audit-machine.ts";

const EVENTS = 700;
const BLOCK_BYTES = 4096;
const RECORD_AT = 64;

let machine: AuditMachine;
let whole: ReadonlyMap<string, Uint8Array>;

beforeAll(async () => {
  machine = new AuditMachine("damage");
  const process = await machine.open();
  await machine.env.until(machine.work(process, EVENTS));
  await machine.close(process);
  whole = machine.disk.image();
});

/** Puts everything back, then does the damage. */
function damaged(damage: () => void): void {
  for (const path of machine.disk.paths()) if (!whole.has(path)) machine.disk.remove(path);
  for (const [path, bytes] of whole) machine.disk.put(path, bytes);
  damage();
}

const flip = (name: string, at: number) => (): void => machine.disk.flipBit(machine.path(name), at, 3);
const remove = (name: string) => (): void => machine.disk.remove(machine.path(name));

interface RecordPlace {
  readonly path: string;
  /** Of the event's record in its file. */
  readonly at: number;
  readonly length: number;
}

/** Where the event at `position` stands; every block of the workload holds one. */
function placeOf(position: number): RecordPlace {
  for (const [path, bytes] of whole) {
    if (!path.endsWith(".seg")) continue;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let block = BLOCK_BYTES; block < bytes.length; block += BLOCK_BYTES) {
      if (view.getUint32(block, true) !== 0x4c42524d || view.getUint16(block + 56, true) !== 0) continue;
      if (Number(view.getBigUint64(block + 24, true)) !== position) continue;
      let at = block + RECORD_AT;
      while ((view.getUint16(at + 106, true) & 1) === 1) at += Math.ceil(view.getUint32(at, true) / 8) * 8;
      return { path, at, length: view.getUint32(at, true) };
    }
  }
  throw new Error(`there is no event at ${position}`);
}

/** Changes a stored event as somebody would who knows the format: its checksum is right again. */
function forge(position: number): void {
  const { path, at, length } = placeOf(position);
  machine.disk.damage(path, (bytes) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    bytes[at + 92] = (bytes[at + 92] as number) ^ 1;
    view.setUint32(at + 4, crc32c(view, at + 8, at + length), true);
  });
}

async function outcomeOfOpening(): Promise<unknown> {
  try {
    const process = await machine.open();
    const { state, rebuilt, failure } = process.tree.status();
    await machine.close(process);
    return { state, rebuilt, failure: failure?.code };
  } catch (thrown) {
    return thrown;
  }
}

describe("verification finds", () => {
  it("nothing where nothing is wrong", async () => {
    damaged(() => undefined);
    expect(await machine.verify()).toMatchObject({ findings: [], verified: EVENTS });
  });

  it.each([
    ["a flipped bit of a full tile", () => flip("tile/0/001", 32 * 10 + 5)(), "AUDIT-TILE", 266, /tile\/0\/001$/],
    [
      "a flipped bit of a partial tile",
      () => flip("tile/0/002.p/188", 0)(),
      "AUDIT-TILE",
      512,
      /tile\/0\/002\.p\/188$/,
    ],
    ["a flipped bit above the leaves", () => flip("tile/1/000.p/2", 40)(), "AUDIT-TILE", 256, /tile\/1\/000\.p\/2$/],
    ["a missing tile", () => remove("tile/0/000")(), "AUDIT-TILE", 0, /tile\/0\/000$/],
    ["a flipped bit of the frontier", () => flip("frontier", 70)(), "AUDIT-TILE", undefined, /frontier$/],
    ["a missing frontier", () => remove("frontier")(), "AUDIT-TILE", undefined, /frontier$/],
    ["a flipped bit of the checkpoint", () => flip("checkpoint", 50)(), "AUDIT-CHECKPOINT", undefined, /checkpoint$/],
    ["a missing checkpoint", () => remove("checkpoint")(), "AUDIT-CHECKPOINT", undefined, /checkpoint$/],
  ] as const)("%s, and names it", async (_what, damage, code, position, file) => {
    damaged(damage);
    const { findings } = await machine.verify();
    expect(findings[0]).toMatchObject({ code, file: expect.stringMatching(file) });
    expect(findings[0]?.position).toBe(position);
  });

  it.each([0, 3, 255, 256, 699])("a record that was changed together with its checksum, at %i", async (position) => {
    damaged(() => forge(position));
    const { findings, verified } = await machine.verify();
    expect(findings).toEqual([
      { code: "LOG-FORK", message: `the record at position ${position} is not the one that was signed`, position },
    ]);
    expect(verified).toBe(position);
  });

  it("any flipped bit of a block, at the position that it belongs to", async () => {
    const { path, at, length } = placeOf(300);
    const random = machine.env.random.fork("flips");
    const offsets = Array.from({ length: 60 }, () => at - RECORD_AT + random.below(length + RECORD_AT));
    for (const offset of [...offsets, at - RECORD_AT, at - 1, at, at + length - 1]) {
      damaged(() => machine.disk.flipBit(path, offset, random.below(8)));
      const { findings } = await machine.verify();
      expect(findings, `offset ${offset}`).toHaveLength(1);
      expect(findings[0], `offset ${offset}`).toMatchObject({ code: "LOG-CORRUPT", file: path, position: 300 });
    }
  });

  it("a segment that lost its end", async () => {
    const { path, at } = placeOf(600);
    damaged(() => machine.disk.damage(path, (bytes) => void bytes.fill(0, at - RECORD_AT)));
    expect((await machine.verify()).findings[0]).toMatchObject({ code: "LOG-CORRUPT", position: 600 });
  });

  it("an older checkpoint that the log no longer begins with", async () => {
    damaged(() => undefined);
    const kept = machine.text("checkpoint") ?? "";
    expect((await machine.verify(kept)).findings).toEqual([]);
    expect((await machine.verify(kept.replace(`\n${EVENTS}\n`, "\n10\n"))).findings[0]).toMatchObject({
      code: "AUDIT-CHECKPOINT",
    });
  });
});

describe("opening", () => {
  it.each([
    ["a damaged edge tile", flip("tile/0/002.p/188", 0), /tiles do not give the root/],
    ["a missing edge tile", remove("tile/1/000.p/2"), /is missing/],
    ["a damaged frontier", flip("frontier", 70), /frontier is damaged/],
    ["a missing frontier", remove("frontier"), /frontier is missing/],
  ] as const)("makes the tree again for %s, and says so", async (_what, damage, why) => {
    damaged(damage);
    const key = machine.text("verifier-key");
    const kept = machine.text("checkpoint");
    expect(await outcomeOfOpening()).toEqual({
      state: "live",
      rebuilt: expect.stringMatching(why),
      failure: undefined,
    });
    expect(machine.text("checkpoint")).toBe(kept);
    expect(machine.text("verifier-key")).toBe(key);
    expect((await machine.verify(kept)).findings).toEqual([]);
  });

  it("refuses the log when a record among the newest is not what was signed", async () => {
    damaged(() => forge(600));
    expect(await outcomeOfOpening()).toMatchObject({ code: "LOG-FORK", place: { position: 600 } });
  });

  it("refuses the log when its records do not give the signed root", async () => {
    damaged(() => {
      forge(3);
      remove("frontier")();
    });
    expect(await outcomeOfOpening()).toMatchObject({ code: "LOG-FORK" });
    expect(machine.signed()?.size).toBe(EVENTS);
  });

  it("refuses an older copy of the log", async () => {
    const older = new AuditMachine("damage");
    const process = await older.open();
    await older.env.until(older.work(process, 300));
    await older.close(process);
    const copy = older.disk.image();
    const putBack = (): void => {
      for (const path of machine.disk.paths()) if (path.startsWith(`${LOG}/`)) machine.disk.remove(path);
      for (const [path, bytes] of copy) if (path.startsWith(`${LOG}/`)) machine.disk.put(path, bytes);
    };
    damaged(putBack);
    expect(await outcomeOfOpening()).toMatchObject({
      code: "LOG-TAIL-LOST",
      details: { witness: expect.stringContaining(AUDIT), seen: EVENTS, end: 300 },
    });
    damaged(() => {
      putBack();
      remove("frontier")();
    });
    expect(await outcomeOfOpening()).toMatchObject({ code: "AUDIT-AHEAD" });
  });

  it.each([
    ["a damaged checkpoint", flip("checkpoint", 50), "AUDIT-CHECKPOINT"],
    ["a missing key", remove("signing-key.pem"), "AUDIT-KEY"],
    ["a damaged key", flip("signing-key.pem", 40), "AUDIT-KEY"],
    ["a key of another pair", flip("verifier-key", 60), "AUDIT-KEY"],
  ] as const)("goes on without signing for %s", async (_what, damage, code) => {
    damaged(damage);
    const kept = machine.text("checkpoint");
    expect(await outcomeOfOpening()).toEqual({ state: "failed", rebuilt: undefined, failure: code });
    expect(machine.text("checkpoint")).toBe(kept);
  });

  it("begins the tree of another log beside this one", async () => {
    damaged(() => {
      for (const path of machine.disk.paths()) if (path.startsWith(`${LOG}/`)) machine.disk.remove(path);
    });
    const process = await machine.open();
    await machine.env.until(machine.work(process, 5));
    await machine.close(process);
    expect(new Set(machine.paths().map((path) => path.slice(AUDIT.length + 1).split("/")[0])).size).toBe(2);
  });
});
