/**
 * Restarts failed children by a strategy, waits between attempts, and parks what fails too often (after Erlang/OTP's
 * `supervisor`; parking replaces its escalation by exit, so that siblings run on and an operator finds the cause).
 */
import type { ErrorReport } from "../errors.ts";
import { engineError, reportOf } from "../errors.ts";
import type { Env, Timer } from "../time/clock.ts";
import { backoffDelayMs, FailureWindow, type Restart, type RestartPolicy } from "./restart-policy.ts";

export interface Child {
  readonly id: string;
  readonly restart: Restart;
  /** Starts a new incarnation. A rejection is a failure like any other. */
  start(): Promise<void>;
  /** Ends the present incarnation; must not reject. Called in reverse order of starting. */
  stop(): Promise<void>;
}

export type ChildState = "running" | "backing-off" | "restarting" | "parked" | "stopped";

export interface ChildStatus {
  readonly state: ChildState;
  readonly restarts: number;
  readonly lastError: ErrorReport | null;
}

export interface SupervisorEvents {
  /** A child will start again after `delayMs`. */
  restarting?(id: string, error: ErrorReport, delayMs: number): void;
  /** The intensity is exceeded: these children stay down until {@link Supervisor.resume}. */
  parked?(ids: readonly string[], error: ErrorReport): void;
}

interface Entry {
  readonly child: Child;
  /** Made with the first failure. */
  window: FailureWindow | undefined;
  state: ChildState;
  restarts: number;
  lastError: ErrorReport | null;
  timer: Timer | undefined;
  /** The restart that the child waits for or is in the middle of; a later one takes its place. */
  attempt: symbol | undefined;
  /** The new incarnation failed before its start was over. */
  failedEarly: { readonly error: unknown } | undefined;
}

export class Supervisor {
  readonly #env: Env;
  readonly #policy: RestartPolicy;
  readonly #events: SupervisorEvents;
  readonly #entries = new Map<string, Entry>();
  #stopping = false;

  constructor(env: Env, policy: RestartPolicy, events: SupervisorEvents = {}) {
    this.#env = env;
    this.#policy = policy;
    this.#events = events;
  }

  /** Adds a child that runs already. Order of adding is the order of starting. */
  supervise(child: Child): void {
    this.#entries.set(child.id, {
      child,
      window: undefined,
      state: "running",
      restarts: 0,
      lastError: null,
      timer: undefined,
      attempt: undefined,
      failedEarly: undefined,
    });
  }

  status(id: string): ChildStatus | undefined {
    return this.#entries.get(id);
  }

  /** Tells that a child failed. Failures of a child that is down already are ignored. */
  failed(id: string, error: unknown): void {
    const entry = this.#entries.get(id);
    if (entry?.state === "restarting") entry.failedEarly = { error };
    if (entry === undefined || entry.state !== "running" || this.#stopping) return;
    const report = reportOf(error);
    entry.lastError = report;
    const group = this.#group(id);
    if (entry.child.restart === "temporary") {
      entry.state = "stopped";
      void entry.child.stop();
      return;
    }
    entry.window ??= new FailureWindow(this.#policy.periodMs);
    const failures = entry.window.note(this.#env.clock.monotonic());
    if (failures > this.#policy.intensity) this.#park(group, report);
    else this.#restartLater(entry, group, report, failures);
  }

  /** Starts parked children again with a clean record. */
  async resume(): Promise<void> {
    for (const entry of this.#entries.values()) {
      if (entry.state !== "parked") continue;
      entry.window?.clear();
      await this.#start(entry);
    }
  }

  /** Stops all children in reverse order. */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (const entry of [...this.#entries.values()].reverse()) {
      entry.timer?.cancel();
      entry.state = "stopped";
      await entry.child.stop();
    }
  }

  #group(id: string): Entry[] {
    const all = [...this.#entries.values()].filter((e) => e.state !== "parked" && e.state !== "stopped");
    if (this.#policy.strategy === "one_for_all") return all;
    const at = all.findIndex((e) => e.child.id === id);
    return this.#policy.strategy === "one_for_one" ? all.slice(at, at + 1) : all.slice(at);
  }

  #restartLater(failed: Entry, group: Entry[], report: ErrorReport, failures: number): void {
    const delayMs = backoffDelayMs(this.#policy, failures, this.#env);
    const attempt = Symbol(failed.child.id);
    for (const entry of group) {
      entry.timer?.cancel();
      entry.state = "backing-off";
      entry.attempt = attempt;
    }
    this.#events.restarting?.(failed.child.id, report, delayMs);
    failed.timer = this.#env.timers.after(delayMs, () => void this.#restart(group, attempt));
  }

  /** Siblings that are `temporary` stay down: they are never restarted, whoever failed. */
  async #restart(group: readonly Entry[], attempt: symbol): Promise<void> {
    for (const entry of [...group].reverse()) await entry.child.stop();
    for (const entry of group) {
      if (this.#stopping || entry.attempt !== attempt) return;
      if (entry.child.restart === "temporary") {
        entry.state = "stopped";
        continue;
      }
      entry.restarts++;
      await this.#start(entry);
    }
  }

  async #start(entry: Entry): Promise<void> {
    entry.state = "restarting";
    entry.failedEarly = undefined;
    try {
      await entry.child.start();
    } catch (error) {
      entry.failedEarly = { error };
    }
    if (entry.state !== "restarting") {
      // Parked or stopped while it started: what has started since must not run on.
      if (entry.state !== "backing-off") await entry.child.stop();
      return;
    }
    entry.state = "running";
    if (entry.failedEarly !== undefined) this.failed(entry.child.id, entry.failedEarly.error);
  }

  #park(group: Entry[], report: ErrorReport): void {
    const error = engineError("NODE-PARKED", `${report.code}: ${report.message}`, { details: { after: report } });
    for (const entry of group) {
      entry.state = "parked";
      entry.attempt = undefined;
      entry.timer?.cancel();
      entry.lastError = report;
      void entry.child.stop();
    }
    this.#events.parked?.(
      group.map((e) => e.child.id),
      reportOf(error),
    );
  }
}
