/**
 * Runs a calculator module in a worker thread under limits of time and memory, and gives every row an outcome: when the
 * worker must be ended, or ends itself, the row at work is to blame; rows before and behind it are done again in a new worker.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from "node:worker_threads";
import {
  type Env,
  errorEntry,
  InvariantViolation,
  invariant,
  type Json,
  type LentPayload,
  MillraceError,
  type Timer,
} from "@millrace/engine";
import { actorError } from "../errors.ts";
import { BufferWatch } from "./buffer-watch.ts";
import { reported } from "./calculator-error.ts";
import type { CalculatorHost, Outcome } from "./calculator-host.ts";
import { type CalculatorContext, pathOf } from "./calculator-module.ts";
import type { BatchPayloads, ReaderModule } from "./calculator-payloads.ts";
import type {
  BatchRequest,
  CalculatorWorkerData,
  ReportedError,
  RowOutcome,
  WorkerMessage,
} from "./calculator-worker.ts";
import { hooksUrl, stripperPath } from "./module-hooks.ts";
import type { LentToWorker } from "./worker-payloads.ts";

export interface CalculatorLimits {
  /** Longest that one row may take, in ms: it is ended after at least this and at most twice this. Default 1000. */
  readonly deadlineMs?: number;
  /** Heap of the worker in MiB, and as much again in buffers. Default 256. */
  readonly memoryMib?: number;
  /** How often a row may end the worker before it is given up. Default 2. */
  readonly attemptsMax?: number;
  /** Longest that the module may take to load, in ms. Default 10 000. */
  readonly loadMs?: number;
}

interface WorkerOptions extends CalculatorLimits {
  readonly url: string;
  readonly export?: string;
  readonly config?: Json;
  /** What reads the host's payload store in the worker. */
  readonly reader?: ReaderModule | undefined;
}

export interface CalculatorInfo {
  readonly isPure: boolean;
  readonly details: Json;
}

const MIB = 1024 * 1024;
const ENTRY = import.meta.url.endsWith(".ts")
  ? new URL("./calculator-worker.ts", import.meta.url)
  : new URL("./calculator-worker.js", import.meta.url);
const BOOTSTRAP = `
const { workerData } = require("node:worker_threads");
require("node:module").register(workerData.hooks, { data: workerData.stripper });
import(workerData.entry);
`;

export class CalculatorWorkerHost implements CalculatorHost {
  readonly #url: string;
  readonly #export: string | null;
  readonly #config: Json;
  readonly #env: Env;
  readonly #deadlineMs: number;
  readonly #loadMs: number;
  readonly #memoryMib: number;
  readonly #attemptsMax: number;
  readonly #reader: ReaderModule | null;
  readonly #progress = new Int32Array(new SharedArrayBuffer(4));
  #worker: Worker | undefined;
  #port: MessagePort | undefined;
  #batches = 0;
  #isLoading = false;
  #starts = 0;
  #failures = 0;
  #lastFailure: MillraceError | undefined;
  #details: Json = null;
  #settle: ((answer: WorkerMessage | MillraceError) => void) | undefined;
  /** Runs out when the worker is quiet for too long. */
  #quiet: Timer | undefined;
  #buffers: BufferWatch | undefined;

  constructor(options: WorkerOptions, env: Env) {
    this.#url = options.url;
    this.#export = options.export ?? null;
    this.#config = options.config ?? null;
    this.#reader = options.reader ?? null;
    this.#env = env;
    this.#deadlineMs = options.deadlineMs ?? 1000;
    this.#loadMs = options.loadMs ?? 10_000;
    this.#memoryMib = options.memoryMib ?? 256;
    this.#attemptsMax = options.attemptsMax ?? 2;
  }

  /**
   * Starts a worker and loads the module in it.
   *
   * @throws CALC-LOAD with file and line where the module does not load
   */
  async start(): Promise<CalculatorInfo> {
    await this.close();
    this.#starts++;
    const { port1: port, port2 } = new MessageChannel();
    const data: CalculatorWorkerData = {
      port: port2,
      url: this.#url,
      export: this.#export,
      config: this.#config,
      progress: this.#progress,
      reader: this.#reader,
    };
    const worker = new Worker(BOOTSTRAP, {
      eval: true,
      workerData: { calculator: data, hooks: hooksUrl, stripper: stripperPath(), entry: ENTRY.href },
      transferList: [port2],
      resourceLimits: { maxOldGenerationSizeMb: this.#memoryMib },
      // What a module prints must not end up between the lines that a command prints.
      stdout: true,
    });
    // Not piped: each pipe listens to stderr, and with more than ten of them Node warns of a leak.
    worker.stdout.on("data", (printed: Uint8Array) => process.stderr.write(printed));
    this.#worker = worker;
    this.#port = port;
    this.#listen(worker, port);
    this.#isLoading = true;
    const answer = await this.#answer(worker, this.#loadMs);
    this.#isLoading = false;
    if (answer instanceof MillraceError)
      throw actorError("CALC-LOAD", `${pathOf(this.#url)} does not load: ${answer.message}`, { cause: answer });
    if (answer.type === "refused") {
      // It ends by itself, and must not be asked anything until it has.
      await this.close();
      throw refusalOf(answer.error);
    }
    if (answer.type !== "ready") throw new InvariantViolation("a worker answers its start with ready or refused");
    this.#details = answer.details;
    return { isPure: answer.isPure, details: answer.details };
  }

  /**
   * One outcome per row, in order. A row may be calculated more than once, if another one ends the worker.
   *
   * @throws CALC-START (transient) a worker was lost, and the module does not load in another at present: no row is to blame
   */
  async run(rows: readonly Json[], context: CalculatorContext, payloads: BatchPayloads): Promise<readonly Outcome[]> {
    const outcomes: Outcome[] = [];
    const suspects = new Map<number, Suspect>();
    while (outcomes.length < rows.length) {
      const from = outcomes.length;
      const suspect = suspects.get(from);
      if (suspect !== undefined && suspect.attempts >= this.#attemptsMax) {
        outcomes.push(suspect);
        continue;
      }
      const part = rows.slice(from, boundOf(from, rows.length, suspects));
      const answer = await this.#batch(part, context, payloads);
      if (!(answer instanceof MillraceError)) {
        payloads.note(answer.use);
        if (answer.bufferBytes > this.#memoryMib * MIB) await this.#replace();
        for (const outcome of answer.outcomes) outcomes.push(await outcomeOf(outcome, answer.hasPayloads, payloads));
        continue;
      }
      this.#failures++;
      this.#lastFailure = answer;
      const blamed = from + Atomics.load(this.#progress, 0);
      suspects.set(blamed, { error: answer, attempts: (suspects.get(blamed)?.attempts ?? 0) + 1 });
    }
    return outcomes;
  }

  async #batch(
    rows: readonly Json[],
    context: CalculatorContext,
    { lent }: BatchPayloads,
  ): Promise<Extract<WorkerMessage, { type: "done" }> | MillraceError> {
    if (this.#worker === undefined) await this.#startAgain();
    const worker = this.#worker;
    invariant(worker !== undefined, "a started host has a worker");
    const id = ++this.#batches;
    Atomics.store(this.#progress, 0, 0);
    const request = { id, rows, context, lent: lent.map(plainOf) } satisfies BatchRequest;
    this.#port?.postMessage(request);
    const answer = await this.#answer(worker, this.#deadlineMs);
    if (answer instanceof MillraceError) return answer;
    invariant(answer.type === "done" && answer.id === id, "a worker answers batches in turn");
    return answer;
  }

  async #startAgain(): Promise<void> {
    try {
      await this.start();
    } catch (error) {
      if (!(error instanceof MillraceError) || error.kind === "programmer") throw error;
      this.#failures++;
      this.#lastFailure = error;
      throw actorError("CALC-START", `the calculator does not start again: ${error.message}`, { cause: error });
    }
  }

  /** What it holds between batches is no message's doing, and needed by none: the next batch begins with another worker. */
  async #replace(): Promise<void> {
    this.#failures++;
    this.#lastFailure = usedTooMuch(this.#memoryMib);
    await this.close();
  }

  /** The worker's next message, or what ended it. A worker that makes no progress for `quietMs` is ended. */
  #answer(worker: Worker, quietMs: number): Promise<WorkerMessage | MillraceError> {
    return new Promise((resolve) => {
      this.#settle = (answer) => {
        this.#settle = undefined;
        this.#quiet?.cancel();
        this.#buffers?.stop();
        resolve(answer);
      };
      const settle = this.#settle;
      const end = (casualty: MillraceError): void => void this.close().then(() => settle(casualty));
      this.#buffers = new BufferWatch(worker, this.#env, this.#memoryMib * MIB, () =>
        end(usedTooMuch(this.#memoryMib)),
      );
      const watch = (): Timer => {
        const at = Atomics.load(this.#progress, 0);
        const check = (): void => {
          if (this.#settle !== settle) return;
          if (Atomics.load(this.#progress, 0) !== at) this.#quiet = watch();
          else end(actorError("CALC-TIMEOUT", `no result after ${quietMs} ms`));
        };
        // An answer that waits while this thread was busy is read first.
        return this.#env.timers.after(quietMs, () => this.#env.turns.yieldToIo(() => this.#env.turns.yieldToIo(check)));
      };
      this.#quiet = watch();
      // Nobody listens to a worker that ended before it was asked.
      if (this.#worker !== worker) settle(actorError("CALC-EXIT", "the calculator's worker has ended"));
    });
  }

  /** What a worker says goes to whoever waits for it; one that was given up is not heard any more. */
  #listen(worker: Worker, port: MessagePort): void {
    const heard = (message: unknown): void => {
      if (this.#worker === worker && isAnswer(message, this.#isLoading ? null : this.#batches)) this.#settle?.(message);
    };
    const end = (casualty: MillraceError): void => {
      // Its last words may still be on their way.
      for (let said = receiveMessageOnPort(port); said !== undefined; said = receiveMessageOnPort(port))
        heard(said.message);
      port.close();
      if (this.#worker !== worker) return;
      this.#worker = undefined;
      this.#settle?.(casualty);
    };
    port.on("message", heard);
    worker.on("error", (error: Error & { code?: string }) => end(casualtyOf(error, this.#memoryMib)));
    worker.on("exit", (code) => end(actorError("CALC-EXIT", `the calculator ended its worker with exit code ${code}`)));
  }

  describe(): Json {
    return {
      isolation: "thread",
      healthy: this.#worker !== undefined,
      restarts: Math.max(0, this.#starts - 1),
      failures: this.#failures,
      lastFailure: this.#lastFailure === undefined ? null : `${this.#lastFailure.code}: ${this.#lastFailure.message}`,
      details: this.#details,
    };
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    // A row that nobody waits for any more must not hold the process until its deadline.
    this.#quiet?.cancel();
    this.#buffers?.stop();
    await worker?.terminate();
  }
}

/** A payload that is lent is released here, not there. */
function plainOf({ reference, token, place }: LentPayload): LentToWorker {
  return { reference, place, ...(token && { token }) };
}

async function outcomeOf(outcome: RowOutcome, hasPayloads: boolean, payloads: BatchPayloads): Promise<Outcome> {
  if ("error" in outcome) {
    const { code, message, place } = outcome.error;
    return { error: reported(code, message, place), attempts: 1 };
  }
  // Without payloads they are what the worker found to be JSON.
  return { out: hasPayloads ? await payloads.take(outcome.out) : (outcome.out as readonly Json[]) };
}

interface Suspect {
  readonly error: MillraceError;
  readonly attempts: number;
}

/** A module can find the port if it looks for it: what is no answer, or one to another batch, is none of ours. `null`: it is being loaded. */
function isAnswer(message: unknown, batch: number | null): message is WorkerMessage {
  if (typeof message !== "object" || message === null) return false;
  const { type, id } = message as { readonly type?: unknown; readonly id?: unknown };
  return batch === null ? type === "ready" || type === "refused" : type === "done" && id === batch;
}

/** A batch does not reach into a suspect; a suspect goes alone, so that its next failure costs nobody else. */
function boundOf(from: number, end: number, suspects: ReadonlyMap<number, Suspect>): number {
  if (suspects.has(from)) return from + 1;
  let bound = end;
  for (const index of suspects.keys()) if (index > from && index < bound) bound = index;
  return bound;
}

function casualtyOf(error: Error & { code?: string }, memoryMib: number): MillraceError {
  if (error.code === "ERR_WORKER_OUT_OF_MEMORY") {
    return usedTooMuch(memoryMib, error);
  }
  return actorError("CALC-EXIT", `the calculator's worker failed: ${error.message}`, { cause: error });
}

const usedTooMuch = (memoryMib: number, cause?: Error): MillraceError =>
  actorError("CALC-OOM", `the calculator used more than ${memoryMib} MiB of memory`, cause && { cause });

function refusalOf({ code, message, place }: ReportedError): MillraceError {
  return new MillraceError(code, errorEntry(code)?.kind ?? "terminal", message, { place });
}
