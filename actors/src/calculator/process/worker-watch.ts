/** Watches over one worker process: its memory, its processor time while it calculates, its pulse while it does not. */
import type { Env, MillraceError, Timer, WorkerUsage } from "@millrace/engine";
import { actorError } from "../../errors.ts";

const TICK_MS = 250;
const TICKS_PER_PING = 4;
const PINGS_MISSED_MAX = 3;
const MIB = 1024 * 1024;

export interface WatchLimits {
  /** Promised to the calculator. */
  readonly memoryMib: number;
  /** Most memory that its process may have, interpreter included. */
  readonly residentMibMax: number;
  /** Processor time between two answers, in ms. */
  readonly cpuMs: number;
}

export interface Watched {
  readonly usage: () => WorkerUsage | undefined;
  readonly activity: () => "idle" | "calculating" | "other";
  readonly ping: (n: number) => void;
  /** It has gone too far. */
  readonly condemn: (why: MillraceError) => void;
}

export class WorkerWatch {
  readonly #env: Env;
  readonly #limits: WatchLimits;
  readonly #watched: Watched;
  #tick: Timer | undefined;
  #ticks = 0;
  #pings = 0;
  #pongs = 0;
  /** Processor time at the first look after the newest answer; looking at each batch would cost more than the batch. */
  #cpuMsBefore: number | undefined;

  constructor(env: Env, limits: WatchLimits, watched: Watched) {
    this.#env = env;
    this.#limits = limits;
    this.#watched = watched;
    this.#next();
  }

  /** The worker said something, or was given something to do. */
  active(): void {
    this.#cpuMsBefore = undefined;
  }

  /** False: there was no ping that it could be the answer to. */
  pong(): boolean {
    if (this.#pongs === this.#pings) return false;
    this.#pongs++;
    return true;
  }

  stop(): void {
    this.#tick?.cancel();
  }

  #next(): void {
    this.#tick = this.#env.timers.after(TICK_MS, () => {
      this.#next();
      const activity = this.#watched.activity();
      this.#checkUsage(activity === "calculating");
      if (activity === "idle" && ++this.#ticks % TICKS_PER_PING === 0) this.#ping();
    });
  }

  #checkUsage(isCalculating: boolean): void {
    const usage = this.#watched.usage();
    if (usage === undefined) return;
    const { memoryMib, residentMibMax, cpuMs } = this.#limits;
    this.#cpuMsBefore ??= usage.cpuMs;
    if (usage.residentBytes > residentMibMax * MIB)
      this.#watched.condemn(actorError("CALC-OOM", `the calculator used more than ${memoryMib} MiB of memory`));
    else if (isCalculating && usage.cpuMs - this.#cpuMsBefore > cpuMs)
      this.#watched.condemn(actorError("CALC-CPU", `the calculator used more than ${cpuMs} ms of processor time`));
  }

  #ping(): void {
    if (this.#pings - this.#pongs < PINGS_MISSED_MAX) this.#watched.ping(++this.#pings);
    else {
      const message = `the calculator's process did not answer ${PINGS_MISSED_MAX} pings`;
      this.#watched.condemn(actorError("CALC-EXIT", message));
    }
  }
}
