/**
 * Random commands on a persistent subscription and on the streams below it: consumers join, answer in every way, leave, and come back
 * after everything was closed. What a small model says is due comes, to one consumer at a time, and nothing else.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { GROUP_BEGINS, GROUP_COMMANDS, GROUP_STREAMS } from "./group-commands.ts";
import { streamCommands } from "./model-commands.ts";
import { started } from "./model-run.ts";
import { LOGS } from "./served-log.ts";
import { StreamModel } from "./stream-model.ts";
import { Reopen } from "./subscribe-commands.ts";

const RUNS = 20;
const COMMANDS_MAX = 60;

it.each(LOGS)(
  "agrees with a model over the %s log",
  async (kind) => {
    const reopening = fc.constant(new Reopen());
    const all = [...streamCommands(GROUP_STREAMS), ...GROUP_COMMANDS, reopening, reopening];
    const commands = fc.commands(all, { maxCommands: COMMANDS_MAX, size: "max" });
    const seen = { delivered: 0, retried: 0, parked: 0, replayed: 0, repeated: 0 };
    await fc.assert(
      fc.asyncProperty(GROUP_BEGINS, commands, async (begins, given) => {
        const real = await started(kind);
        const model = new StreamModel();
        model.groupCounts = seen;
        try {
          await fc.asyncModelRun(() => ({ model, real }), [...begins, ...given]);
        } finally {
          for (const consumer of real.consumers) consumer.forget();
          await real.client.dispose();
          await real.served.close();
        }
      }),
      // What never comes is waited for, so that a shorter list of commands would take its time to be found.
      { numRuns: RUNS, endOnFailure: true },
    );
    // What a run must have met, or it shows nothing.
    for (const [what, count] of Object.entries(seen)) expect(count, what).toBeGreaterThan(0);
  },
  120_000,
);
