import { errnoOf } from "@millrace/engine";
import { describe, expect, it } from "vitest";
import { LogMachine, type LogProcess, SEGMENT_BYTES } from "./log-machine.ts";
import { gather, LogModel } from "./log-model.ts";
import { LogWorkload } from "./log-workload.ts";

interface Scene {
  readonly machine: LogMachine;
  readonly model: LogModel;
  readonly process: LogProcess;
  append(payloadBytes: number): Promise<string>;
}

async function scene(seed: string, freeSegments: number): Promise<Scene> {
  const machine = new LogMachine(seed);
  const model = new LogModel();
  const workload = new LogWorkload(machine, model);
  const process = await machine.open();
  await machine.env.advance(200);
  machine.disk.capacityBytes = machine.disk.usedBytes() + 8192 + freeSegments * SEGMENT_BYTES;
  const append = async (payloadBytes: number): Promise<string> => {
    const parts = [
      { stream: "a", expected: "any" as const, events: [workload.event(machine.env.random.bytes(payloadBytes))] },
    ];
    const number = model.ask(parts);
    try {
      model.acknowledge(number, await machine.env.until(process.log.append(parts)));
      return "appended";
    } catch (thrown) {
      return errnoOf(thrown) ?? String(thrown);
    }
  };
  return { machine, model, process, append };
}

describe("a full disk", () => {
  for (const freeSegments of [0, 1]) {
    it(`with room for ${freeSegments} more segments refuses with LOG-FULL, reads on, and resumes by itself`, async () => {
      const { machine, model, process, append } = await scene(`full-${freeSegments}`, freeSegments);
      let appended = 0;
      let outcome = await append(6000);
      for (; outcome === "appended"; outcome = await append(6000)) {
        appended++;
        await machine.env.advance(20);
      }
      expect(outcome).toBe("LOG-FULL");
      expect(appended).toBeGreaterThan(8 * freeSegments);
      expect(machine.disk.counts.noSpace).toBeGreaterThan(0);
      expect(process.log.health).toMatchObject({ state: "full", preparation: { code: "UNEXPECTED" } });
      expect(await machine.env.until(gather(process.log.read()))).toHaveLength(appended);
      expect(await append(6000)).toBe("LOG-FULL");
      expect(process.log.durableEnd).toBe(appended);

      machine.disk.capacityBytes = Number.POSITIVE_INFINITY;
      await machine.env.advance(1200);
      expect(await append(6000)).toBe("appended");
      expect(process.log.durableEnd).toBe(appended + 1);
      expect(process.log.health.state).toBe("open");
      await machine.env.until(model.check(process.log));
      expect(model.violations).toEqual([]);
      expect(process.fatal).toBeUndefined();
    });
  }

  it("keeps no log from closing: subscriptions end, and its directory can be opened again", async () => {
    const { machine, process, append } = await scene("closing", 10);
    await append(100);
    const { signal } = new AbortController();
    const batches = process.log.subscribe({ from: 1, signal })[Symbol.asyncIterator]();
    expect(await machine.env.until(batches.next())).toMatchObject({ value: { end: 1, live: true } });
    const next = batches.next();
    machine.disk.failNext("write", "ENOSPC", { path: /MANIFEST/ });
    await expect(machine.env.until(process.log.close())).rejects.toMatchObject({ code: "ENOSPC" });
    expect(await machine.env.until(next)).toMatchObject({ done: true });
    expect((await machine.open()).log.durableEnd).toBe(1);
  });

  it("leaves nothing of a segment that could not be prepared", async () => {
    const { machine, append } = await scene("tmp", 0);
    while ((await append(6000)) === "appended") await machine.env.advance(20);
    await machine.env.advance(500);
    const used = machine.disk.usedBytes();
    await machine.env.advance(5000);
    expect(machine.disk.usedBytes()).toBeLessThanOrEqual(used + SEGMENT_BYTES);
    expect(machine.disk.usedBytes()).toBeLessThanOrEqual(machine.disk.capacityBytes);
  });
});

describe("a block write", () => {
  for (const code of ["EIO", "ENOSPC"]) {
    it(`that fails with ${code} stops the log at once, and the next start is clean`, async () => {
      const { machine, model, process, append } = await scene(`fails-${code}`, 10);
      expect(await append(100)).toBe("appended");
      machine.disk.failNext("write", code, { path: /\.seg$/ });
      expect(await append(100)).toBe("LOG-UNKNOWN");
      expect(process.fatal).toMatchObject({ code: "LOG-FSYNC", cause: { code } });
      expect(await append(100)).toBe("LOG-CLOSED");
      expect(process.log.health.state).toBe("stopped");
      machine.kill(process);
      const next = await machine.open();
      await machine.env.until(model.check(next.log));
      expect(model.violations).toEqual([]);
    });
  }

  it("on a slow disk is acknowledged late, never early", async () => {
    const { machine, model, process, append } = await scene("slow", 10);
    machine.disk.latencyMsMax = 200;
    const before = machine.env.clock.monotonic();
    expect(await append(100)).toBe("appended");
    expect(machine.env.clock.monotonic() - before).toBeGreaterThan(1);
    machine.powerCut(process);
    machine.disk.latencyMsMax = 2;
    const next = await machine.open();
    await machine.env.until(model.check(next.log));
    expect(model.violations).toEqual([]);
  });
});

describe("an append", () => {
  it("over three streams that does not fit the rest of the segment goes whole into the next", async () => {
    const machine = new LogMachine("large");
    const model = new LogModel();
    const workload = new LogWorkload(machine, model);
    const process = await machine.open();
    await machine.env.advance(100);
    for (let i = 0; i < 4; i++) {
      const parts = ["a", "b", "c"].map((stream) => ({
        stream,
        expected: "any" as const,
        events: [workload.event(machine.env.random.bytes(9000))],
      }));
      const number = model.ask(parts);
      model.acknowledge(number, await machine.env.until(process.log.append(parts)));
      await machine.env.advance(100);
    }
    expect(process.log.health.activeSegment).toBeGreaterThan(1);
    machine.powerCut(process);
    const next = await machine.open();
    await machine.env.until(model.check(next.log));
    expect(model.violations).toEqual([]);
  });

  it("larger than a segment or 16 MiB is refused, and uses no position", async () => {
    const machine = new LogMachine("too-large");
    const workload = new LogWorkload(machine, new LogModel());
    const { log } = await machine.open();
    const events = [workload.event(new Uint8Array(SEGMENT_BYTES))];
    await expect(log.append([{ stream: "a", expected: "any", events }])).rejects.toMatchObject({
      code: "LOG-TOO-LARGE",
    });
    expect(log.appendBytesMax).toBeLessThan(SEGMENT_BYTES);
    expect(log.durableEnd).toBe(0);
  });
});
