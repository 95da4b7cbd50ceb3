/** One seeded history of a log: work, a fault, recovery (crashed now and then), checks, and so on. */
import type { DiskFaultCounts } from "@millrace/engine/testing";
import type { Rule } from "../../src/embedded/rules.ts";
import { LogMachine, type LogProcess } from "./log-machine.ts";
import { LogModel } from "./log-model.ts";
import { LogWorkload } from "./log-workload.ts";

export interface History {
  readonly violations: readonly string[];
  readonly acknowledged: number;
  readonly faults: DiskFaultCounts;
  readonly crashesInRecovery: number;
  readonly tailsCut: number;
  readonly virtualMs: number;
}

export interface HistoryOptions {
  readonly rulesOff?: readonly Rule[];
  /** Incarnations of the process. */
  readonly rounds?: number;
}

const ROUNDS = 6;

export async function history(seed: string | number, options: HistoryOptions = {}): Promise<History> {
  return new FaultyHistory(seed, options).run(options.rounds ?? ROUNDS);
}

class FaultyHistory {
  readonly #machine: LogMachine;
  readonly #model = new LogModel();
  readonly #workload: LogWorkload;
  readonly #random: LogMachine["env"]["random"];
  #crashesInRecovery = 0;
  #tailsCut = 0;

  constructor(seed: string | number, options: HistoryOptions) {
    this.#machine = new LogMachine(seed, options);
    this.#random = this.#machine.env.random.fork("faults");
    this.#workload = new LogWorkload(this.#machine, this.#model);
  }

  async run(rounds: number): Promise<History> {
    for (let round = 0; round < rounds && this.#model.violations.length === 0; round++) {
      const process = await this.#openAtLast();
      if (process === undefined) break;
      await this.#machine.env.until(this.#model.check(process.log));
      this.#workload.begin(process);
      await this.#machine.env.advance(this.#random.unit() * 200);
      await this.#end(process);
    }
    const last = this.#model.violations.length === 0 ? await this.#openAtLast() : undefined;
    if (last !== undefined) await this.#machine.env.until(this.#model.check(last.log));
    return {
      violations: this.#model.violations,
      acknowledged: this.#model.acknowledgedCount,
      faults: this.#machine.disk.counts,
      crashesInRecovery: this.#crashesInRecovery,
      tailsCut: this.#tailsCut,
      virtualMs: this.#machine.env.clock.monotonic(),
    };
  }

  /** A healthy log always opens, however often opening itself is interrupted. */
  async #openAtLast(): Promise<LogProcess | undefined> {
    while (this.#random.chance(0.25)) {
      const started = this.#machine.start();
      await this.#machine.env.advance(this.#random.unit() * 40);
      this.#crashesInRecovery++;
      if (this.#random.chance(0.5)) this.#machine.powerCut(started);
      else this.#machine.kill(started);
    }
    try {
      const process = await this.#machine.open();
      if (process.log.health.tailCut !== undefined) this.#tailsCut++;
      return process;
    } catch (thrown) {
      this.#model.violations.push(`a healthy log does not open: ${String(thrown)} ${JSON.stringify(thrown)}`);
      return undefined;
    }
  }

  async #end(process: LogProcess): Promise<void> {
    const fault = this.#random.pick(["power", "power", "kill", "kill-power", "sync", "close", "full"]);
    if (fault === "close") return this.#machine.close(process);
    if (fault === "sync") await this.#syncError(process);
    if (fault === "full") await this.#diskFull();
    if (fault === "power") return this.#machine.powerCut(process);
    this.#machine.kill(process);
    if (fault === "kill-power" || (fault === "sync" && this.#random.chance(0.3))) this.#machine.disk.powerCut();
  }

  async #syncError(process: LogProcess): Promise<void> {
    this.#machine.disk.failNext("write", "EIO", { path: /\.seg$/ });
    await this.#machine.env.advance(50);
    if (process.fatal !== undefined && process.fatal.code !== "LOG-FSYNC") {
      this.#model.violations.push(`the log stopped with ${process.fatal.code}`);
    }
  }

  async #diskFull(): Promise<void> {
    const { disk, env } = this.#machine;
    disk.capacityBytes = disk.usedBytes();
    await env.advance(this.#random.unit() * 1000);
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    await env.advance(1500);
  }
}
