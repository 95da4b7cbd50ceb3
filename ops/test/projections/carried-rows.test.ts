/** Projections on a log that was pruned: what was carried of their rows is as good as the events that went. */
import { type CarriedStream, type EventLog, systemEnv } from "@millrace/engine";
import { sampleEvent, to } from "@millrace/engine/testing";
import { defineProjection, type Projection, type ProjectionRunner, projectionRunner } from "@millrace/projections";
import { memoryEventLog, memoryOrderedStore } from "@millrace/streams/memory";
import { afterEach, describe, expect, it } from "vitest";

const env = systemEnv();
const EVENTS = 60;
const BASE = 40;

const open: ProjectionRunner[] = [];
afterEach(async () => {
  for (const runner of open.splice(0)) await runner.stop();
});

/** Adds numbers up by name, so that an event that is folded twice, or not at all, shows. */
function sums(overrides: Partial<Projection> = {}): Projection {
  return defineProjection({
    name: "sums",
    version: 1,
    handles: { types: ["Added"] },
    key: ["name"],
    index: "code",
    fold(rows, { payload, position }) {
      const { name, n } = JSON.parse(Buffer.from(payload).toString()) as { name: string; n: number };
      if (n < 0) throw new Error("a negative number");
      const sum = ((rows.get(name)?.sum ?? 0) as number) + n;
      rows.put({ name, code: `c-${name}`, sum, last: position });
    },
    ...overrides,
  });
}

const everyRow = (overrides: Partial<Projection> = {}): Projection =>
  sums({ name: "all", key: [], fold: (rows, { position }) => rows.put({ position }), ...overrides });

async function filled(numberOf = (i: number): number => i): Promise<EventLog> {
  const log = memoryEventLog({ env });
  for (let i = 0; i < EVENTS; i++) {
    const payload = Buffer.from(JSON.stringify({ name: `n${i % 7}`, n: numberOf(i) }));
    await log.append(to("s", sampleEvent({ type: "Added", payload })));
  }
  return log;
}

function run(log: EventLog, projections: readonly Projection[]): ProjectionRunner {
  const runner = projectionRunner({ log, store: memoryOrderedStore(), projections, env, lingerMs: 0 });
  open.push(runner);
  runner.start();
  return runner;
}

/** The log without what is below `base`, and with what was carried of it. */
async function pruned(log: EventLog, base: number, projections: readonly Projection[]): Promise<EventLog> {
  const { carries, release } = await run(log, projections).carry(base);
  const carried = new Map<string, CarriedStream>(
    carries.map(({ stream, revision, state }) => [stream, { revision, events: [], state }]),
  );
  await release?.();
  const gone = (from = 0): void => {
    if (from < base) throw new Error(`LOG-PRUNED ${from}`);
  };
  return {
    ...log,
    id: log.id,
    appendBytesMax: log.appendBytesMax,
    get durableEnd() {
      return log.durableEnd;
    },
    base,
    append: (appends) => log.append(appends),
    head: (stream) => log.head(stream),
    readStream: (stream, options) => log.readStream(stream, options),
    carried: async (stream) => carried.get(stream),
    read(options) {
      gone(options?.from);
      return log.read(options);
    },
    subscribe(options) {
      gone(options.from);
      return log.subscribe(options);
    },
    close: () => log.close(),
  };
}

async function rowsOf(runner: ProjectionRunner, name = "sums", asOf?: number): Promise<readonly unknown[]> {
  await runner.reached(EVENTS);
  return (await runner.query(name, { limit: 1000, ...(asOf === undefined ? {} : { asOf }) })).rows;
}

describe("a projection that is made again on a pruned log", () => {
  it("has the rows that it has on the whole log, now and as of every position that can be read", async () => {
    const log = await filled();
    const whole = run(log, [sums()]);
    const left = run(await pruned(log, BASE, [sums()]), [sums()]);
    expect(await rowsOf(left)).toEqual(await rowsOf(whole));
    for (const asOf of [BASE, BASE + 1, EVENTS - 1, EVENTS])
      expect(await rowsOf(left, "sums", asOf)).toEqual(await rowsOf(whole, "sums", asOf));
    await expect(rowsOf(left, "sums", BASE - 1)).rejects.toThrow("LOG-PRUNED");
    expect(left.find("sums", "c-n3")).toEqual(whole.find("sums", "c-n3"));
    await left.rebuild("sums");
    expect(await rowsOf(left)).toEqual(await rowsOf(whole));
  });

  it("has them after a second prune, too", async () => {
    const log = await filled();
    const once = await pruned(log, 20, [sums()]);
    const twice = run(await pruned(once, BASE, [sums()]), [sums()]);
    expect(await rowsOf(twice)).toEqual(await rowsOf(run(log, [sums()])));
  });

  it("begins with what is left if its rows have no key, or are of another version than was carried", async () => {
    const log = await filled();
    const left = await pruned(log, BASE, [sums(), everyRow()]);
    const runner = run(left, [everyRow(), sums({ version: 2 })]);
    expect(await rowsOf(runner, "all")).toHaveLength(EVENTS - BASE);
    const rows = (await rowsOf(runner)) as readonly { readonly name: string; readonly sum: number }[];
    const expected = Array.from({ length: EVENTS }, (_, i) => i).filter((i) => i >= BASE && i % 7 === 0);
    expect(rows.find(({ name }) => name === "n0")?.sum).toBe(expected.reduce((a, b) => a + b));
  });
});

it("an event that a projection cannot fold is named, so that it does not go", async () => {
  const log = await filled((i) => (i === 30 ? -1 : i));
  const { refused } = await run(log, [sums(), everyRow()]).carry(BASE);
  expect(refused).toMatchObject([{ projection: "sums", position: 30, error: { message: "a negative number" } }]);
  expect((await run(log, [sums()]).carry(30)).refused).toEqual([]);
  const unkeyed = everyRow({
    fold(rows, { position }) {
      if (position === 30) throw new Error("a position too far");
      rows.put({ position });
    },
  });
  expect(await run(log, [unkeyed]).carry(BASE)).toMatchObject({ carries: [], refused: [{ position: 30 }] });
});

it("many rows are carried in parts of a bounded size, which are made one at a time", async () => {
  const many = sums({
    fold(rows, { position }) {
      for (let i = 0; i < 100; i++)
        rows.put({ name: `${position}-${i}`, code: `${position}-${i}`, text: "x".repeat(40) });
    },
  });
  const log = await filled();
  const { carries, release } = await run(log, [many]).carry(EVENTS);
  const [head, ...parts] = carries;
  const sizes = parts.map(({ state }) => state?.length ?? 0);
  // A row, and one for its index.
  expect(parts.length).toBe(Math.ceil((EVENTS * 100 * 2) / 1024));
  expect(Math.max(...sizes)).toBeLessThan(300 * 1024);
  expect(head?.state?.length).toBeLessThan(1000);
  // Nobody keeps what was packed.
  expect(parts[0]?.state).not.toBe(parts[0]?.state);
  await release?.();
  const left = run(await pruned(log, EVENTS, [many]), [many]);
  expect(await rowsOf(left)).toEqual(await rowsOf(run(log, [many])));
  expect(left.find("sums", "7-99")).toMatchObject({ name: "7-99" });
});
