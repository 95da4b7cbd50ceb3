import { createHash } from "node:crypto";
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

const cut = (name: string, bytes: number) => (): void => {
  const path = machine.path(name);
  machine.disk.put(path, machine.disk.bytesOf(path).slice(0, bytes));
};

interface WrittenFrontier {
  format: number;
  edge: string[];
}

/** Changes the frontier as somebody would who knows its format: its digest is right again. */
function forgeFrontier(change: (frontier: WrittenFrontier) => void): void {
  const frontier = JSON.parse(machine.text("frontier")?.split("\n")[1] ?? "") as WrittenFrontier;
  change(frontier);
  const json = JSON.stringify(frontier);
  const text = `${createHash("sha256").update(json).digest("hex")}\n${json}\n`;
  machine.disk.put(machine.path("frontier"), Buffer.from(text));
}

const forgeEdge = (level: number, at: number) => (): void =>
  forgeFrontier(({ edge }) => {
    const hashes = Buffer.from(edge[level] ?? "", "base64");
    hashes[at] = (hashes[at] as number) ^ 1;
    edge[level] = hashes.toString("base64");
  });

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
    ["a flipped bit of a full tile", flip("level-0", 8192 + 32 * 10 + 5), "AUDIT-TILE", 266, /level-0$/],
    ["a changed bit of a partial tile", forgeEdge(0, 0), "AUDIT-TILE", 512, /frontier$/],
    ["a changed bit above the leaves", forgeEdge(1, 40), "AUDIT-TILE", 256, /frontier$/],
    ["missing tiles", remove("level-0"), "AUDIT-TILE", 0, /level-0$/],
    ["a tile that is cut", cut("level-0", 2 * 8192 - 1), "AUDIT-TILE", 256, /level-0$/],
    ["a flipped bit of the frontier", flip("frontier", 70), "AUDIT-TILE", undefined, /frontier$/],
    ["a missing frontier", remove("frontier"), "AUDIT-TILE", undefined, /frontier$/],
    ["a flipped bit of the checkpoint", flip("checkpoint", 50), "AUDIT-CHECKPOINT", undefined, /checkpoint$/],
    ["a missing checkpoint", remove("checkpoint"), "AUDIT-CHECKPOINT", undefined, /checkpoint$/],
  ] as const)("%s, and names it", async (_what, damage, code, position, file) => {
    damaged(damage);
    const { findings } = await machine.verify();
    expect(findings[0]).toMatchObject({ code, file: expect.stringMatching(file) });
    expect(findings[0]?.position).toBe(position);
  });

  it("one thing where the frontier is lost, and still the first record that was changed", async () => {
    damaged(remove("frontier"));
    expect((await machine.verify()).findings).toHaveLength(1);
    damaged(() => {
      remove("frontier")();
      forge(300);
    });
    expect((await machine.verify()).findings[0]).toMatchObject({ code: "LOG-FORK", position: 300 });
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
    ["a damaged edge", forgeEdge(0, 0), /tiles do not give the root/],
    ["a damaged edge above the leaves", forgeEdge(1, 63), /tiles do not give the root/],
    ["a cut edge", () => forgeFrontier(({ edge }) => edge.pop()), /a tile of the tree of 700 records is missing/],
    ["missing tiles", remove("level-0"), /level-0 is missing or too short/],
    ["cut tiles", cut("level-0", 2 * 8192 - 1), /level-0 is missing or too short/],
    ["a damaged frontier", flip("frontier", 70), /frontier is damaged/],
    [
      "a frontier of an earlier version",
      () =>
        forgeFrontier((frontier) => {
          frontier.format = 1;
        }),
      /of an earlier version/,
    ],
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

  it("makes the tree again as often as it is cut off while it does, and signs nothing else", async () => {
    const key = machine.text("verifier-key");
    const kept = machine.text("checkpoint");
    const seen = new Set<string>();
    for (let cutMs = 260; cutMs <= 350; cutMs += 5) {
      damaged(() => {
        flip("frontier", 70)();
        flip("level-0", 8192)();
      });
      const opening = machine.open();
      machine.env.timers.after(cutMs, () => machine.disk.powerCut());
      await opening.catch(() => undefined);
      await machine.env.advance(cutMs);
      const frontier = machine.paths().some((path) => path.endsWith("/frontier"));
      const tiles = machine.disk.bytesOf(machine.path("level-0"))[8192] === whole.get(machine.path("level-0"))?.[8192];
      seen.add(`${frontier ? "frontier" : "none"}, ${tiles ? "new" : "damaged"} tiles`);
      expect(machine.text("checkpoint")).toBe(kept);
      expect(await outcomeOfOpening()).toMatchObject({ state: "live", failure: undefined });
      expect(machine.text("verifier-key")).toBe(key);
      expect(await machine.verify(kept)).toMatchObject({ verified: EVENTS, findings: [] });
    }
    expect([...seen].sort()).toEqual([
      "frontier, damaged tiles",
      "frontier, new tiles",
      "none, damaged tiles",
      "none, new tiles",
    ]);
  }, 60_000);

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
