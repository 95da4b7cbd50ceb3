import { describe, expect, it } from "vitest";
import { DIRECTORY, LogMachine } from "./log-machine.ts";
import { gather, LogModel } from "./log-model.ts";
import { LogWorkload } from "./log-workload.ts";

const PAGE = 4096;
const SECTOR = 512;
const MANIFEST = `${DIRECTORY}/MANIFEST`;
/** `LOG_FLIP_STRIDE=1` flips every byte; the short form every 97th. */
const FLIP_STRIDE = Number(process.env.LOG_FLIP_STRIDE ?? 97);
const MINUTES_MS = 60_000;

interface Written {
  readonly machine: LogMachine;
  readonly model: LogModel;
  /** Where the last block begins, its records end, and it ends, in its segment. */
  readonly from: number;
  readonly recordsEnd: number;
  readonly to: number;
  readonly serial: number;
}

/** A log whose last block has `payload`; killed, and without an index, so that nothing else knows its end. */
async function written(payload: Uint8Array, before: readonly number[] = [100]): Promise<Written> {
  const machine = new LogMachine("damage");
  const model = new LogModel();
  const workload = new LogWorkload(machine, model);
  const process = await machine.open();
  await machine.env.advance(100);
  let place = { serial: 1, offset: PAGE };
  for (const bytes of [...before.map((length) => machine.env.random.bytes(length)), payload]) {
    const append = [{ stream: "a", expected: "any" as const, events: [workload.event(bytes)] }];
    const number = model.ask(append);
    const serial = process.log.health.activeSegment;
    place = { serial, offset: usedEnd(machine, serial) };
    model.acknowledge(number, await machine.env.until(process.log.append(append)));
    await machine.env.advance(50);
    if (process.log.health.activeSegment !== serial) place = { serial: process.log.health.activeSegment, offset: PAGE };
  }
  machine.kill(process);
  machine.forgetWitnesses();
  const from = place.offset;
  const bytes = Buffer.from(machine.disk.bytesOf(machine.segment(place.serial)));
  const recordsEnd = from + bytes.readUInt32LE(from + 36);
  return { machine, model, serial: place.serial, from, recordsEnd, to: usedEnd(machine, place.serial) };
}

function usedEnd(machine: LogMachine, serial: number): number {
  const bytes = machine.disk.bytesOf(machine.segment(serial));
  let end = bytes.length;
  while (end > PAGE && bytes.subarray(end - PAGE, end).every((byte) => byte === 0)) end -= PAGE;
  return end;
}

describe("the last block", () => {
  it("is cut when any sector of its records is missing", async () => {
    const { from, recordsEnd } = await written(new Uint8Array(9000).fill(7));
    for (let at = from; at < recordsEnd; at += SECTOR) {
      const { machine } = await written(new Uint8Array(9000).fill(7));
      machine.disk.damage(machine.segment(1), (bytes) => bytes.fill(0, at, at + SECTOR));
      const { log } = await machine.open();
      expect(log.durableEnd, `sector at ${at}`).toBe(1);
      expect(log.health.tailCut).toMatchObject({ cutFrom: 1 });
    }
  });

  it("stays when only its padding is missing, and gets it back, so that it does not look torn later", async () => {
    const { machine, model, from, recordsEnd, to } = await written(new Uint8Array(8800).fill(7));
    const padding = Math.ceil(recordsEnd / SECTOR) * SECTOR;
    expect(padding).toBeLessThan(to);
    machine.disk.damage(machine.segment(1), (bytes) => bytes.fill(0, padding, to));
    const process = await machine.open();
    await machine.env.until(model.check(process.log));
    expect(model.violations).toEqual([]);
    machine.kill(process);
    machine.forgetWitnesses();
    machine.disk.flipBit(machine.segment(1), from + 1000);
    expect(await machine.outcomeOfOpening()).toBe("LOG-CORRUPT");
  });

  it("is refused, not cut, when a bit of any sector of its records flips", async () => {
    const { from, recordsEnd } = await written(new Uint8Array(9000).fill(7));
    for (let at = from; at + SECTOR < recordsEnd; at += SECTOR) {
      const { machine } = await written(new Uint8Array(9000).fill(7));
      const before = machine.disk.bytesOf(machine.segment(1));
      machine.disk.flipBit(machine.segment(1), at + 33, 3);
      expect(await machine.outcomeOfOpening(), `sector at ${at}`).toBe("LOG-CORRUPT");
      machine.disk.flipBit(machine.segment(1), at + 33, 3);
      expect(Buffer.compare(machine.disk.bytesOf(machine.segment(1)), before)).toBe(0);
    }
  });

  it("may be full of zeros: still whole, still refused when a bit flips", async () => {
    const whole = await written(new Uint8Array(9000));
    expect((await whole.machine.open()).log.durableEnd).toBe(2);
    const flipped = await written(new Uint8Array(9000));
    flipped.machine.disk.flipBit(flipped.machine.segment(1), flipped.from + 5000);
    expect(await flipped.machine.outcomeOfOpening()).toBe("LOG-CORRUPT");
  });

  it("is named with file, offset and position when it is refused", async () => {
    const { machine, from } = await written(new Uint8Array(100).fill(7));
    machine.disk.flipBit(machine.segment(1), from + 300);
    await expect(machine.open()).rejects.toMatchObject({
      code: "LOG-CORRUPT",
      place: { file: machine.segment(1), position: 1 },
      details: { offset: from },
    });
  });
});

describe("files", () => {
  type Damage = (machine: LogMachine, older: Map<string, Uint8Array>, other: LogMachine) => void;
  const cut =
    (path: (machine: LogMachine) => string, bytes: number): Damage =>
    (machine) => {
      const whole = machine.disk.bytesOf(path(machine));
      machine.disk.put(path(machine), whole.subarray(0, whole.length - bytes));
    };
  const segment = (serial: number) => (machine: LogMachine) => machine.segment(serial);
  const swap =
    (a: number, b: number): Damage =>
    ({ disk, ...machine }) => {
      const paths = [a, b].map((serial) => LogMachine.prototype.segment.call(machine, serial)) as [string, string];
      const [first, second] = paths.map((path) => disk.bytesOf(path)) as [Uint8Array, Uint8Array];
      disk.put(paths[0], second);
      disk.put(paths[1], first);
    };
  const cases: readonly (readonly [string, Damage, string])[] = [
    ["a sealed segment is missing", (m) => m.disk.remove(m.segment(1)), "LOG-MANIFEST"],
    ["the active segment is missing", (m) => m.disk.remove(m.segment(3)), "LOG-MANIFEST"],
    ["the prepared segment is missing", (m) => m.disk.remove(m.segment(4)), "LOG-MANIFEST"],
    ["a sealed segment is a byte short", cut(segment(1), 1), "LOG-MANIFEST"],
    ["a sealed segment is a page short", cut(segment(1), PAGE), "LOG-MANIFEST"],
    ["the active segment is a byte short", cut(segment(3), 1), "LOG-MANIFEST"],
    ["two segments are swapped", swap(1, 2), "LOG-MANIFEST"],
    ["the active and the prepared segment are swapped", swap(3, 4), "LOG-MANIFEST"],
    [
      "a segment is another log's",
      (m, _, other) => m.disk.put(m.segment(2), other.disk.bytesOf(other.segment(2))),
      "LOG-MANIFEST",
    ],
    [
      "the active segment is an older copy",
      (m, older) => m.disk.put(m.segment(3), older.get(m.segment(3)) as Uint8Array),
      "LOG-TAIL-LOST",
    ],
    [
      "a sealed segment is an older copy",
      (m, older) => m.disk.put(m.segment(2), older.get(m.segment(2)) as Uint8Array),
      "LOG-MANIFEST",
    ],
    ["the manifest is missing", (m) => m.disk.remove(MANIFEST), "LOG-MANIFEST"],
    ["the manifest is empty", (m) => m.disk.put(MANIFEST, new Uint8Array(0)), "LOG-MANIFEST"],
    ["a bit of the manifest flips", (m) => m.disk.flipBit(MANIFEST, 60), "LOG-MANIFEST"],
    [
      "the manifest is an older one",
      (m, older) => m.disk.put(MANIFEST, older.get(MANIFEST) as Uint8Array),
      "LOG-MANIFEST",
    ],
    ["a bit of a segment's header flips", (m) => m.disk.flipBit(m.segment(3), 20), "LOG-MANIFEST"],
    [
      "the seal of a listed segment changes",
      (m) => m.disk.flipBit(m.segment(1), usedEnd(m, 1) - PAGE + 70),
      "LOG-MANIFEST",
    ],
    [
      "the prepared segment is in use",
      (m) => m.disk.damage(m.segment(4), (bytes) => bytes.fill(1, PAGE, PAGE + 64)),
      "LOG-CORRUPT",
    ],
  ];

  /** Three segments and a prepared one, closed, with copies of every file from when the third was nearly new. */
  async function threeSegments(seed: string): Promise<{ machine: LogMachine; older: Map<string, Uint8Array> }> {
    const machine = new LogMachine(seed);
    const workload = new LogWorkload(machine, new LogModel());
    const process = await machine.open();
    const older = new Map<string, Uint8Array>();
    const keep = (path: string): void => {
      if (!older.has(path)) older.set(path, machine.disk.bytesOf(path));
    };
    for (let i = 0; i < 19; i++) {
      await machine.env.advance(50);
      const event = workload.event(machine.env.random.bytes(7000));
      await machine.env.until(process.log.append([{ stream: "a", expected: "any", events: [event] }]));
      keep(MANIFEST);
      keep(machine.segment(process.log.health.activeSegment));
    }
    await machine.env.until(process.log.indexed());
    expect(process.log.health.activeSegment).toBe(3);
    await machine.close(process);
    return { machine, older };
  }

  for (const [title, damage, code] of cases) {
    it(`are refused with ${code} when ${title}`, async () => {
      const { machine, older } = await threeSegments("files");
      const other = await threeSegments("other");
      damage(machine, older, other.machine);
      expect(await machine.outcomeOfOpening()).toBe(code);
    });
  }

  it("of a log that is fine open", async () => {
    const { machine } = await threeSegments("files");
    expect(await machine.outcomeOfOpening()).toBe("opened");
  });
});

describe("any flipped byte", () => {
  it(
    "is refused or harmless: no read gives other bytes, nothing acknowledged is silently gone",
    async () => {
      const pristine = await written(new Uint8Array(2000).fill(9), [100, 3000]);
      const outcomes = { refused: 0, harmless: 0 };
      for (let at = 0; at < pristine.to + PAGE; at += FLIP_STRIDE) {
        const { machine, model } = await written(new Uint8Array(2000).fill(9), [100, 3000]);
        machine.disk.flipBit(machine.segment(1), at, at % 8);
        const outcome = await machine.outcomeOfOpening();
        if (outcome !== "opened") {
          expect(["LOG-CORRUPT", "LOG-MANIFEST", "LOG-SCHEMA"], `byte ${at}`).toContain(outcome);
          outcomes.refused++;
          continue;
        }
        const { log } = await machine.open();
        await machine.env.until(gather(log.read()));
        await machine.env.until(model.check(log));
        expect(model.violations, `byte ${at}`).toEqual([]);
        outcomes.harmless++;
      }
      expect(Math.min(outcomes.refused, outcomes.harmless)).toBeGreaterThan(10);
    },
    30 * MINUTES_MS,
  );
});
