/**
 * A machine made of one seed: virtual clock, timers, turns and randomness behind the {@link Env} port. Time moves only while
 * {@link VirtualEnv.run} or one of its kin is awaited, and jumps from event to event, so hours pass in milliseconds.
 *
 * Events run one at a time in the order (due time, order of scheduling); after each, all promise reactions run before the
 * next. The order of promise reactions is V8's and is the same in every run, so the same seed gives the same history, as
 * long as the code under test waits for nothing outside this environment.
 */
import { InvariantViolation } from "../errors.ts";
import type { Clock, Env, Timers, Turns } from "../time/clock.ts";
import { systemEnv } from "../time/system-env.ts";
import { EventQueue } from "./event-queue.ts";
import { SeededRandom } from "./seeded-random.ts";

export interface VirtualEnvOptions {
  /** Wall clock at the start, milliseconds since 1970. Default 2026-01-01T00:00:00Z. */
  readonly startMs?: number;
  /** What a turn given up by `yieldToIo` costs in virtual time; above 0, so that spinning code cannot stop the clock. Default 0.001. */
  readonly turnMs?: number;
}

/** A process of the simulated machine: it shares the clock, and after `kill` none of its timers and turns ever run. */
export interface VirtualProcess {
  readonly env: Env;
  readonly alive: boolean;
  kill(): void;
}

export interface VirtualEnv extends Env {
  readonly random: SeededRandom;
  readonly seed: string;
  /** A process of its own, with randomness drawn from the sub-stream `name`. */
  process(name: string): VirtualProcess;
  /** Moves the wall clock, not the monotonic one. */
  jumpClock(byMs: number): void;
  /** Runs everything due up to `untilMs` of the monotonic clock, which then stands at `untilMs`. */
  run(untilMs: number): Promise<void>;
  /** `run` for a duration. */
  advance(byMs: number): Promise<void>;
  /** Runs until nothing is scheduled. @throws InvariantViolation when that takes longer than `limitMs` (default 1 hour) */
  idle(limitMs?: number): Promise<void>;
  /** Runs until `promise` settles and returns its value. @throws InvariantViolation when nothing is left to run, or after `limitMs` (default 1 hour) */
  until<T>(promise: Promise<T>, limitMs?: number): Promise<T>;
  /** Runs promise reactions and `soon` work only; time stands still. */
  settle(): Promise<void>;
}

const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2026, 0, 1);
const TURN_MS = 0.001;

/** @param seed any text or number; sub-streams are derived from it by name */
export function virtualEnv(seed: string | number, options: VirtualEnvOptions = {}): VirtualEnv {
  return new VirtualMachine(new SeededRandom(seed), options);
}

class VirtualMachine implements VirtualEnv {
  readonly random: SeededRandom;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly turns: Turns;
  readonly #root: SeededRandom;
  readonly #queue = new EventQueue();
  readonly #machineTurns = systemEnv().turns;
  readonly #turnMs: number;
  #nowMs = 0;
  #wallMs: number;

  constructor(root: SeededRandom, options: VirtualEnvOptions) {
    this.#root = root;
    this.#turnMs = options.turnMs ?? TURN_MS;
    this.#wallMs = options.startMs ?? START_MS;
    this.clock = { now: () => Math.floor(this.#wallMs + this.#nowMs), monotonic: () => this.#nowMs };
    const env = this.process("env").env;
    this.random = root.fork("env");
    this.timers = env.timers;
    this.turns = env.turns;
  }

  get seed(): string {
    return this.#root.seed;
  }

  process(name: string): VirtualProcess {
    let alive = true;
    const guarded = (run: () => void) => (): void => {
      if (alive) run();
    };
    const timers: Timers = {
      after: (delayMs, fire) => {
        const entry = this.#queue.push(this.#nowMs + Math.max(0, delayMs), guarded(fire));
        return {
          cancel: () => {
            entry.run = undefined;
          },
        };
      },
    };
    const turns: Turns = {
      soon: (run) => queueMicrotask(guarded(run)),
      yieldToIo: (run) => void this.#queue.push(this.#nowMs + this.#turnMs, guarded(run)),
    };
    return {
      env: { clock: this.clock, timers, turns, random: this.#root.fork(name) },
      get alive() {
        return alive;
      },
      kill: () => {
        alive = false;
      },
    };
  }

  jumpClock(byMs: number): void {
    this.#wallMs += byMs;
  }

  async run(untilMs: number): Promise<void> {
    await this.settle();
    while (await this.#step(untilMs));
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  advance(byMs: number): Promise<void> {
    return this.run(this.#nowMs + byMs);
  }

  async idle(limitMs: number = HOUR_MS): Promise<void> {
    const untilMs = this.#nowMs + limitMs;
    await this.settle();
    while (await this.#step(untilMs));
    const left = this.#queue.peek();
    if (left !== undefined) throw new InvariantViolation(`still busy after ${limitMs} virtual ms (seed ${this.seed})`);
  }

  async until<T>(promise: Promise<T>, limitMs: number = HOUR_MS): Promise<T> {
    const untilMs = this.#nowMs + limitMs;
    let settled = false;
    const watch = (): void => {
      settled = true;
    };
    promise.then(watch, watch);
    await this.settle();
    while (!settled && (await this.#step(untilMs)));
    if (settled) return promise;
    throw new InvariantViolation(
      `a promise did not settle within ${limitMs} virtual ms: ${this.#queue.peek() === undefined ? "nothing is left to run" : "time is up"} (seed ${this.seed})`,
    );
  }

  settle(): Promise<void> {
    return new Promise((resolve) => this.#machineTurns.yieldToIo(resolve));
  }

  async #step(untilMs: number): Promise<boolean> {
    const next = this.#queue.peek();
    if (next === undefined || next.atMs > untilMs) return false;
    this.#queue.pop();
    this.#nowMs = Math.max(this.#nowMs, next.atMs);
    next.run?.();
    await this.settle();
    return true;
  }
}
