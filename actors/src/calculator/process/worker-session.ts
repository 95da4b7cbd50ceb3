/**
 * The life of one worker process, from its start to its end: greeting, batches within its credit, deadlines, pulse, limits. The
 * process is ended, gently at first, when it is late, too large, silent, or says what the protocol does not allow; then
 * whoever waited is told why. What becomes of the rows is decided elsewhere.
 */
import {
  type Env,
  type MillraceError,
  messageOf,
  type StateEvent,
  type Timer,
  type WorkerCommand,
  type WorkerEnd,
  type WorkerLauncher,
  type WorkerProcess,
} from "@millrace/engine";
import { actorError } from "../../errors.ts";
import type { CalculatorContext } from "../calculator-module.ts";
import { BatchAnswer } from "./batch-answer.ts";
import {
  encodeFrame,
  FRAME_BYTES_MAX,
  FrameError,
  FrameReader,
  type HostFrame,
  PROTOCOL,
  type WireOutcome,
  type WorkerFrame,
} from "./frame.ts";
import { type Ready, readyOf, refusal } from "./worker-report.ts";
import { type WatchLimits, WorkerWatch } from "./worker-watch.ts";

export interface SessionLimits extends WatchLimits {
  /** Longest time for one row. */
  readonly deadlineMs: number;
  readonly loadMs: number;
}

export interface SessionOptions {
  readonly env: Env;
  readonly launcher: WorkerLauncher;
  readonly command: WorkerCommand;
  readonly welcome: Omit<Extract<HostFrame, { is: "welcome" }>, "is" | "proto" | "limits">;
  readonly limits: SessionLimits;
}

/** What a worker made of a batch: outcomes of its first rows, and why there are not more. */
export interface BatchEnd {
  readonly outcomes: readonly WireOutcome[];
  /** State after these rows, of a stateful calculator. */
  readonly state: StateEvent;
  readonly failure: MillraceError | undefined;
  readonly opens: number;
  readonly copies: number;
  readonly hasDrafts: boolean;
}

/** Workers gather results for at most 20 ms; the rest is for the way here. */
const RESULT_SLACK_MS = 100;
/** How long a late worker may take to stop by itself, and then to end by itself. */
const GRACE_MS = 250;
const CREDIT_MAX = 1_000_000;
const LAST_WORDS_CHARS = 300;
/** The last words of V8, the JVM, Python, Rust and C++ without memory. */
const OUT_OF_MEMORY =
  /JavaScript heap out of memory|java\.lang\.OutOfMemoryError|^MemoryError\b|memory allocation of \d+ bytes failed|std::bad_alloc/m;

interface Conversation {
  /** True when it is over. @throws FrameError the worker may not say that */
  readonly hear: (frame: WorkerFrame) => boolean;
  readonly quietMs: number;
  /** Asks the worker to stop what it does; absent: there is nothing to be gained by it. */
  readonly cancel?: () => void;
  readonly done: (failure: MillraceError | undefined) => void;
}

export class WorkerSession {
  readonly #options: SessionOptions;
  readonly #reader = new FrameReader();
  #process: WorkerProcess | undefined;
  #conversation: Conversation | undefined;
  #quiet: Timer | undefined;
  #watch: WorkerWatch | undefined;
  #isGreeted = false;
  #isDraining = false;
  #credit = 0;
  #batches = 0;
  /** Why the process is being ended. */
  #doom: MillraceError | undefined;
  #end: MillraceError | undefined;
  readonly #gone: Promise<void>;
  #leave: () => void = () => undefined;
  #ready: Ready | undefined;

  private constructor(options: SessionOptions) {
    this.#options = options;
    this.#gone = new Promise((resolve) => {
      this.#leave = resolve;
    });
  }

  /**
   * Starts the process and has it load the author's file.
   *
   * @throws CALC-LOAD with the place where the file does not load, or with the last words of a process that ended
   */
  static async open(options: SessionOptions): Promise<WorkerSession> {
    const session = new WorkerSession(options);
    try {
      await session.#greet();
      return session;
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  get ready(): Ready {
    return this.#ready as Ready;
  }

  /** Rows that the worker takes now. */
  get credit(): number {
    return this.#credit;
  }

  get isOver(): boolean {
    return this.#end !== undefined || this.#doom !== undefined;
  }

  /** Why the process is no more. */
  get end(): MillraceError | undefined {
    return this.#end;
  }

  get process(): WorkerProcess | undefined {
    return this.#process;
  }

  /** Rows of one batch, no more than {@link credit}. `undefined`: the rows together are larger than a frame may be. */
  async batch(
    rows: BatchRows,
    context: CalculatorContext,
    payloads: BatchFrame["payloads"],
  ): Promise<BatchEnd | undefined> {
    const id = ++this.#batches;
    const { deadlineMs } = this.#options.limits;
    const frame = encodeFrame({ is: "batch", id, at: context.at, deadlineMs, rows, ...(payloads && { payloads }) });
    if (frame.length > FRAME_BYTES_MAX) return undefined;
    this.#credit -= rows.length;
    const heard = new BatchAnswer(id, rows.length, this.ready.stateful);
    const requests = this.ready.stateful ? [frame, encodeFrame({ is: "snapshot", id })] : [frame];
    const cancel = (): void => {
      heard.isCancelled = true;
      this.#send({ is: "cancel", id });
    };
    const hear = (answer: WorkerFrame): boolean => {
      const isOver = heard.hear(answer);
      if (heard.exhausted !== undefined) this.#kill(heard.exhausted);
      return isOver;
    };
    const quietMs = deadlineMs + RESULT_SLACK_MS;
    let failure = await this.#converse({ hear, quietMs, cancel }, requests);
    if (heard.isCancelled && heard.outcomes.length === 0) failure ??= late(deadlineMs);
    const { outcomes, state, opens, copies, hasDrafts } = heard;
    return { outcomes, state, failure, opens, copies, hasDrafts };
  }

  /** Waits until the worker takes rows again. */
  awaitCredit(): Promise<MillraceError | undefined> {
    if (this.#credit > 0) return Promise.resolve(this.#end);
    const quietMs = this.#options.limits.deadlineMs;
    return this.#converse({ hear: ({ is }) => is === "credit", quietMs }, []);
  }

  restore(state: StateEvent): Promise<MillraceError | undefined> {
    const hear = (frame: WorkerFrame): boolean => frame.is === "state";
    return this.#converse({ hear, quietMs: this.#options.limits.loadMs }, [encodeFrame({ is: "restore", state })]);
  }

  /** Ends the process: lets it finish when it has nothing to do, and insists after a while. */
  async close(): Promise<void> {
    if (this.#process === undefined || this.#end !== undefined) return;
    if (this.#conversation === undefined) {
      this.#isDraining = true;
      this.#send({ is: "drain" });
      await this.#goneWithin(GRACE_MS);
    }
    if (this.#end !== undefined) return;
    this.#doom ??= actorError("CALC-EXIT", "the calculator was stopped");
    this.#process.signal("SIGTERM");
    await this.#goneWithin(GRACE_MS);
    if (this.#end === undefined) this.#process.signal("SIGKILL");
    await this.#gone;
  }

  async #greet(): Promise<void> {
    const { launcher, command, welcome, limits } = this.#options;
    const { deadlineMs, memoryMib, loadMs } = limits;
    try {
      this.#process = await launcher.launch(command, {
        data: (bytes) => this.#receive(bytes),
        ended: (end) => this.#ended(end),
      });
    } catch (cause) {
      throw actorError("CALC-LOAD", `${command.command} does not start: ${messageOf(cause)}`, { cause });
    }
    const greeting: HostFrame = {
      is: "welcome",
      proto: PROTOCOL,
      ...welcome,
      limits: { deadlineMs, memoryMib, frameBytes: FRAME_BYTES_MAX },
    };
    const hear = (frame: WorkerFrame): boolean => {
      if (frame.is === "hello") return this.#hello(frame, greeting);
      if (frame.is === "refused") this.#doom = refusal(frame, welcome.file);
      else if (frame.is === "ready") this.#ready = readyOf(frame);
      else throw new FrameError(`${frame.is} instead of ready`);
      return true;
    };
    this.#watch = new WorkerWatch(this.#options.env, limits, {
      usage: () => this.#process?.usage(),
      activity: () => (this.#conversation === undefined ? "idle" : this.#conversation.cancel ? "calculating" : "other"),
      ping: (n) => this.#send({ is: "ping", n }),
      condemn: (why) => this.#kill(why),
    });
    if (this.#end !== undefined) this.#watch.stop();
    const failure = (await this.#converse({ hear, quietMs: loadMs }, [])) ?? this.#doom;
    if (failure === undefined) {
      this.#credit = Math.min(this.ready.credit, CREDIT_MAX);
      return;
    }
    if (failure.code === "CALC-LOAD") throw failure;
    throw actorError("CALC-LOAD", `${welcome.file} does not load: ${failure.message}`, {
      place: { file: welcome.file },
      cause: failure,
    });
  }

  #hello({ proto, sdk }: Extract<WorkerFrame, { is: "hello" }>, greeting: HostFrame): boolean {
    if (proto !== PROTOCOL) throw new FrameError(`it speaks ${String(proto)} (${String(sdk)}), not ${PROTOCOL}`);
    // Who greets without end would never be late.
    if (this.#isGreeted) throw new FrameError("a second hello");
    this.#isGreeted = true;
    this.#send(greeting);
    return false;
  }

  #send(frame: HostFrame): void {
    this.#process?.send(encodeFrame(frame));
  }

  #converse(
    { hear, quietMs, cancel }: Omit<Conversation, "done">,
    frames: readonly Uint8Array[],
  ): Promise<MillraceError | undefined> {
    if (this.#end !== undefined) return Promise.resolve(this.#end);
    return new Promise((resolve) => {
      const done = (failure: MillraceError | undefined): void => {
        this.#conversation = undefined;
        this.#quiet?.cancel();
        resolve(failure);
      };
      this.#conversation = { hear, quietMs, done, ...(cancel === undefined ? {} : { cancel }) };
      this.#watch?.active();
      for (const frame of frames) this.#process?.send(frame);
      this.#listenFor(quietMs);
    });
  }

  #receive(bytes: Uint8Array): void {
    if (this.#doom !== undefined) return;
    try {
      for (const frame of this.#reader.read(bytes)) {
        this.#hear(frame as WorkerFrame);
        if (this.#doom !== undefined) return;
      }
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#kill(actorError("CALC-PROTOCOL", `the calculator broke the protocol: ${error.message}`, { cause: error }));
    }
  }

  #hear(frame: WorkerFrame): void {
    const conversation = this.#conversation;
    if (!this.#isExpected(frame)) throw new FrameError(`${frame.is} that nobody asked for`);
    this.#watch?.active();
    if (frame.is === "credit") this.#grant(frame.rows);
    else if (frame.is === "bye") return;
    if (conversation === undefined || frame.is === "pong") return;
    if (frame.is === "credit" && conversation.cancel !== undefined) return;
    if (conversation.hear(frame)) conversation.done(undefined);
    else this.#listenFor(conversation.quietMs);
  }

  /** Everything that a worker says without an end is an answer, or bounded: it must not keep its host at work by speaking. */
  #isExpected({ is }: WorkerFrame): boolean {
    if (is === "credit") return true;
    if (is === "pong") return this.#watch?.pong() === true;
    return is === "bye" ? this.#isDraining : this.#conversation !== undefined;
  }

  #grant(rows: unknown): void {
    if (!Number.isSafeInteger(rows) || (rows as number) < 1) throw new FrameError(`credit of ${String(rows)} rows`);
    this.#credit += rows as number;
    if (this.#credit > CREDIT_MAX) throw new FrameError(`credit of more than ${CREDIT_MAX} rows`);
  }

  /** An answer that waits while this thread was busy is read before the worker is taken for late. */
  #listenFor(quietMs: number): void {
    this.#quiet?.cancel();
    const conversation = this.#conversation;
    const { timers, turns } = this.#options.env;
    const timer = timers.after(quietMs, () => {
      turns.yieldToIo(() =>
        turns.yieldToIo(() => {
          if (this.#quiet === timer && this.#conversation === conversation) this.#late(quietMs);
        }),
      );
    });
    this.#quiet = timer;
  }

  /** Asked to stop, then to end, then ended. */
  #late(quietMs: number): void {
    const { timers } = this.#options.env;
    const force = (): void => {
      this.#doom ??= late(quietMs);
      this.#process?.signal("SIGTERM");
      this.#quiet = timers.after(GRACE_MS, () => this.#process?.signal("SIGKILL"));
    };
    const cancel = this.#conversation?.cancel;
    cancel?.();
    if (cancel === undefined) force();
    else this.#quiet = timers.after(GRACE_MS, force);
  }

  #kill(why: MillraceError): void {
    this.#doom ??= why;
    this.#process?.signal("SIGKILL");
  }

  #ended(end: WorkerEnd): void {
    this.#end = this.#doom ?? this.#casualty(end);
    this.#watch?.stop();
    this.#leave();
    this.#conversation?.done(this.#end);
  }

  #casualty({ code, signal }: WorkerEnd): MillraceError {
    const how = signal === null ? `exit code ${code}` : signal;
    const words = this.#process?.output.tail.trim().slice(-LAST_WORDS_CHARS) ?? "";
    const last = words === "" ? "" : `; its last words: ${words}`;
    if (OUT_OF_MEMORY.test(this.#process?.output.tail ?? ""))
      return actorError("CALC-OOM", `the calculator used more than ${this.#options.limits.memoryMib} MiB of memory`);
    return actorError("CALC-EXIT", `the calculator's process ended with ${how}${last}`);
  }

  #goneWithin(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.env.timers.after(ms, resolve);
      void this.#gone.then(() => {
        timer.cancel();
        resolve();
      });
    });
  }
}

type BatchFrame = Extract<HostFrame, { is: "batch" }>;
type BatchRows = BatchFrame["rows"];

function late(ms: number): MillraceError {
  return actorError("CALC-TIMEOUT", `no result after ${ms} ms`);
}
