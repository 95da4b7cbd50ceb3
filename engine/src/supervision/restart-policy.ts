/**
 * How often a child may fail, and how long to wait before it starts again. Words and defaults follow OTP's supervisor
 * (intensity and period), with the exponential back-off and jitter that OTP leaves out: a flapping broker would burn the
 * intensity within milliseconds otherwise.
 */
import type { Env } from "../time/clock.ts";

/** `permanent` children are restarted always, `transient` ones only after a failure, `temporary` ones never. */
export type Restart = "permanent" | "transient" | "temporary";

/** Which siblings restart with a failed child: only it, all, or it and those started after it. */
export type Strategy = "one_for_one" | "one_for_all" | "rest_for_one";

export interface RestartPolicy {
  readonly strategy: Strategy;
  /** Restarts allowed within `periodMs`; one more parks the subgraph. */
  readonly intensity: number;
  readonly periodMs: number;
  /** First wait in ms; doubles with each failure in the period up to `backoffMaxMs`. */
  readonly backoffMs: number;
  readonly backoffMaxMs: number;
  /** Share of the wait that is random, `0..1`. */
  readonly jitter: number;
}

/** 5 restarts in 30 s; waits of 100 ms, 200 ms, … up to 10 s, each ± 20 %. */
export const DEFAULT_RESTART_POLICY: RestartPolicy = {
  strategy: "one_for_one",
  intensity: 5,
  periodMs: 30_000,
  backoffMs: 100,
  backoffMaxMs: 10_000,
  jitter: 0.2,
};

/** The wait before attempt `failures + 1`, `failures ≥ 1`. */
export function backoffDelayMs(
  policy: Pick<RestartPolicy, "backoffMs" | "backoffMaxMs" | "jitter">,
  failures: number,
  env: Env,
): number {
  const exponential = Math.min(policy.backoffMaxMs, policy.backoffMs * 2 ** Math.min(30, failures - 1));
  const spread = (env.random.u32() / 0x1_0000_0000) * 2 - 1;
  return Math.max(0, exponential * (1 + spread * policy.jitter));
}

/** Failures within the period, by the monotonic clock. */
export class FailureWindow {
  readonly #periodMs: number;
  readonly #atMs: number[] = [];

  constructor(periodMs: number) {
    this.#periodMs = periodMs;
  }

  /** Notes a failure; returns how many lie within the period, this one included. */
  note(nowMs: number): number {
    this.#atMs.push(nowMs);
    while ((this.#atMs[0] as number) < nowMs - this.#periodMs) this.#atMs.shift();
    return this.#atMs.length;
  }

  clear(): void {
    this.#atMs.length = 0;
  }
}
