/** Measures this machine and this process by what Node says of them. */
import { cpus, freemem, loadavg, totalmem } from "node:os";
import type { Env, HostProbe, HostSample, Timer } from "@millrace/engine";

/** How often the loop is looked at. */
const LOOP_LOOK_MS = 50;

/** Looks at the event loop until it is closed. */
export function machineProbe(env: Env): HostProbe {
  const loop = new LoopLag(env);
  let before = processorTimes();
  return {
    sample(): HostSample {
      const now = processorTimes();
      const cpu = busyShare(before, now);
      before = now;
      const { rss, heapUsed } = process.memoryUsage();
      return {
        cpu,
        memory: 1 - freemem() / totalmem(),
        load: loadavg()[0] ?? 0,
        loopLagMs: loop.takeWorst(),
        residentBytes: rss,
        heapBytes: heapUsed,
      };
    },
    close: () => loop.close(),
  };
}

/**
 * How late a timer fires. Node's own histogram of it forgets the first interval after each reset, which is the one that a
 * sample every second needs.
 */
class LoopLag {
  readonly #env: Env;
  #timer: Timer;
  #due = 0;
  #worstMs = 0;

  constructor(env: Env) {
    this.#env = env;
    this.#timer = this.#look();
  }

  takeWorst(): number {
    const worstMs = this.#worstMs;
    this.#worstMs = 0;
    return worstMs;
  }

  close(): void {
    this.#timer.cancel();
  }

  #look(): Timer {
    const { clock, timers } = this.#env;
    this.#due = clock.monotonic() + LOOP_LOOK_MS;
    return timers.after(LOOP_LOOK_MS, () => {
      this.#worstMs = Math.max(this.#worstMs, clock.monotonic() - this.#due);
      this.#timer = this.#look();
    });
  }
}

interface ProcessorTimes {
  readonly busyMs: number;
  readonly totalMs: number;
}

function processorTimes(): ProcessorTimes {
  let busyMs = 0;
  let totalMs = 0;
  for (const { times } of cpus()) {
    const all = times.user + times.nice + times.sys + times.irq + times.idle;
    totalMs += all;
    busyMs += all - times.idle;
  }
  return { busyMs, totalMs };
}

/** Of the time between two looks; 0 when the counters have not moved. */
function busyShare(from: ProcessorTimes, to: ProcessorTimes): number {
  const totalMs = to.totalMs - from.totalMs;
  if (totalMs <= 0) return 0;
  return Math.min(1, Math.max(0, (to.busyMs - from.busyMs) / totalMs));
}
