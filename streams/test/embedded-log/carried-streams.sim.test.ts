/** What a prune carries of single streams: it is there when the records are gone, whenever the machine stops, and damage of it is told. */
import type { StreamCarry } from "@millrace/engine";
import { SimulatedMount, sampleEvent, to } from "@millrace/engine/testing";
import { describe, expect, it } from "vitest";
import { scrubLog } from "../../src/embedded/scrub-log.ts";
import { ArchivedLog, placesOf } from "./archived-log.ts";
import { DIRECTORY } from "./log-machine.ts";
import { gather } from "./log-model.ts";

const FREE = {
  beforeMs: Number.POSITIVE_INFINITY,
  needs: async () => [],
  heldBy: async () => undefined,
  by: { principal: "test", reason: "" },
};
/** How many stops are tried, and how long after each other, in ms of the simulated disk. */
const STOPS = 12;
const STOP_MS = 4;

interface Made {
  readonly log: ArchivedLog;
  /** Of all events of the stream `node`, which is in the first segment only. */
  readonly places: readonly string[];
}

/** Archived segments; `node` has three events in the first. */
async function made(seed: string): Promise<Made> {
  const log = new ArchivedLog(seed);
  await log.open();
  for (const type of ["Owned", "Step", "Step"]) await append(log, type);
  const places = placesOf(await log.until(gather(log.process.log.readStream("node"))));
  await log.fill(4);
  await log.archive();
  await log.until(log.process.log.indexed());
  return { log, places };
}

async function append(log: ArchivedLog, type: string): Promise<void> {
  await log.until(log.process.log.append(to("node", sampleEvent({ type }))));
}

function carryOf(text: string, positions: readonly number[] = [0, 2]): StreamCarry {
  return { stream: "node", revision: 2, positions, state: Buffer.from(text) };
}

const prune = (log: ArchivedLog, carries: readonly StreamCarry[]): Promise<{ readonly base: number }> =>
  log.until(log.process.log.retention.prune({ ...FREE, carry: () => carries }));

async function holds({ log, places }: Made, text: string): Promise<void> {
  const carried = await log.until(log.process.log.carried("node"));
  expect(carried).toMatchObject({ revision: 2 });
  expect(placesOf(carried?.events ?? [])).toEqual([places[0], places[2]]);
  expect(Buffer.from(carried?.state ?? []).toString()).toBe(text);
  expect(await log.until(log.process.log.carried("nobody"))).toBeUndefined();
}

describe("what was carried of a stream", () => {
  it("is there under an index that was made again, and is carried on by the next prune", async () => {
    const pruned = await made("carried");
    const { log } = pruned;
    await prune(log, [carryOf("first"), { ...carryOf("other", []), stream: "other" }]);
    await holds(pruned, "first");
    expect(await log.until(log.process.log.retention.carriedStreams())).toEqual(["node", "other"]);
    log.machine.kill(log.process);
    log.machine.forgetWitnesses();
    await log.open();
    await holds(pruned, "first");
    await log.fill(6);
    await log.archive();
    await prune(log, [carryOf("second")]);
    await holds(pruned, "second");
    expect(await log.until(log.process.log.retention.carriedStreams())).toEqual(["node"]);
    await log.fill(8);
    await log.archive();
    await log.until(log.process.log.retention.prune(FREE));
    await holds(pruned, "second");
    const files = await log.until(new SimulatedMount(log.machine.disk).list(DIRECTORY));
    expect(files.filter((name) => name.startsWith("streams-"))).toHaveLength(1);
  });

  it("is nothing as long as nothing was pruned", async () => {
    const { log } = await made("nothing");
    expect(await log.until(log.process.log.carried("node"))).toBeUndefined();
  });

  it("is refused, and found by a scrub, when it is damaged", async () => {
    const { log } = await made("damaged");
    await prune(log, [carryOf("first")]);
    await log.reopen();
    const mount = new SimulatedMount(log.machine.disk);
    const [name] = (await log.until(mount.list(DIRECTORY))).filter((file) => file.startsWith("streams-"));
    const path = `${DIRECTORY}/${name}`;
    const scrub = () =>
      log.until(scrubLog({ disk: mount, directory: DIRECTORY, seenEnd: async () => 0, pause: async () => undefined }));
    expect((await scrub()).findings).toEqual([]);
    log.machine.disk.flipBit(path, 40);
    await expect(log.until(log.process.log.carried("node"))).rejects.toMatchObject({
      code: "LOG-MANIFEST",
      place: { file: path },
    });
    expect((await scrub()).findings).toMatchObject([{ code: "LOG-MANIFEST" }]);
  });
});

describe("a machine that stops while it prunes", () => {
  it.each(["kill", "powerCut"] as const)("by a %s has what was carried, or everything", async (stop) => {
    const bases = new Set<boolean>();
    for (let i = 0; i < STOPS; i++) {
      const pruned = await made(`stop ${i}`);
      const { log } = pruned;
      await prune(log, [carryOf("first")]);
      await log.fill(6);
      await log.archive();
      const { base } = log.process.log;
      const pruning = log.process.log.retention.prune({ ...FREE, carry: () => [carryOf("second")] });
      pruning.catch(() => undefined);
      await log.machine.env.advance(i * STOP_MS);
      log.machine[stop](log.process);
      await log.open();
      const isPruned = log.process.log.base > base;
      await holds(pruned, isPruned ? "second" : "first");
      bases.add(isPruned);
    }
    expect([...bases].sort()).toEqual([false, true]);
  });
});
