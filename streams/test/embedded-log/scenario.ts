/** What scenarios of the log's rules are written with. */
import { type EventInput, type ExpectedRevision, errnoOf, sleep } from "@millrace/engine";
import type { EmbeddedLogOptions } from "../../src/embedded/open-embedded-log.ts";
import type { Rule } from "../../src/embedded/rules.ts";
import { LogMachine, type LogProcess } from "./log-machine.ts";
import { gather, LogModel } from "./log-model.ts";
import { LogWorkload } from "./log-workload.ts";

export interface Scenario {
  readonly rule: Rule;
  readonly title: string;
  /** Seeds among which at least one must show the failure. */
  readonly seeds: number;
  /** Which violation shows the rule's own failure, where the switch breaks more than that. */
  readonly failure?: RegExp;
  run(stage: Stage): Promise<void>;
}

const PAGE = 4096;
const FIRST_BLOCK = PAGE;

/** A machine, the model of its log, and the words that scenarios are written in. */
export class Stage {
  readonly machine: LogMachine;
  readonly model = new LogModel();
  readonly #workload: LogWorkload;

  constructor(seed: number, rulesOff: readonly Rule[], open: Partial<EmbeddedLogOptions> = {}) {
    this.machine = new LogMachine(seed, { rulesOff, open });
    this.#workload = new LogWorkload(this.machine, this.model);
  }

  get random(): LogMachine["env"]["random"] {
    return this.machine.env.random;
  }

  /** Asks for one append over `streams`, one event each; the returned promise says whether it was acknowledged. */
  append(
    process: LogProcess,
    streams: readonly string[],
    payload: Uint8Array,
    expected: ExpectedRevision = "any",
  ): Promise<boolean> {
    const parts = streams.map((stream) => ({ stream, expected, events: [this.#workload.event(payload)] }));
    return this.retry(process, parts, this.model.ask(parts));
  }

  async retry(process: LogProcess, parts: Parameters<LogModel["ask"]>[0], number: number): Promise<boolean> {
    try {
      this.model.acknowledge(number, await process.log.append(parts));
      return true;
    } catch (thrown) {
      if (errnoOf(thrown) === undefined) throw thrown;
      return false;
    }
  }

  async appended(process: LogProcess, streams: readonly string[], payload: Uint8Array): Promise<void> {
    await this.machine.env.until(this.append(process, streams, payload));
  }

  async appendForEver(process: LogProcess, payloadBytes: number): Promise<void> {
    for (;;) await this.append(process, ["a"], this.bytes(payloadBytes));
  }

  /** Reads whatever the log lets it see, again and again; what it sees has to stay. */
  async watch({ log }: LogProcess): Promise<void> {
    for (;;) {
      const from = log.durableEnd - 1;
      try {
        if (from >= 0) for (const event of await gather(log.read({ from }))) this.model.show(event);
      } catch (thrown) {
        if (errnoOf(thrown) === undefined) throw thrown;
      }
      await sleep(this.machine.env, 0.2);
    }
  }

  event(payload: Uint8Array): EventInput {
    return this.#workload.event(payload);
  }

  bytes(length: number): Uint8Array {
    return this.random.bytes(length);
  }

  /** A healthy log opens; the model then holds. */
  async reopenAndCheck(): Promise<LogProcess | undefined> {
    try {
      const process = await this.machine.open();
      await this.machine.env.until(this.model.check(process.log));
      return process;
    } catch (thrown) {
      this.model.violations.push(`a healthy log does not open: ${String(thrown)}`);
      return undefined;
    }
  }

  /** Damage has to be refused with `code`. */
  async mustRefuse(code: string): Promise<void> {
    const outcome = await this.machine.outcomeOfOpening();
    if (outcome !== code) this.model.violations.push(`opening answered ${outcome}, not ${code}`);
  }

  /** Offset behind the last block of a segment: the end of its last page that is not zero. */
  endOf(serial: number): number {
    const bytes = this.machine.disk.bytesOf(this.machine.segment(serial));
    let end = bytes.length;
    while (end > FIRST_BLOCK && bytes.subarray(end - PAGE, end).every((byte) => byte === 0)) end -= PAGE;
    return end;
  }
}
