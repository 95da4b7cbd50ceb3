/**
 * Random commands of a client, all that the streams service knows, are answered as a small model of what EventStoreDB promises answers
 * them, over both logs, and still are after everything was closed and opened again.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { COMMANDS } from "./model-commands.ts";
import { started } from "./model-run.ts";
import { LOGS } from "./served-log.ts";
import { StreamModel } from "./stream-model.ts";

const RUNS = 40;
const COMMANDS_MAX = 40;

it.each(LOGS)(
  "agrees with a model over the %s log",
  async (kind) => {
    const commands = fc.commands(COMMANDS, { maxCommands: COMMANDS_MAX, size: "max" });
    await fc.assert(
      fc.asyncProperty(commands, async (given) => {
        const real = await started(kind);
        const model = new StreamModel();
        try {
          await fc.asyncModelRun(() => ({ model, real }), given);
          for (const { follower } of real.followers) follower.check();
          expect(real.served.log.durableEnd).toBe(model.log.events.length);
        } finally {
          await real.client.dispose();
          await real.served.close();
        }
      }),
      { numRuns: RUNS },
    );
  },
  120_000,
);
