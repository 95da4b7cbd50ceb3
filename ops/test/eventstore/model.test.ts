/**
 * Random commands of a client, all that the streams service knows, are answered as a small model of what EventStoreDB promises answers
 * them, over both logs, and still are after everything was closed and opened again.
 */
import { type Env, systemEnv } from "@millrace/engine";
import fc from "fast-check";
import { expect, it } from "vitest";
import { connect, type Real } from "./model-command.ts";
import { COMMANDS } from "./model-commands.ts";
import { LOGS, type LogKind, serveLog } from "./served-log.ts";
import { StreamModel } from "./stream-model.ts";

const RUNS = 40;
const COMMANDS_MAX = 40;
const BEHIND_MS = 1e9;

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

async function started(kind: LogKind): Promise<Real> {
  const machine = systemEnv();
  // Always behind the clock of the client, whose deadlines are times of its own.
  let passedMs = -BEHIND_MS;
  const env: Env = {
    ...machine,
    clock: { now: () => machine.clock.now() + passedMs, monotonic: machine.clock.monotonic },
  };
  const served = await serveLog(kind, { env });
  const passTime = (seconds: number): void => {
    passedMs += seconds * 1000;
  };
  return { served, client: connect(served), passTime, followers: [] };
}
