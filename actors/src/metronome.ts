/** Emits `{ tick, at }` at regular times: every so many milliseconds, or by a cron pattern. Ticks are counted across restarts. */
import { type CommittedBehavior, type Draft, type Env, isoTime, RowBatch } from "@millrace/engine";
import { Cron } from "croner";
import { type Ticking, tickAlong } from "./ticker.ts";

export type MetronomeOptions =
  | { /** Aligned to 1970-01-01T00:00Z, ≥ 1. */ readonly everyMs: number }
  | {
      /** Five fields, or six with seconds. */ readonly cron: string /** IANA name. Default UTC. */;
      readonly timezone?: string;
    };

/** Ticks that fall due while one is being committed are left out. Event time is `at`, the time of the step. */
export function metronome(options: MetronomeOptions, env: Env): CommittedBehavior {
  const next = scheduleOf(options);
  let ticks = 0;
  let drawn = 0;
  const tick = (draft: Draft): void => {
    drawn = ticks + 1;
    draft.emit("out", new RowBatch([{ tick: drawn, at: isoTime(draft.at) }]));
    draft.change(drawn);
    draft.advanceOutput(draft.at);
  };
  return tickingBehavior({ next, tick }, env, {
    seal() {
      ticks = Math.max(ticks, drawn);
    },
    discard() {
      drawn = ticks;
    },
    fold(event) {
      ticks = event as number;
    },
    snapshot: () => ticks,
    restore(snapshot) {
      ticks = snapshot as number;
    },
  });
}

type StateParts = Pick<CommittedBehavior, "seal" | "discard" | "fold" | "snapshot" | "restore">;

/** A node without inputs that ticks while it runs. */
export function tickingBehavior(ticking: Ticking, env: Env, state: StateParts): CommittedBehavior {
  return {
    kind: "committed",
    ports: ["out"],
    ...state,
    open(context) {
      void tickAlong(ticking, context, env);
    },
    take() {},
  };
}

function scheduleOf(options: MetronomeOptions): (now: number) => number | undefined {
  if ("everyMs" in options) return (now) => (Math.floor(now / options.everyMs) + 1) * options.everyMs;
  const cron = new Cron(options.cron, { timezone: options.timezone ?? "UTC" });
  return (now) => cron.nextRun(new Date(now))?.getTime();
}
