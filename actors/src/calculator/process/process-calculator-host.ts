/**
 * Runs a calculator in a process of its own and gives every row an outcome, whatever becomes of the process. Its state, if it
 * has one, is what the log says: a new process gets it back before it sees a row.
 *
 * After a process was lost the rows that it was given go one at a time, so that the row to blame is known. A stateful
 * calculator is set back to before a row that failed: to its state that row never was.
 */
import {
  type Env,
  type Json,
  MillraceError,
  sleep,
  type WorkerCommand,
  type WorkerLauncher,
  type WorkerUsage,
} from "@millrace/engine";
import { actorError } from "../../errors.ts";
import type { CalculatorHost, Outcome } from "../calculator-host.ts";
import type { CalculatorContext } from "../calculator-module.ts";
import { type BatchPayloads, placesOf } from "../calculator-payloads.ts";
import { messagesOf } from "../calculator-result.ts";
import { BatchWork } from "./batch-work.ts";
import type { WireOutcome } from "./frame.ts";
import { reportedError } from "./worker-report.ts";
import { type BatchEnd, type SessionLimits, WorkerSession } from "./worker-session.ts";
import { WorkerState } from "./worker-state.ts";

/** Which program runs a calculator, and what it is told. */
export interface ProcessLaunch {
  readonly launcher: WorkerLauncher;
  readonly command: WorkerCommand;
  /** Absolute path of the author's file. */
  readonly file: string;
  /** Name in the file, where it holds several calculators. */
  readonly export?: string;
  readonly config: Json;
  readonly graph: string;
  readonly node: string;
}

interface HostOptions extends ProcessLaunch {
  readonly limits: SessionLimits;
  /** How often a row may end the process by itself before it is given up. */
  readonly attemptsMax: number;
}

const STARTS_MAX = 4;
const START_WAIT_MS = 50;

export class ProcessCalculatorHost implements CalculatorHost {
  readonly state: WorkerState = new WorkerState();
  readonly #options: HostOptions;
  readonly #env: Env;
  #session: WorkerSession | undefined;
  #starts = 0;
  #failures = 0;
  #lastFailure: MillraceError | undefined;
  #isClosed = false;

  constructor(options: HostOptions, env: Env) {
    this.#options = options;
    this.#env = env;
  }

  /** @throws CALC-LOAD with the place where the file does not load */
  async open(): Promise<void> {
    this.#isClosed = false;
    await this.#start();
  }

  async #start(): Promise<void> {
    await this.#end();
    this.state.isHeld = false;
    this.#starts++;
    const { launcher, command, file, config, graph, node, limits } = this.#options;
    const welcome = { file, export: this.#options.export ?? null, config, graph, node };
    this.#session = await WorkerSession.open({ env: this.#env, launcher, command, welcome, limits });
    if (this.#isClosed) await this.#end();
  }

  async run(rows: readonly Json[], context: CalculatorContext, payloads: BatchPayloads): Promise<readonly Outcome[]> {
    const places = payloads.lent.length === 0 ? undefined : placesOf(payloads.lent);
    const work = new BatchWork(rows, this.#options.attemptsMax);
    while (!work.isDone) {
      const session = await this.#live();
      const batch = work.next(session.credit);
      const end = await session.batch(batch, context, places);
      if (end === undefined) {
        work.tooLarge();
        continue;
      }
      // What it holds now is known when its state is taken over: no result may fail in between.
      this.state.isHeld = false;
      if (end.opens > 0) payloads.note({ opens: end.opens, copies: end.copies, copiedBytes: 0, isLost: false });
      const take = end.hasDrafts ? payloads.take : undefined;
      const outcomes = await Promise.all(end.outcomes.map((wire) => outcomeOf(wire, take)));
      this.#conclude(work, end, outcomes);
    }
    return work.outcomes;
  }

  #conclude(work: BatchWork, { state, failure }: BatchEnd, outcomes: readonly Outcome[]): void {
    if (failure !== undefined) {
      this.#failures++;
      this.#lastFailure = failure;
    }
    if (this.#session?.ready.stateful !== true) work.passed(outcomes, failure);
    else if (failure === undefined && outcomes.every((outcome) => "out" in outcome)) {
      this.state.reached(state);
      work.passed(outcomes, undefined);
    } else {
      // What the process has in memory is no state that the log may see: it goes back to where the batch began.
      if (failure === undefined) work.failedAt(outcomes);
      else work.passed([], failure);
    }
  }

  /** A process that has loaded, has the state, and takes rows. @throws CALC-START */
  async #live(): Promise<WorkerSession> {
    for (let attempt = 0; attempt < STARTS_MAX; attempt++) {
      if (this.#isClosed) throw actorError("CALC-START", "the calculator was closed while it was at work");
      if (this.#session === undefined || this.#session.isOver) await this.#restart(attempt);
      const session = this.#session;
      if (session === undefined || session.isOver) continue;
      if (session.ready.stateful && !this.state.isHeld) {
        if ((await session.restore(this.state.current)) !== undefined) continue;
        this.state.isHeld = true;
      }
      if ((await session.awaitCredit()) === undefined && session.credit > 0) return session;
    }
    const why = this.#lastFailure?.message ?? "its process ended at once";
    throw actorError("CALC-START", `the calculator does not start: ${why}`, { cause: this.#lastFailure });
  }

  async #restart(attempt: number): Promise<void> {
    // It may have ended while nobody asked it for anything.
    this.#lastFailure = this.#session?.end ?? this.#lastFailure;
    if (attempt > 0) await sleep(this.#env, START_WAIT_MS * 2 ** attempt);
    try {
      if (!this.#isClosed) await this.#start();
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      this.#session = undefined;
      this.#lastFailure = error;
    }
  }

  usage(): WorkerUsage | undefined {
    return this.#session?.process?.usage();
  }

  describe(): Json {
    const session = this.#session;
    const usage = this.usage();
    return {
      isolation: "process",
      healthy: session !== undefined && !session.isOver,
      pid: session?.process?.pid ?? null,
      stateful: session?.ready.stateful ?? false,
      restarts: Math.max(0, this.#starts - 1),
      failures: this.#failures,
      lastFailure: this.#lastFailure === undefined ? null : `${this.#lastFailure.code}: ${this.#lastFailure.message}`,
      residentMib: usage === undefined ? null : Math.round(usage.residentBytes / 1024 / 1024),
      cpuMs: usage?.cpuMs ?? null,
      outputBytes: session?.process?.output.bytes ?? 0,
      details: session?.ready.details ?? null,
    };
  }

  /** What is being calculated has no outcome, and no process is started for it any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#end();
  }

  async #end(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.close();
  }
}

/** @throws PAYLOAD-FAILED (transient) bytes of a result find no room on the disk */
async function outcomeOf(wire: WireOutcome, take: BatchPayloads["take"] | undefined): Promise<Outcome> {
  if (wire !== null && !Array.isArray(wire)) return { error: reportedError(wire), attempts: 1 };
  const messages = take === undefined || wire === null ? wire : await take(wire);
  try {
    return { out: messagesOf(messages ?? []) };
  } catch (error) {
    return { error: error as MillraceError, attempts: 1 };
  }
}
