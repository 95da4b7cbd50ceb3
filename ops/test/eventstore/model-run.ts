/** A served log whose clock a run of commands may move. */
import { type Env, systemEnv } from "@millrace/engine";
import { connect, type Real } from "./model-command.ts";
import { type LogKind, serveLog } from "./served-log.ts";

const BEHIND_MS = 1e9;

export async function started(kind: LogKind): Promise<Real> {
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
  return { served, client: connect(served), passTime, followers: [], consumers: [] };
}
