/**
 * The inside of a calculator's worker thread: loads the module once, then handles batches one row after the other. The index
 * of the row at work is in shared memory, so that whoever must end this thread knows which message is to blame.
 */

import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import type { Json, MillraceError, Place } from "@millrace/engine";
import { didNotLoad, threw } from "./calculator-error.ts";
import { type CalculatorContext, type CalculatorModule, calculatorOf, withoutState } from "./calculator-module.ts";
import { messagesOf } from "./calculator-result.ts";

/** What the worker is started with. */
export interface CalculatorWorkerData {
  readonly url: string;
  readonly export: string | null;
  readonly config: Json;
  /** `[0]`: index of the row at work. */
  readonly progress: Int32Array;
}

export interface BatchRequest {
  readonly id: number;
  readonly rows: readonly Json[];
  readonly context: CalculatorContext;
}

/** An error as it crosses the thread border. */
export interface ReportedError {
  readonly code: string;
  readonly message: string;
  readonly place?: Place;
}

/** What became of one row. */
export type RowOutcome = { readonly out: readonly Json[] } | { readonly error: ReportedError };

export type WorkerMessage =
  | { readonly type: "ready"; readonly isPure: boolean; readonly details: Json }
  | { readonly type: "refused"; readonly error: ReportedError }
  | { readonly type: "done"; readonly id: number; readonly outcomes: readonly RowOutcome[] };

function reported(error: MillraceError): ReportedError {
  return { code: error.code, message: error.message, ...(error.place === undefined ? {} : { place: error.place }) };
}

async function load({
  url,
  export: name,
  config,
}: CalculatorWorkerData): Promise<{ module: CalculatorModule; ready: WorkerMessage }> {
  const module = withoutState(calculatorOf(await import(url), url, name), url);
  await module.init?.(config);
  const details = messagesOf(await module.details?.())[0] ?? null;
  return { module, ready: { type: "ready", isPure: module.isPure, details } };
}

async function handle(
  request: BatchRequest,
  module: CalculatorModule,
  data: CalculatorWorkerData,
): Promise<WorkerMessage> {
  const outcomes: RowOutcome[] = [];
  for (const [i, row] of request.rows.entries()) {
    Atomics.store(data.progress, 0, i);
    try {
      const result = module.calculate(row, request.context);
      outcomes.push({ out: messagesOf(result instanceof Promise ? await result : result) });
    } catch (thrown) {
      outcomes.push({ error: reported(threw(thrown, data.url)) });
    }
  }
  return { type: "done", id: request.id, outcomes };
}

async function serve(port: MessagePort, data: CalculatorWorkerData): Promise<void> {
  // A stray rejection or a throw in a callback belongs to no message; it must not take the messages at work with it.
  process.on("unhandledRejection", (reason) =>
    process.stderr.write(`calculator: unhandled rejection: ${String(reason)}\n`),
  );
  process.on("uncaughtException", (thrown) => process.stderr.write(`calculator: uncaught: ${String(thrown)}\n`));
  try {
    const { module, ready } = await load(data);
    port.on(
      "message",
      (request: BatchRequest) => void handle(request, module, data).then((done) => port.postMessage(done)),
    );
    port.postMessage(ready);
  } catch (thrown) {
    port.postMessage({ type: "refused", error: reported(didNotLoad(thrown, data.url)) } satisfies WorkerMessage);
    port.close();
  }
}

// Imported for its types alone, the module does nothing.
const { calculator } = (workerData ?? {}) as { readonly calculator?: CalculatorWorkerData };
if (parentPort !== null && calculator !== undefined) await serve(parentPort, calculator);
