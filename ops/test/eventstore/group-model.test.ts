/**
 * Random commands on a persistent subscription and on the streams below it: consumers join, answer in every way, leave, and come back
 * after everything was closed. What a small model says is due comes, to one consumer at a time, and nothing else.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { GROUP_COMMANDS } from "./group-commands.ts";
import { STREAM_COMMANDS } from "./model-commands.ts";
import { started } from "./model-run.ts";
import { LOGS } from "./served-log.ts";
import { StreamModel } from "./stream-model.ts";

const RUNS = 25;
const COMMANDS_MAX = 60;

it.each(LOGS)(
  "agrees with a model over the %s log",
  async (kind) => {
    const all = [...STREAM_COMMANDS, ...GROUP_COMMANDS];
    const commands = fc.commands(all, { maxCommands: COMMANDS_MAX, size: "max" });
    const seen = { delivered: 0, groups: 0 };
    await fc.assert(
      fc.asyncProperty(commands, async (given) => {
        const real = await started(kind);
        const model = new StreamModel();
        try {
          await fc.asyncModelRun(() => ({ model, real }), given);
          seen.delivered += model.group?.heldCount ?? 0;
          seen.groups += model.group === undefined ? 0 : 1;
        } finally {
          for (const consumer of real.consumers) consumer.forget();
          await real.client.dispose();
          await real.served.close();
        }
      }),
      { numRuns: RUNS },
    );
    expect(seen.groups).toBeGreaterThan(RUNS / 4);
    expect(seen.delivered).toBeGreaterThan(0);
  },
  120_000,
);
