/** Histories of archive and prune that go wrong without their rules. */
import { errnoOf } from "@millrace/engine";
import { ARCHIVE_ALL } from "./archived-log.ts";
import type { LogProcess } from "./log-machine.ts";
import { gather } from "./log-model.ts";
import type { Scenario, Stage } from "./scenario.ts";

const FREE = {
  beforeMs: Number.POSITIVE_INFINITY,
  needs: async () => [],
  heldBy: async () => undefined,
  by: { principal: "test", reason: "" },
};

/** A log with two sealed segments, all of it indexed. */
async function sealedTwice(stage: Stage): Promise<LogProcess> {
  const process = await stage.machine.open();
  for (let i = 0; process.log.health.activeSegment < 3; i++) {
    await stage.machine.env.advance(20);
    await stage.appended(process, [i < 4 ? "early" : "late"], stage.bytes(7000));
  }
  await stage.machine.env.until(process.log.indexed());
  return process;
}

/** What has been archived so far, as far as it comes: the process may die first. */
function archiving({ log }: LogProcess): Promise<void> {
  return log.retention.archive(ARCHIVE_ALL).then(
    () => undefined,
    () => undefined,
  );
}

export const retentionScenarios: readonly Scenario[] = [
  {
    rule: "L-R24",
    title: "power is cut while segments are archived and removed",
    seeds: 150,
    failure: /does not open/,
    async run(stage) {
      const process = await sealedTwice(stage);
      void archiving(process);
      await stage.machine.env.advance(stage.random.unit() * 80);
      stage.machine.powerCut(process);
      await stage.reopenAndCheck();
    },
  },
  {
    rule: "L-R25",
    title: "power is cut after segments were archived",
    seeds: 30,
    async run(stage) {
      const process = await sealedTwice(stage);
      await stage.machine.env.until(archiving(process));
      stage.machine.powerCut(process);
      await stage.reopenAndCheck();
    },
  },
  {
    rule: "L-R26",
    title: "the index is made again after every event of a stream was pruned",
    seeds: 5,
    async run(stage) {
      const process = await sealedTwice(stage);
      const { early, late } = await headsOf(stage, process);
      await stage.machine.env.until(process.log.retention.archive(ARCHIVE_ALL));
      await stage.machine.env.until(process.log.retention.prune(FREE));
      stage.machine.kill(process);
      stage.machine.forgetWitnesses();
      const next = await stage.machine.open().catch((thrown: unknown) => {
        stage.model.violations.push(`a healthy log does not open: ${errnoOf(thrown) ?? String(thrown)}`);
      });
      if (next === undefined) return;
      await stage.appended(next, ["early"], stage.bytes(100));
      const found = await headsOf(stage, next);
      if (found.early !== early + 1 || found.late !== late)
        stage.model.violations.push(`heads ${early} and ${late} became ${found.early} and ${found.late}`);
      const last = await stage.machine.env.until(gather(next.log.read({ direction: "backward", limit: 1 })));
      if (last[0]?.stream !== "early") stage.model.violations.push("the stream that goes on has lost its name");
    },
  },
  {
    rule: "L-R28",
    title: "power is cut after a prune that carried what a stream adds up to",
    seeds: 30,
    async run(stage) {
      const process = await sealedTwice(stage);
      await stage.machine.env.until(process.log.retention.archive(ARCHIVE_ALL));
      const state = stage.bytes(20_000);
      const carry = () => [{ stream: "early", revision: 3, positions: [1], state }];
      await stage.machine.env.until(process.log.retention.prune({ ...FREE, carry }));
      stage.machine.powerCut(process);
      const next = await stage.machine.open();
      const carried = await stage.machine.env.until(next.log.carried("early")).catch(() => undefined);
      if (carried?.revision !== 3 || carried.events[0]?.position !== 1 || Buffer.compare(carried.state ?? state, state))
        stage.model.violations.push("what was carried of a stream is gone");
    },
  },
];

async function headsOf(stage: Stage, { log }: LogProcess): Promise<{ readonly early: number; readonly late: number }> {
  const head = (stream: string): Promise<number> => stage.machine.env.until(log.head(stream));
  return { early: await head("early"), late: await head("late") };
}
