/** A running total in a simulated process that fails in every way that a row asks for, and now and then by itself. */
import type { Env, Json, StateEvent, WorkerLauncher, WorkerListener, WorkerProcess } from "@millrace/engine";
import {
  encodeFrame,
  FrameReader,
  type HostFrame,
  PROTOCOL,
  type WireOutcome,
  type WorkerFrame,
} from "../src/calculator/process/frame.ts";

export interface SimulatedRow {
  readonly n: number;
  readonly act?: "throw" | "exit" | "hang" | "rubbish" | "surplus" | "leak";
}

export interface SimulatedOptions {
  readonly env: Env;
  readonly stateful: boolean;
  /** Share of batches during which the process is killed from outside. */
  readonly kills: number;
  readonly credit: number;
}

export function simulatedWorkers(options: SimulatedOptions): WorkerLauncher {
  return { launch: async (_, listener) => new SimulatedWorker(options, listener) };
}

class SimulatedWorker implements WorkerProcess {
  readonly pid = 1;
  readonly output: WorkerProcess["output"] = { tail: "", bytes: 0 };
  readonly #options: SimulatedOptions;
  readonly #listener: WorkerListener;
  readonly #reader = new FrameReader();
  #queue: HostFrame[] = [];
  #isBusy = false;
  #hasEnded = false;
  #ignoresTerm = false;
  /** What leaked stays: no row gets memory any more. */
  #isFull = false;
  #total = 0;

  constructor(options: SimulatedOptions, listener: WorkerListener) {
    this.#options = options;
    this.#listener = listener;
    this.#soon(() => this.#say({ is: "hello", proto: PROTOCOL, lang: "simulated", sdk: "" }));
  }

  send(bytes: Uint8Array): void {
    for (const frame of this.#reader.read(bytes)) {
      if (frame.is !== "cancel") this.#queue.push(frame as HostFrame);
    }
    this.#next();
  }

  signal(name: "SIGTERM" | "SIGKILL"): void {
    if (name === "SIGTERM" && this.#ignoresTerm) return;
    this.#soon(() => this.#end(null, name));
  }

  usage(): undefined {
    return undefined;
  }

  #soon(run: () => void): void {
    const { timers, random } = this.#options.env;
    timers.after(random.u32() % 5, () => {
      if (!this.#hasEnded) run();
    });
  }

  #say(frame: WorkerFrame): void {
    if (!this.#hasEnded) this.#listener.data(encodeFrame(frame));
  }

  #end(code: number | null, signal: string | null): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#listener.ended({ code, signal });
  }

  #next(): void {
    if (this.#isBusy) return;
    const frame = this.#queue.shift();
    if (frame === undefined) return;
    this.#isBusy = true;
    this.#soon(() => {
      this.#isBusy = this.#handle(frame);
      this.#next();
    });
  }

  /** True when it never comes back from it. */
  #handle(frame: HostFrame): boolean {
    const { stateful, credit } = this.#options;
    if (frame.is === "welcome") this.#say({ is: "ready", name: "total", stateful, details: null, credit });
    else if (frame.is === "snapshot") this.#say({ is: "state", id: frame.id, state: stateful ? this.#total : null });
    else if (frame.is === "restore") this.#restore(frame.state);
    else if (frame.is === "ping") this.#say({ is: "pong", n: frame.n });
    else if (frame.is === "drain") this.#end(0, null);
    else if (frame.is === "batch") return this.#batch(frame);
    return false;
  }

  #restore(state: StateEvent): void {
    this.#total = (state as number | null) ?? 0;
    this.#say({ is: "state", id: 0, state: null });
  }

  #batch({ id, rows }: Extract<HostFrame, { is: "batch" }>): boolean {
    const { random } = this.#options.env;
    const killAt = random.u32() / 2 ** 32 < this.#options.kills ? random.u32() % (rows.length + 1) : -1;
    let out: WireOutcome[] = [];
    let from = 0;
    for (const [i, row] of (rows as unknown as readonly SimulatedRow[]).entries()) {
      if (i === killAt || row.act === "exit") return this.#die();
      if (row.act === "hang") {
        this.#ignoresTerm = random.u32() % 2 === 0;
        return true;
      }
      if (row.act === "rubbish") this.#listener.data(Uint8Array.of(255, 255, 255, 255, 255));
      if (row.act === "surplus")
        this.#say({ is: "result", id, from, out: [...out, ...rows.map(() => null), null], end: true });
      const outcome = this.#outcome(row);
      out.push(outcome);
      if (outcome !== null && "code" in outcome && this.#options.stateful) break;
      if (random.u32() % 3 > 0) continue;
      this.#say({ is: "result", id, from, out, end: false });
      from += out.length;
      out = [];
    }
    if (killAt === rows.length) return this.#die();
    this.#say({ is: "result", id, from, out, end: true });
    if (rows.length > 0) this.#say({ is: "credit", rows: rows.length });
    return false;
  }

  #die(): true {
    this.#end(9, null);
    return true;
  }

  /** A row that throws spoils the total first. */
  #outcome({ n, act }: SimulatedRow): WireOutcome {
    this.#isFull ||= act === "leak";
    if (this.#isFull) return { code: "CALC-OOM", msg: "out of memory" };
    if (act === "throw") {
      this.#total = Number.NaN;
      return { code: "CALC-THREW", msg: "asked to" };
    }
    if (!this.#options.stateful) return [{ n }];
    this.#total += n;
    return [{ n, total: this.#total }];
  }
}

/** What a run over these rows gives: messages and codes, whatever happens on the way. */
export function expectedOf(
  rows: readonly SimulatedRow[],
  stateful: boolean,
  from = 0,
): { given: Json[]; total: number } {
  const codes = {
    throw: "CALC-THREW",
    exit: "CALC-EXIT",
    hang: "CALC-TIMEOUT",
    rubbish: "CALC-PROTOCOL",
    surplus: "CALC-PROTOCOL",
    leak: "CALC-OOM",
  };
  let total = from;
  const given = rows.map(({ n, act }): Json => {
    if (act !== undefined) return codes[act];
    total += n;
    return stateful ? { n, total } : { n };
  });
  return { given, total };
}
