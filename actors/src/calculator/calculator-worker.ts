/**
 * The inside of a calculator's worker thread: loads the module once, then handles batches one row after the other. The index
 * of the row at work is in shared memory, so that whoever must end this thread knows which message is to blame.
 */

import { getHeapStatistics } from "node:v8";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import type { Json, MillraceError, Place } from "@millrace/engine";
import { didNotLoad, threw } from "./calculator-error.ts";
import { type CalculatorContext, type CalculatorModule, calculatorOf, withoutState } from "./calculator-module.ts";
import type { PayloadUse, ReaderModule } from "./calculator-payloads.ts";
import { messagesOf } from "./calculator-result.ts";
import { type LentToWorker, WorkerPayloads } from "./worker-payloads.ts";

/** What the worker is started with. */
export interface CalculatorWorkerData {
  /**
   * What the host is spoken to through. Not the thread's own port: that is open to the code of the module, whose host would have to hear
   * whatever is said there, as fast as it is said.
   */
  readonly port: MessagePort;
  readonly url: string;
  readonly export: string | null;
  readonly config: Json;
  /** `[0]`: index of the row at work. */
  readonly progress: Int32Array;
  /** What reads the host's payload store; `null`: payloads are read from their files. */
  readonly reader: ReaderModule | null;
}

export interface BatchRequest {
  readonly id: number;
  readonly rows: readonly Json[];
  readonly context: CalculatorContext;
  readonly lent: readonly LentToWorker[];
}

/** An error as it crosses the thread border. */
export interface ReportedError {
  readonly code: string;
  readonly message: string;
  readonly place?: Place;
}

/** What became of one row. Messages may have drafts of payloads in them. */
export type RowOutcome = { readonly out: readonly unknown[] } | { readonly error: ReportedError };

/** Bytes of payloads that a batch may make before what it has is passed on. */
const PART_BYTES_MAX = 32 * 1024 * 1024;

export type WorkerMessage =
  | { readonly type: "ready"; readonly isPure: boolean; readonly details: Json }
  | { readonly type: "refused"; readonly error: ReportedError }
  | {
      readonly type: "done";
      readonly id: number;
      /** Of the first rows; the others are to be asked for again. */
      readonly outcomes: readonly RowOutcome[];
      /** Some message has a draft of a payload in it. */
      readonly hasPayloads: boolean;
      readonly use: PayloadUse;
      /** What the worker has of memory beside its heap. */
      readonly bufferBytes: number;
    };

function reportOf(error: MillraceError): ReportedError {
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
  payloads: WorkerPayloads,
): Promise<{ message: WorkerMessage; transfer: ArrayBuffer[] }> {
  const outcomes: RowOutcome[] = [];
  const transfer = new Set<ArrayBuffer>();
  const leaving = payloads.leaving(transfer);
  let bytes = 0;
  const bytesOf: typeof leaving = (made, format, isGiven) => {
    bytes += made.length;
    return leaving(made, format, isGiven);
  };
  const context = { ...request.context, ...payloads.context };
  let hasPayloads = false;
  payloads.begin(request.lent);
  for (const [i, row] of request.rows.entries()) {
    Atomics.store(data.progress, 0, i);
    try {
      const result = module.calculate(row, context);
      outcomes.push({ out: messagesOf(result instanceof Promise ? await result : result, bytesOf) });
    } catch (thrown) {
      outcomes.push({ error: reportOf(threw(thrown, data.url)) });
    }
    payloads.endRow();
    hasPayloads = bytes > 0 || transfer.size > 0;
    if (bytes >= PART_BYTES_MAX) break;
  }
  const bufferBytes = getHeapStatistics().external_memory;
  const message = { type: "done", id: request.id, outcomes, hasPayloads, use: payloads.use, bufferBytes } as const;
  return { message, transfer: [...transfer] };
}

async function serve(data: CalculatorWorkerData): Promise<void> {
  const { port } = data;
  // A stray rejection or a throw in a callback belongs to no message; it must not take the messages at work with it.
  process.on("unhandledRejection", (reason) =>
    process.stderr.write(`calculator: unhandled rejection: ${String(reason)}\n`),
  );
  process.on("uncaughtException", (thrown) => process.stderr.write(`calculator: uncaught: ${String(thrown)}\n`));
  try {
    const { module, ready } = await load(data);
    const payloads = new WorkerPayloads(data.reader);
    port.on("message", (request: BatchRequest) => {
      const handled = handle(request, module, data, payloads);
      void handled.then(({ message, transfer }) => port.postMessage(message, transfer));
    });
    port.postMessage(ready);
  } catch (thrown) {
    port.postMessage({ type: "refused", error: reportOf(didNotLoad(thrown, data.url)) } satisfies WorkerMessage);
    port.close();
  }
}

// Imported for its types alone, the module does nothing.
const given = (workerData ?? {}) as { calculator?: CalculatorWorkerData };
const { calculator } = given;
if (parentPort !== null && calculator !== undefined) {
  delete given.calculator;
  parentPort.close();
  await serve(calculator);
}
