/** Random callers of a log: appends of every shape, retries of what had an unknown outcome, one subscription that shows. */
import { type EventInput, type ExpectedRevision, errnoOf, type StreamAppend } from "@millrace/engine";
import type { SeededRandom } from "@millrace/engine/testing";
import type { LogMachine, LogProcess } from "./log-machine.ts";
import type { LogModel } from "./log-model.ts";

const STREAMS = ["a", "b", "c", "d", "e"];
const CALLERS = 3;
/** Codes with which an append may be refused without anything being wrong. */
const EXPECTED_CODES = new Set(["LOG-WRONG-REVISION", "LOG-FULL", "LOG-UNKNOWN", "LOG-CLOSED", "LOG-LAG"]);

interface Attempt {
  readonly number: number;
  readonly append: readonly StreamAppend[];
}

export class LogWorkload {
  readonly #model: LogModel;
  readonly #random: SeededRandom;
  readonly #payloadBytesMax: number;
  /** Without an answer yet: to be retried by the next incarnation. */
  readonly #open = new Map<number, Attempt>();
  #ids = 0;

  constructor(machine: LogMachine, model: LogModel, payloadBytesMax = 3000) {
    this.#model = model;
    this.#random = machine.env.random.fork("workload");
    this.#payloadBytesMax = payloadBytesMax;
  }

  /** Starts callers and a subscriber, and leaves them running. */
  begin(process: LogProcess): void {
    const retries = [...this.#open.values()];
    for (let caller = 0; caller < CALLERS; caller++) {
      void this.#call(process, caller === 0 ? retries : []);
    }
    void this.#subscribe(process);
  }

  async #call(process: LogProcess, retries: readonly Attempt[]): Promise<void> {
    for (const attempt of retries) if (this.#random.chance(0.8) && !(await this.#attempt(process, attempt))) return;
    while (process.process.alive) {
      const append = this.#append();
      if (!(await this.#attempt(process, { number: this.#model.ask(append), append }))) return;
      if (this.#random.chance(0.3)) await this.#pause(process);
    }
  }

  /** False when the log is gone. */
  async #attempt(process: LogProcess, attempt: Attempt): Promise<boolean> {
    this.#open.set(attempt.number, attempt);
    try {
      this.#model.acknowledge(attempt.number, await process.log.append(attempt.append));
      this.#open.delete(attempt.number);
      return true;
    } catch (thrown) {
      const code = errnoOf(thrown) ?? String(thrown);
      if (!EXPECTED_CODES.has(code)) this.#model.violations.push(`append failed with ${code}`);
      if (code !== "LOG-UNKNOWN" && code !== "LOG-CLOSED") this.#open.delete(attempt.number);
      if (code === "LOG-FULL" || code === "LOG-LAG") await this.#pause(process);
      return code !== "LOG-UNKNOWN" && code !== "LOG-CLOSED";
    }
  }

  #append(): StreamAppend[] {
    const count = this.#random.chance(0.3) ? this.#random.between(2, 3) : 1;
    return this.#random
      .shuffled(STREAMS)
      .slice(0, count)
      .map((stream) => ({ stream, expected: this.#expectation(), events: this.#events() }));
  }

  #expectation(): ExpectedRevision {
    return this.#random.chance(0.85) ? "any" : this.#random.pick(["none", "exists", this.#random.below(40)]);
  }

  #events(): EventInput[] {
    return Array.from({ length: this.#random.between(1, 3) }, () => this.event(this.#payload()));
  }

  event(payload: Uint8Array): EventInput {
    const id = Buffer.alloc(16);
    id.writeUInt32LE(++this.#ids, 0);
    id.writeUInt32LE(this.#random.u32(), 8);
    return {
      id,
      type: this.#random.pick(["Moved", "Stopped"]),
      schemaVersion: 1,
      context: {
        causationId: id,
        correlationId: id,
        principal: "system",
        tenant: "",
        codeVersion: "1",
        graph: "g",
        graphRevision: 1,
        node: this.#random.pick(["n1", "n2"]),
        epoch: 1,
      },
      payload,
    };
  }

  #payload(): Uint8Array {
    const length = this.#random.chance(0.1) ? this.#payloadBytesMax : this.#random.below(this.#payloadBytesMax / 4);
    return this.#random.chance(0.1) ? new Uint8Array(length) : this.#random.bytes(length);
  }

  #pause(process: LogProcess): Promise<void> {
    return new Promise((resolve) => void process.process.env.timers.after(this.#random.unit() * 20, resolve));
  }

  async #subscribe({ log }: LogProcess): Promise<void> {
    try {
      for await (const { events } of log.subscribe({ signal: new AbortController().signal })) {
        for (const event of events) this.#model.show(event);
      }
    } catch (thrown) {
      if (errnoOf(thrown) !== "LOG-CLOSED") this.#model.violations.push(`the subscription failed: ${String(thrown)}`);
    }
  }
}
