import { type AppendResult, type EventInput, type ExpectedRevision, errnoOf } from "@millrace/engine";
import { expect, it } from "vitest";
import { blockKernels } from "../../src/embedded/block-kernels.ts";
import { crc32c } from "../../src/embedded/crc32c.ts";
import type { EmbeddedLogOptions } from "../../src/embedded/open-embedded-log.ts";
import { LogMachine } from "./log-machine.ts";
import { gather, LogModel } from "./log-model.ts";
import { LogWorkload } from "./log-workload.ts";

async function scene(seed: string, options: Partial<EmbeddedLogOptions> = {}) {
  const machine = new LogMachine(seed, { open: options });
  const workload = new LogWorkload(machine, new LogModel());
  const { log } = await machine.open();
  return {
    log,
    machine,
    event: (payloadBytes: number) => workload.event(machine.env.random.bytes(payloadBytes)),
    append: (events: readonly EventInput[], expected: ExpectedRevision = "any"): Promise<AppendResult> =>
      log.append([{ stream: "a", expected, events }]),
  };
}

async function outcomeOf(append: Promise<AppendResult>): Promise<string> {
  try {
    const { position } = await append;
    return `at ${position}`;
  } catch (thrown) {
    return errnoOf(thrown) ?? String(thrown);
  }
}

it("write buffers of any size fill up and go out", async () => {
  const { machine, log, event, append } = await scene("odd-buffer", { bufferBytes: 10_000 });
  await machine.env.until(append([event(100)]));
  const all = Array.from({ length: 40 }, (_, i) => append([event(50 * i)]));
  await machine.env.until(Promise.all(all));
  expect(await machine.env.until(gather(log.read()))).toHaveLength(41);
});

it("a payload that claims 2 GiB or 4 GiB is refused as too large", async () => {
  const { machine, event, append } = await scene("huge");
  await machine.env.until(append([event(100)]));
  for (const length of [2 ** 31 - 128, 2 ** 31, 2 ** 32 - 128, 2 ** 32]) {
    const payload = Object.defineProperty(new Uint8Array(0), "length", { value: length });
    const huge = { ...event(0), payload };
    expect(await machine.env.until(outcomeOf(append([huge])))).toBe("LOG-TOO-LARGE");
    expect(await machine.env.until(outcomeOf(append([huge, event(10)])))).toBe("LOG-TOO-LARGE");
  }
  expect(await machine.env.until(outcomeOf(append([event(100)])))).toBe("at 1");
});

it("an event that cannot be encoded leaves no trace in its stream, alone or first of several", async () => {
  const { machine, log, event, append } = await scene("broken");
  const good = event(100);
  await machine.env.until(append([good]));
  const context = { ...good.context };
  Object.defineProperty(context, "correlationId", {
    get: () => {
      throw new Error("no id");
    },
  });
  const broken = { ...event(100), context };
  expect(await machine.env.until(outcomeOf(append([broken])))).toMatch(/no id/);
  expect(await machine.env.until(outcomeOf(append([broken, event(100)])))).toMatch(/no id/);
  expect(await machine.env.until(outcomeOf(append([event(100), event(100)], 0)))).toBe("at 2");
  const events = await machine.env.until(gather(log.read()));
  expect(events.map(({ position, revision }) => [position, revision])).toEqual([
    [0, 0],
    [1, 1],
    [2, 2],
  ]);
});

/** Kernels that count the hashes of segments that were made and have not ended. */
function countingHashes() {
  const kernels = blockKernels(crc32c);
  const made = { hashes: 0, open: 0 };
  const segmentHash: typeof kernels.segmentHash = () => {
    const hash = kernels.segmentHash();
    const ending =
      <T>(end: () => T) =>
      (): T => {
        made.open--;
        return end();
      };
    made.hashes++;
    made.open++;
    return { ...hash, digest: ending(hash.digest), discard: ending(hash.discard) };
  };
  return { made, kernels: { ...kernels, segmentHash } };
}

it("closing a log ends the hash of its open segment, those of the others ended with them", async () => {
  const { made, kernels } = countingHashes();
  const { machine, log, event, append } = await scene("hashes", { kernels });
  for (let i = 0; i < 20; i++) await machine.env.until(append([event(8000)]));
  expect(made.hashes).toBeGreaterThan(2);
  expect(made.open).toBe(1);
  await machine.env.until(log.close());
  expect(made.open).toBe(0);
});

it("a log that does not open leaves no hash behind", async () => {
  const { made, kernels } = countingHashes();
  const machine = new LogMachine("hash-refused");
  const first = await machine.open();
  await machine.close(first);
  const indexer = () => {
    throw new Error("no index");
  };
  await expect(machine.open({ kernels, indexer })).rejects.toThrow("no index");
  expect(made).toEqual({ hashes: 1, open: 0 });
});
