/**
 * For each rule of the format a short history that goes wrong without it. A scenario answers with what was violated: nothing while
 * the rule holds, something for at least one seed when it is switched off.
 */
import { errnoOf, sleep } from "@millrace/engine";
import { gather } from "./log-model.ts";
import { retentionScenarios } from "./retention-scenarios.ts";
import type { Scenario } from "./scenario.ts";

const PAGE = 4096;

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
    rule: "L-R8",
    title: "power is cut as soon as the first append in the next segment is acknowledged",
    seeds: 80,
    async run(stage) {
      const process = await stage.machine.open();
      await stage.machine.env.advance(50);
      while (process.log.health.activeSegment === 1) await stage.appended(process, ["a"], stage.bytes(7000));
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
    rule: "L-R17",
    title: "two sealed segments change places",
    seeds: 5,
    async run(stage) {
      const process = await stage.machine.open();
      while (process.log.health.activeSegment < 3) {
        await stage.appended(process, ["a"], stage.bytes(7000));
        await stage.machine.env.advance(50);
      }
      stage.machine.kill(process);
      const [first, second] = [stage.machine.segment(1), stage.machine.segment(2)];
      const bytes = stage.machine.disk.bytesOf(first);
      stage.machine.disk.put(first, stage.machine.disk.bytesOf(second));
      stage.machine.disk.put(second, bytes);
      await stage.mustRefuse("LOG-MANIFEST");
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
