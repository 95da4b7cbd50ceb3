import { storedRecords } from "@millrace/engine";
import { gather, SimulatedMount, sampleEvents, to } from "@millrace/engine/testing";
import { describe, expect, it } from "vitest";
import { type AcceptedLoss, acceptLoss } from "../../src/embedded/accept-loss.ts";
import { assessLoss, type Loss } from "../../src/embedded/loss.ts";
import { openStoredLog } from "../../src/embedded/open-stored-log.ts";
import { type ScrubReport, scrubLog } from "../../src/embedded/scrub-log.ts";
import { ARCHIVE_ALL } from "./archived-log.ts";
import { DIRECTORY, LogMachine, type LogProcess } from "./log-machine.ts";

const SEGMENT_BYTES = 32 * 1024;
const APPENDS = 30;
const APPEND_EVENTS = 4;
const END = APPENDS * APPEND_EVENTS;
const BY = { principal: "ann", reason: "the disk died" };
const MANIFEST = `${DIRECTORY}/MANIFEST`;

/** A closed log of several segments: append `i` has four events of `stream-(i % 3)`, a block for each append. */
class Scene {
  readonly machine: LogMachine;
  logId = "";

  constructor(seed: string) {
    this.machine = new LogMachine(seed, { open: { segmentBytes: SEGMENT_BYTES, bufferBytes: SEGMENT_BYTES } });
  }

  static async make(seed = "loss"): Promise<Scene> {
    const scene = new Scene(seed);
    const process = await scene.machine.open();
    scene.logId = process.log.id;
    for (let i = 0; i < APPENDS; i++) {
      const events = sampleEvents(APPEND_EVENTS, { payload: Buffer.from(`append ${i} ${"x".repeat(300)}`) });
      await scene.machine.env.until(process.log.append(to(`stream-${i % 3}`, events)));
    }
    await scene.machine.close(process);
    return scene;
  }

  /** Where the payload of append `i` is first. */
  placeOf(append: number): { readonly path: string; readonly at: number; readonly serial: number } {
    for (let serial = 1; serial < 20; serial++) {
      const path = this.machine.segment(serial);
      if (!this.machine.disk.paths().includes(path)) continue;
      const at = Buffer.from(this.machine.disk.bytesOf(path)).indexOf(`append ${append} `);
      if (at >= 0) return { path, at, serial };
    }
    throw new Error(`append ${append} is nowhere`);
  }

  flip(append: number): void {
    const { path, at } = this.placeOf(append);
    this.machine.disk.flipBit(path, at + 10, 3);
  }

  get options(): Parameters<typeof assessLoss>[0] {
    return { disk: new SimulatedMount(this.machine.disk), directory: DIRECTORY, seenEnd: async () => 0 };
  }

  async loss(): Promise<Loss | undefined> {
    return (await this.machine.env.until(assessLoss(this.options)))?.loss;
  }

  accept(): Promise<AcceptedLoss | undefined> {
    return this.machine.env.until(acceptLoss({ ...this.options, env: this.machine.env, by: BY }));
  }

  scrub(): Promise<ScrubReport> {
    return this.machine.env.until(scrubLog({ ...this.options, pause: async () => undefined }));
  }

  /** Every stored record of `[0, end)`, as text. */
  async records(end: number): Promise<readonly string[]> {
    const reading = async (): Promise<readonly string[]> => {
      const log = await openStoredLog(new SimulatedMount(this.machine.disk), DIRECTORY);
      const records: string[] = [];
      for await (const batch of log.readStored(log.base, end))
        for (const { position, header, payload } of storedRecords(batch))
          records.push(`${position} ${Buffer.concat([header, payload]).toString("base64")}`);
      return records;
    };
    return this.machine.env.until(reading());
  }

  async append(process: LogProcess, stream: string): Promise<{ readonly position: number; readonly revision: number }> {
    const { position, revisions } = await this.machine.env.until(process.log.append(to(stream, sampleEvents(1, {}))));
    return { position, revision: revisions[0] ?? -1 };
  }
}

/** Opens the log that was cut at `from`: it has what was kept, goes on from there, and says what happened. */
async function goesOn(scene: Scene, accepted: AcceptedLoss | undefined, whole: readonly string[]): Promise<void> {
  expect(accepted).toBeDefined();
  const { from, newLogId } = accepted as AcceptedLoss;
  expect(await scene.loss()).toBeUndefined();
  expect((await scene.scrub()).findings).toEqual([]);
  expect(await scene.records(from)).toEqual(whole.filter((record) => Number(record.split(" ")[0]) < from));
  const opened = await scene.machine.open();
  expect([opened.log.id, opened.log.durableEnd]).toEqual([newLogId, from]);
  expect(newLogId).not.toBe(scene.logId);
  for (let i = 0; i < 40; i++) {
    const { position } = await scene.append(opened, `stream-${i % 3}`);
    expect(position).toBe(from + i);
  }
  const told = await scene.machine.env.until(gather(opened.log.read({ filter: { types: ["$truncated"] } })));
  expect(told.map(({ position, stream }) => [position, stream])).toEqual([[from, "$log"]]);
  expect(JSON.parse(Buffer.from(told[0]?.payload ?? []).toString("utf8"))).toMatchObject({
    from,
    formerId: scene.logId,
    by: BY,
  });
  await scene.machine.close(opened);
  // The second opening tells nothing again, and finds the same.
  const before = await scene.records(from + 40);
  const again = await scene.machine.open();
  expect([again.log.id, again.log.durableEnd]).toEqual([newLogId, from + 40]);
  await scene.machine.close(again);
  expect(await scene.records(from + 40)).toEqual(before);
  expect((await scene.scrub()).findings).toEqual([]);
}

describe("a loss is known before it is accepted", () => {
  it("and there is none in a log that is whole", async () => {
    const scene = await Scene.make();
    expect(scene.placeOf(APPENDS - 1).serial).toBeGreaterThan(3);
    expect(await scene.loss()).toBeUndefined();
    const image = scene.machine.disk.image();
    expect(await scene.accept()).toBeUndefined();
    expect([...scene.machine.disk.image()].filter(([path]) => !path.endsWith("LOCK"))).toEqual(
      [...image].filter(([path]) => !path.endsWith("LOCK")),
    );
  });

  it("nor in one that went on after a clean stop with a seal, and died before the block behind it", async () => {
    const scene = await Scene.make();
    const { machine } = scene;
    const process = await machine.open();
    await machine.env.advance(500);
    machine.disk.failNext("write", "ENOSPC", { skip: 1, path: /\.seg$/ });
    const large = to("stream-0", sampleEvents(1, { payload: Buffer.alloc(24_000, "x") }));
    await expect(machine.env.until(process.log.append(large))).rejects.toMatchObject({ code: "LOG-UNKNOWN" });
    machine.kill(process);
    expect(await scene.loss()).toBeUndefined();
    expect((await machine.open()).log.durableEnd).toBe(END);
  });

  it.each<[what: string, damage: (scene: Scene) => void, code: string, outcome: string, expected: Partial<Loss>]>([
    [
      "a flipped bit in the middle",
      (scene) => scene.flip(10),
      "LOG-CORRUPT",
      "opened",
      { from: 40, to: END, unreadable: 1 },
    ],
    [
      "a flipped bit in the last block",
      (scene) => scene.flip(APPENDS - 1),
      "LOG-CORRUPT",
      "LOG-CORRUPT",
      {
        from: END - 4,
        to: END,
        unreadable: 1,
        bytes: 4096,
        streams: [{ stream: "stream-2", events: 3, fromRevision: 37 }],
      },
    ],
    [
      "a missing segment",
      (scene) => scene.machine.disk.remove(scene.machine.segment(2)),
      "LOG-MANIFEST",
      "LOG-MANIFEST",
      { to: END },
    ],
    [
      "a segment whose header is damaged",
      (scene) => scene.machine.disk.flipBit(scene.machine.segment(3), 20, 0),
      "LOG-MANIFEST",
      "LOG-MANIFEST",
      { to: END, unreadable: 0 },
    ],
    [
      "a missing first segment",
      (scene) => scene.machine.disk.remove(scene.machine.segment(1)),
      "LOG-MANIFEST",
      "LOG-MANIFEST",
      { from: 0, to: END },
    ],
    [
      "a flipped manifest",
      (scene) => scene.machine.disk.flipBit(MANIFEST, 100, 1),
      "LOG-MANIFEST",
      "LOG-MANIFEST",
      { from: END, to: END, streams: [], bytes: 0, unreadable: 0 },
    ],
    [
      "a manifest that is gone, and a flipped bit",
      (scene) => {
        scene.machine.disk.remove(MANIFEST);
        scene.flip(20);
      },
      "LOG-MANIFEST",
      "LOG-MANIFEST",
      { from: 80, to: END, unreadable: 1 },
    ],
    [
      "an end that is gone though it was there at the last stop",
      (scene) => {
        const { path, at } = scene.placeOf(APPENDS - 1);
        scene.machine.disk.damage(path, (bytes) => void bytes.fill(0, at - (at % 4096)));
      },
      "LOG-TAIL-LOST",
      "LOG-TAIL-LOST",
      { from: END - 4, to: END, unreadable: 4, streams: [], bytes: 0 },
    ],
    [
      "a prepared segment that is gone, with which nothing is lost",
      (scene) => {
        const last =
          scene.machine.disk
            .paths()
            .filter((path) => path.endsWith(".seg"))
            .sort()
            .at(-1) ?? "";
        scene.machine.disk.remove(last);
      },
      "LOG-MANIFEST",
      "LOG-MANIFEST",
      { from: END, to: END, streams: [] },
    ],
  ])("%s", async (_what, damage, code, outcome, expected) => {
    const scene = await Scene.make();
    const whole = await scene.records(END);
    damage(scene);
    scene.machine.forgetWitnesses();
    // Records of sealed segments are read by a scrub and by reads, not by an opening.
    if (outcome !== "opened") expect(await scene.machine.outcomeOfOpening()).toBe(outcome);
    const loss = await scene.loss();
    expect(loss).toMatchObject({ code, logId: scene.logId, ...expected });
    const counted = loss?.streams.reduce((sum, { events }) => sum + events, 0) ?? 0;
    expect(counted + (loss?.unreadable ?? 0)).toBe((loss?.to ?? 0) - (loss?.from ?? 0));
    const before = new Map(scene.machine.disk.image());
    const accepted = await scene.accept();
    expect(accepted).toMatchObject(loss ?? {});
    // What is cut is put aside, byte for byte.
    for (const path of scene.machine.disk.paths()) {
      if (!path.startsWith(`${accepted?.aside}/`)) continue;
      const name = path.slice(path.lastIndexOf("/") + 1);
      expect(
        Buffer.from(scene.machine.disk.bytesOf(path)).equals(before.get(`${DIRECTORY}/${name}`) ?? Buffer.of()),
      ).toBe(true);
    }
    await goesOn(scene, accepted, whole);
  });
});

describe("a loss that was accepted", () => {
  it("leaves a log whose streams go on behind what was kept, with names given again", async () => {
    const scene = await Scene.make();
    scene.flip(10);
    await scene.accept();
    const opened = await scene.machine.open();
    // Appends 1, 4 and 7 were kept of this stream.
    expect(await scene.append(opened, "stream-1")).toEqual({ position: 40, revision: 12 });
    expect(await scene.append(opened, "another")).toEqual({ position: 41, revision: 0 });
    const events = await scene.machine.env.until(gather(opened.log.readStream("another", {})));
    expect(events.map(({ stream, position }) => [stream, position])).toEqual([["another", 41]]);
    await scene.machine.close(opened);
  });

  it("can be followed by another, in the same segment and in another", async () => {
    const scene = await Scene.make();
    const first = scene.logId;
    for (const [append, from] of [
      [20, 80],
      [18, 72],
      [3, 12],
    ] as const) {
      scene.flip(append);
      const accepted = await scene.accept();
      expect(accepted).toMatchObject({ from, logId: scene.logId });
      scene.logId = accepted?.newLogId ?? "";
      expect(await scene.machine.outcomeOfOpening()).toBe("opened");
    }
    expect(scene.logId).not.toBe(first);
    await scene.machine.env.until(scene.machine.start().opening.then(({ log }) => log.close()));
    expect((await scene.scrub()).findings).toEqual([]);
  });

  it("of a log that has an archive keeps the archive", async () => {
    const scene = await Scene.make();
    const opened = await scene.machine.open();
    await scene.machine.env.until(opened.log.indexed());
    const { segments } = await scene.machine.env.until(
      opened.log.retention.archive({ ...ARCHIVE_ALL, beforeMs: Number.POSITIVE_INFINITY }),
    );
    expect(segments.length).toBeGreaterThan(1);
    await scene.machine.close(opened);
    const whole = await scene.records(END);
    scene.flip(APPENDS - 1);
    await goesOn(scene, await scene.accept(), whole);
    scene.machine.disk.flipBit(MANIFEST, 100, 1);
    const { code, from, to, newLogId } = (await scene.accept()) ?? {};
    expect({ code, lost: (to ?? 0) - (from ?? 0) }).toEqual({ code: "LOG-MANIFEST", lost: 0 });
    scene.logId = newLogId ?? "";
    expect(await scene.machine.outcomeOfOpening()).toBe("opened");
    expect((await scene.scrub()).findings).toEqual([]);
  });

  it("may be interrupted at any moment and begun again", async () => {
    const outcomes = new Set<string>();
    for (let cutMs = 0; !outcomes.has("done") && cutMs < 2000; cutMs += 1 + Math.floor(cutMs / 10)) {
      const scene = await Scene.make("interrupted");
      const whole = await scene.records(END);
      scene.flip(10);
      const process = scene.machine.env.process("repair");
      const disk = new SimulatedMount(scene.machine.disk);
      const accepting = acceptLoss({ ...scene.options, disk, env: process.env, by: BY });
      accepting.catch(() => undefined);
      await scene.machine.env.advance(cutMs);
      process.kill();
      scene.machine.disk.powerCut();
      const loss = await scene.loss();
      outcomes.add(loss === undefined ? "done" : loss.code);
      if (loss !== undefined) expect(loss.from).toBe(40);
      const accepted = await scene.accept();
      scene.machine.forgetWitnesses();
      const opened = await scene.machine.open();
      expect([opened.log.durableEnd, loss === undefined]).toEqual([40, accepted === undefined]);
      expect(opened.log.id).not.toBe(scene.logId);
      await scene.machine.close(opened);
      expect(await scene.records(40)).toEqual(whole.filter((record) => Number(record.split(" ")[0]) < 40));
    }
    // As it was, then without what was put aside, then cut.
    expect([...outcomes].sort()).toEqual(["LOG-CORRUPT", "done"]);
  });

  it("is refused while the log is open", async () => {
    const scene = await Scene.make();
    const opened = await scene.machine.open();
    await expect(scene.accept()).rejects.toMatchObject({ code: "LOG-LOCKED" });
    await scene.machine.close(opened);
  });
});
