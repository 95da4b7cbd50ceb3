/** A calculator node whose code runs in a process of its own, in whatever language: always committed, its results are logged. */
import { fileURLToPath } from "node:url";
import type { CommittedBehavior, Env, Json, WorkerUsage } from "@millrace/engine";
import { committedCalculator } from "../calculator.ts";
import type { Outcome } from "../calculator-host.ts";
import type { CalculatorContext } from "../calculator-module.ts";
import { type CalculatorPayloads, INLINE_PAYLOADS } from "../calculator-payloads.ts";
import type { CalculatorLimits } from "../calculator-worker-host.ts";
import { hooksUrl, stripperPath } from "../module-hooks.ts";
import { ProcessCalculatorHost, type ProcessLaunch } from "./process-calculator-host.ts";

export interface ProcessCalculatorOptions extends ProcessLaunch, CalculatorLimits {
  /** Processor time that the process may use between two results, in ms. Default: ten times the deadline. */
  readonly cpuMs?: number;
  /** Memory that the process has beside what the calculator uses, in MiB. Default 64. */
  readonly overheadMib?: number;
  /** Absent: all bytes travel inline. */
  readonly payloads?: CalculatorPayloads | undefined;
}

/** Arguments for Node to be the process of a TypeScript or JavaScript module. */
export function nodeWorkerArgs(): readonly string[] {
  if (!import.meta.url.endsWith(".ts")) return [fileURLToPath(new URL("./node-worker.js", import.meta.url))];
  const hooks = [hooksUrl, { data: stripperPath() }].map((value) => JSON.stringify(value)).join();
  const loader = `import { register } from "node:module"; register(${hooks});`;
  const entry = fileURLToPath(new URL("./node-worker.ts", import.meta.url));
  return ["--import", `data:text/javascript,${encodeURIComponent(loader)}`, entry];
}

/** A calculator outside of any graph: for those who test or measure one. */
export interface LooseCalculator {
  /** One outcome per row, in order. */
  run(rows: readonly Json[], context: CalculatorContext): Promise<readonly Outcome[]>;
  /** Forgets its state. */
  reset(): void;
  usage(): WorkerUsage | undefined;
  describe(): Json;
  close(): Promise<void>;
}

/** @throws CALC-LOAD with the place where the file does not load */
export async function openCalculator(options: ProcessCalculatorOptions, env: Env): Promise<LooseCalculator> {
  const host = hostOf(options, env);
  await host.open();
  return {
    run: async (rows, context) => {
      const outcomes = await host.run(rows, context, INLINE_PAYLOADS);
      host.state.seal();
      return outcomes;
    },
    reset: () => host.state.restore(null),
    usage: () => host.usage(),
    describe: () => host.describe(),
    close: () => host.close(),
  };
}

/** The process starts when the behavior is opened, and ends with it. */
export function processCalculator(options: ProcessCalculatorOptions, env: Env): CommittedBehavior {
  return committedCalculator(hostOf(options, env), options.payloads);
}

/**
 * Starts the process once, to see that the file loads; gives what it says of itself.
 *
 * @throws CALC-LOAD with the place where it does not
 */
export async function loadProcessCalculator(options: ProcessCalculatorOptions, env: Env): Promise<Json> {
  const host = hostOf(options, env);
  try {
    await host.open();
    return host.describe();
  } finally {
    await host.close();
  }
}

function hostOf(options: ProcessCalculatorOptions, env: Env): ProcessCalculatorHost {
  const { deadlineMs = 1000, memoryMib = 256, attemptsMax = 2, loadMs = 30_000, overheadMib = 64 } = options;
  const { cpuMs = deadlineMs * 10 } = options;
  const limits = { deadlineMs, loadMs, memoryMib, residentMibMax: memoryMib + overheadMib, cpuMs };
  return new ProcessCalculatorHost({ ...options, limits, attemptsMax }, env);
}
