/** Replays a bounded source at a multiple of event-time speed: says which messages are due, and waits for the next that is. */
import { type Env, sleep } from "../time/clock.ts";

export class ReplayPace {
  readonly #speed: number;
  readonly #env: Env;
  readonly #waitMs: number;
  #start: { readonly atMs: number; readonly eventMs: number } | undefined;

  /**
   * @param speed event-time milliseconds that pass in one of the clock
   * @param waitMs least wait for a message that is not due, so that rows are not sent one by one
   */
  constructor(speed: number, env: Env, waitMs: number) {
    this.#speed = speed;
    this.#env = env;
    this.#waitMs = waitMs;
  }

  /** The pace begins anew with the next message: after a pause, or when the source has gone back. */
  restart(): void {
    this.#start = undefined;
  }

  /** End of the messages from `first` on that are due, at least one; waits for that one. `times`: ms, NaN for none. */
  async due(times: Float64Array, first: number, signal: AbortSignal): Promise<number> {
    this.#start ??= startOf(times.subarray(first), this.#env.clock.monotonic());
    if (this.#start === undefined) return times.length;
    const { atMs, eventMs } = this.#start;
    const waitMs = ((times[first] as number) - eventMs) / this.#speed - (this.#env.clock.monotonic() - atMs);
    if (waitMs > 0) await sleep(this.#env, Math.max(waitMs, this.#waitMs), signal).catch(() => undefined);
    const now = eventMs + (this.#env.clock.monotonic() - atMs) * this.#speed;
    let end = first + 1;
    while (end < times.length && !((times[end] as number) > now)) end++;
    return end;
  }
}

/** Replay begins with the first message that has a time; those without one are due with their neighbours. */
function startOf(times: Float64Array, atMs: number): { readonly atMs: number; readonly eventMs: number } | undefined {
  const eventMs = times.find((time) => !Number.isNaN(time));
  return eventMs === undefined ? undefined : { atMs, eventMs };
}
