/**
 * For each rule of the format a short history that goes wrong without it. A scenario answers with what was violated: nothing while
 * the rule holds, something for at least one seed when it is switched off.
 */
import { type EventInput, type ExpectedRevision, errnoOf, sleep } from "@millrace/engine";
import type { EmbeddedLogOptions } from "../../src/embedded/open-embedded-log.ts";
import type { Rule } from "../../src/embedded/rules.ts";
import { LogMachine, type LogProcess } from "./log-machine.ts";
import { gather, LogModel } from "./log-model.ts";
import { LogWorkload } from "./log-workload.ts";
import { retentionScenarios } from "./retention-scenarios.ts";

export interface Scenario {
  readonly rule: Rule;
  readonly title: string;
  /** Seeds among which at least one must show the failure. */
  readonly seeds: number;
  /** Which violation shows the rule's own failure, where the switch breaks more than that. */
  readonly failure?: RegExp;
  run(stage: Stage): Promise<void>;
}

const PAGE = 4096;
const FIRST_BLOCK = PAGE;

/** A machine, the model of its log, and the words that scenarios are written in. */
export class Stage {
  readonly machine: LogMachine;
  readonly model = new LogModel();
  readonly #workload: LogWorkload;

  constructor(seed: number, rulesOff: readonly Rule[], open: Partial<EmbeddedLogOptions> = {}) {
    this.machine = new LogMachine(seed, { rulesOff, open });
    this.#workload = new LogWorkload(this.machine, this.model);
  }

  get random(): LogMachine["env"]["random"] {
    return this.machine.env.random;
  }

  /** Asks for one append over `streams`, one event each; the returned promise says whether it was acknowledged. */
  append(
    process: LogProcess,
    streams: readonly string[],
    payload: Uint8Array,
    expected: ExpectedRevision = "any",
  ): Promise<boolean> {
    const parts = streams.map((stream) => ({ stream, expected, events: [this.#workload.event(payload)] }));
    return this.retry(process, parts, this.model.ask(parts));
  }

  async retry(process: LogProcess, parts: Parameters<LogModel["ask"]>[0], number: number): Promise<boolean> {
    try {
      this.model.acknowledge(number, await process.log.append(parts));
      return true;
    } catch (thrown) {
      if (errnoOf(thrown) === undefined) throw thrown;
      return false;
    }
  }

  async appended(process: LogProcess, streams: readonly string[], payload: Uint8Array): Promise<void> {
    await this.machine.env.until(this.append(process, streams, payload));
  }

  async appendForEver(process: LogProcess, payloadBytes: number): Promise<void> {
    for (;;) await this.append(process, ["a"], this.bytes(payloadBytes));
  }

  /** Reads whatever the log lets it see, again and again; what it sees has to stay. */
  async watch({ log }: LogProcess): Promise<void> {
    for (;;) {
      const from = log.durableEnd - 1;
      try {
        if (from >= 0) for (const event of await gather(log.read({ from }))) this.model.show(event);
      } catch (thrown) {
        if (errnoOf(thrown) === undefined) throw thrown;
      }
      await sleep(this.machine.env, 0.2);
    }
  }

  event(payload: Uint8Array): EventInput {
    return this.#workload.event(payload);
  }

  bytes(length: number): Uint8Array {
    return this.random.bytes(length);
  }

  /** A healthy log opens; the model then holds. */
  async reopenAndCheck(): Promise<LogProcess | undefined> {
    try {
      const process = await this.machine.open();
      await this.machine.env.until(this.model.check(process.log));
      return process;
    } catch (thrown) {
      this.model.violations.push(`a healthy log does not open: ${String(thrown)}`);
      return undefined;
    }
  }

  /** Damage has to be refused with `code`. */
  async mustRefuse(code: string): Promise<void> {
    const outcome = await this.machine.outcomeOfOpening();
    if (outcome !== code) this.model.violations.push(`opening answered ${outcome}, not ${code}`);
  }

  /** Offset behind the last block of a segment: the end of its last page that is not zero. */
  endOf(serial: number): number {
    const bytes = this.machine.disk.bytesOf(this.machine.segment(serial));
    let end = bytes.length;
    while (end > FIRST_BLOCK && bytes.subarray(end - PAGE, end).every((byte) => byte === 0)) end -= PAGE;
    return end;
  }
}

export const scenarios: readonly Scenario[] = [
  ...retentionScenarios,
  {
    rule: "L-R1",
    title: "an append over three streams is torn by a power cut",
    seeds: 80,
    async run(stage) {
      const process = await stage.machine.open();
      void stage.append(process, ["a", "b", "c"], stage.bytes(1500));
      await stage.machine.env.advance(stage.random.unit() * 4);
      stage.machine.powerCut(process);
      await stage.reopenAndCheck();
    },
  },
  {
    rule: "L-R2",
    title: "power is cut while blocks follow each other",
    seeds: 150,
    failure: /is not there|does not open/,
    async run(stage) {
      const process = await stage.machine.open();
      const appending = async (stream: string): Promise<void> => {
        for (;;) {
          await sleep(stage.machine.env, stage.random.unit() * 2);
          await stage.append(process, [stream], stage.bytes(600));
        }
      };
      for (const stream of ["a", "b", "c", "d"]) void appending(stream);
      await stage.machine.env.advance(5 + stage.random.unit() * 20);
      stage.machine.powerCut(process);
      await stage.reopenAndCheck();
    },
  },
  {
    rule: "L-R3",
    title: "the log goes on in a segment that held other blocks before",
    seeds: 5,
    async run(stage) {
      const process = await stage.machine.open();
      for (let i = 0; i < 12; i++) await stage.appended(process, ["a"], stage.bytes(7000));
      stage.machine.powerCut(process);
      await stage.reopenAndCheck();
    },
  },
  {
    rule: "L-R5",
    title: "power is cut while a small block is written beside an acknowledged one",
    seeds: 60,
    async run(stage) {
      const process = await stage.machine.open();
      for (let i = 0; i < 4; i++) await stage.appended(process, ["a"], stage.bytes(100));
      void stage.append(process, ["a"], stage.bytes(100));
      await stage.machine.env.advance(stage.random.unit() * 4);
      stage.machine.powerCut(process);
      await stage.reopenAndCheck();
    },
  },
  {
    rule: "L-R6",
    title: "a block write fails once, then power is cut",
    seeds: 20,
    async run(stage) {
      const process = await stage.machine.open();
      await stage.appended(process, ["a"], stage.bytes(100));
      stage.machine.disk.failNext("write", "EIO", { path: /\.seg$/ });
      void stage.append(process, ["a"], stage.bytes(100));
      await stage.machine.env.advance(50);
      stage.machine.powerCut(process);
      await stage.reopenAndCheck();
    },
  },
  {
    rule: "L-R7",
    title: "power is cut right after the log went on in the next segment",
    seeds: 80,
    async run(stage) {
      const process = await stage.machine.open();
      await stage.machine.env.advance(50);
      while (process.log.health.activeSegment === 1) await stage.appended(process, ["a"], stage.bytes(7000));
      await stage.machine.env.advance(stage.random.unit() * 5);
      stage.machine.powerCut(process);
      await stage.reopenAndCheck();
    },
  },
  {
    rule: "L-R9",
    title: "power is cut while a manifest is replaced",
    seeds: 80,
    async run(stage) {
      const process = await stage.machine.open();
      stage.machine.kill(process);
      const again = stage.machine.start();
      await stage.machine.env.advance(stage.random.unit() * 25);
      stage.machine.powerCut(again);
      await stage.reopenAndCheck();
    },
  },
  {
    rule: "L-R10",
    title: "the last write of a killed process lands after the next one has opened",
    seeds: 200,
    async run(stage) {
      stage.machine.disk.latencyMsMax = 8;
      const process = await stage.machine.open();
      await stage.appended(process, ["a"], stage.bytes(100));
      void stage.append(process, ["a"], stage.bytes(6000));
      await stage.machine.env.advance(stage.random.unit() * 3);
      stage.machine.kill(process);
      stage.machine.disk.latencyMsMax = 0.5;
      const next = await stage.machine.open();
      await stage.appended(next, ["b"], stage.bytes(100));
      await stage.appended(next, ["b"], stage.bytes(100));
      await stage.machine.env.advance(500);
      stage.machine.kill(next);
      await stage.reopenAndCheck();
    },
  },
  {
    rule: "L-R11",
    title: "a bit of the last acknowledged block flips",
    seeds: 10,
    async run(stage) {
      const process = await stage.machine.open();
      for (let i = 0; i < 3; i++) await stage.appended(process, ["a"], stage.bytes(3000));
      stage.machine.kill(process);
      stage.machine.forgetWitnesses();
      const at = stage.endOf(1) - PAGE + stage.random.below(2000);
      stage.machine.disk.flipBit(stage.machine.segment(1), at);
      await stage.mustRefuse("LOG-CORRUPT");
    },
  },
  {
    rule: "L-R11-zeros",
    title: "a bit flips in the last block, which holds a payload of zeros",
    seeds: 5,
    async run(stage) {
      const process = await stage.machine.open();
      await stage.appended(process, ["a"], stage.bytes(100));
      await stage.appended(process, ["a"], new Uint8Array(2500));
      stage.machine.kill(process);
      stage.machine.forgetWitnesses();
      stage.machine.disk.flipBit(stage.machine.segment(1), stage.endOf(1) - PAGE + 100);
      await stage.mustRefuse("LOG-CORRUPT");
    },
  },
  {
    rule: "L-R12",
    title: "the write of a block in the middle was lost",
    seeds: 5,
    async run(stage) {
      const process = await stage.machine.open();
      await stage.appended(process, ["a"], stage.bytes(100));
      const middle = stage.endOf(1);
      await stage.appended(process, ["a"], stage.bytes(100));
      await stage.appended(process, ["a"], stage.bytes(100));
      stage.machine.kill(process);
      stage.machine.forgetWitnesses();
      stage.machine.disk.damage(stage.machine.segment(1), (bytes) => bytes.fill(0, middle, middle + PAGE));
      await stage.mustRefuse("LOG-CORRUPT");
    },
  },
  {
    rule: "L-R13",
    title: "a torn block is followed by a shorter one",
    seeds: 5,
    async run(stage) {
      const process = await stage.machine.open();
      await stage.appended(process, ["a"], stage.bytes(100));
      stage.machine.kill(process);
      const end = stage.endOf(1);
      stage.machine.disk.damage(stage.machine.segment(1), (bytes) => bytes.fill(7, end + PAGE, end + 2 * PAGE));
      const next = await stage.reopenAndCheck();
      if (next === undefined) return;
      await stage.appended(next, ["a"], stage.bytes(100));
      stage.machine.kill(next);
      await stage.reopenAndCheck();
    },
  },
  {
    rule: "L-R14",
    title: "after a sync error the restarted log answers from the cache, then power is cut",
    seeds: 40,
    async run(stage) {
      const process = await stage.machine.open();
      await stage.appended(process, ["a"], stage.bytes(100));
      stage.machine.disk.failNext("write", "EIO", { path: /\.seg$/ });
      const parts = [{ stream: "a", expected: 0, events: [stage.event(stage.bytes(100))] }];
      const number = stage.model.ask(parts);
      await stage.machine.env.until(stage.retry(process, parts, number));
      stage.machine.kill(process);
      const next = await stage.machine.open();
      await stage.machine.env.until(stage.retry(next, parts, number));
      stage.machine.powerCut(next);
      await stage.reopenAndCheck();
    },
  },
  {
    rule: "L-R15",
    title: "an older copy of the active segment is put back",
    seeds: 5,
    async run(stage) {
      const process = await stage.machine.open();
      await stage.appended(process, ["a"], stage.bytes(100));
      const older = stage.machine.disk.bytesOf(stage.machine.segment(1));
      await stage.appended(process, ["a"], stage.bytes(100));
      await stage.machine.env.until(process.log.indexed());
      stage.machine.kill(process);
      stage.machine.disk.put(stage.machine.segment(1), older);
      await stage.mustRefuse("LOG-TAIL-LOST");
    },
  },
  {
    rule: "L-R16",
    title: "the index is behind when the log is opened again",
    seeds: 5,
    async run(stage) {
      const process = await stage.machine.open({ indexLingerMs: 1e9 });
      await stage.appended(process, ["a"], stage.bytes(100));
      stage.machine.kill(process);
      const next = await stage.reopenAndCheck();
      if (next === undefined) return;
      await stage.appended(next, ["a"], stage.bytes(100));
      await stage.machine.env.until(stage.model.check(next.log));
    },
  },
  {
    rule: "L-R21",
    title: "a subscriber reads while a block is on its way, then power is cut",
    seeds: 600,
    async run(stage) {
      const process = await stage.machine.open();
      void stage.appendForEver(process, 6000);
      void stage.watch(process);
      await stage.machine.env.advance(10 + stage.random.unit() * 20);
      stage.machine.powerCut(process);
      const next = await stage.reopenAndCheck();
      if (next === undefined) return;
      for (let i = 0; i < 5; i++) await stage.appended(next, ["a"], stage.bytes(100));
      await stage.machine.env.until(stage.model.check(next.log));
    },
  },
  {
    rule: "record-crc",
    title: "a payload changes on the disk while the log is open",
    seeds: 5,
    async run(stage) {
      const process = await stage.machine.open();
      await stage.appended(process, ["a"], stage.bytes(3000));
      stage.machine.disk.flipBit(stage.machine.segment(1), stage.endOf(1) - PAGE + 1000);
      const outcome = await stage.machine.env.until(
        gather(process.log.read()).then(
          () => "bytes",
          (thrown: unknown) => errnoOf(thrown),
        ),
      );
      if (outcome !== "LOG-CORRUPT") stage.model.violations.push(`a damaged record was answered with ${outcome}`);
    },
  },
];
