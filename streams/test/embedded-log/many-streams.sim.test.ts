/** A log of many streams that keeps four of them in memory: of the others it knows the same as if it had never let go of them. */
import type { AppendResult, EventInput, ExpectedRevision, StreamAppend } from "@millrace/engine";
import { expect, it } from "vitest";
import { LogMachine, type LogProcess } from "./log-machine.ts";
import { gather, hex } from "./log-model.ts";

const STREAMS = Array.from({ length: 24 }, (_, i) => [`order-${i}`, `$$order-${i}`]).flat();
const STEPS = 80;
const AT_ONCE = 4;
const PARTS_MAX = 8;

interface Asked {
  readonly appends: readonly StreamAppend[];
  readonly result: Omit<AppendResult, "repeated">;
}

/** One caller that knows what it appended, where, and so what everything must be answered with. */
class Caller {
  readonly #machine: LogMachine;
  readonly #random: LogMachine["env"]["random"];
  readonly #ids = new Map<string, string[]>();
  /** By position. */
  readonly #log: string[] = [];
  readonly #asked: Asked[] = [];
  #process!: LogProcess;

  constructor(indexLingerMs: number) {
    this.#machine = new LogMachine(`many-streams-${indexLingerMs}`, { open: { indexLingerMs } });
    this.#random = this.#machine.env.random.fork("caller");
  }

  async run(): Promise<void> {
    this.#process = await this.#machine.open();
    for (let step = 0; step < STEPS; step++) await this.#step();
    await this.#compareAll();
    await this.#reopen();
    await this.#compareAll();
  }

  #step(): Promise<unknown> {
    const steps = [
      () => this.#appendSome(),
      () => this.#appendSome(),
      () => this.#retry(),
      () => this.#refused(),
      () => this.#compare(this.#random.pick(STREAMS)),
      () => this.#machine.env.advance(20),
      () => (this.#random.chance(0.5) ? this.#until(this.#process.log.indexed()) : this.#compareAll()),
      () => (this.#random.chance(0.1) ? this.#reopen() : this.#appendSome()),
    ];
    return this.#random.pick(steps)();
  }

  /** Several are on their way at a time, and are applied in the order of the calls. */
  async #appendSome(): Promise<void> {
    const asked = Array.from({ length: this.#random.between(1, AT_ONCE) }, () => this.#ask());
    const results = await this.#until(Promise.all(asked.map(({ appends }) => this.#process.log.append(appends))));
    expect(results).toEqual(asked.map(({ result }) => ({ ...result, repeated: false })));
    this.#asked.push(...asked);
  }

  /** A stream may be named twice, and more streams than the log keeps. */
  #ask(): Asked {
    const firstPosition = this.#log.length;
    const parts = this.#random.chance(0.5) ? 1 : this.#random.between(2, PARTS_MAX);
    const appends = Array.from({ length: parts }, () => this.#part());
    const revisions = appends.map(({ stream }, i) => {
      const later = appends.slice(i + 1).filter((append) => append.stream === stream);
      return this.#head(stream) - later.reduce((sum, { events }) => sum + events.length, 0);
    });
    return { appends, result: { firstPosition, position: this.#log.length - 1, revisions } };
  }

  #part(): StreamAppend {
    const stream = this.#random.pick(STREAMS);
    const head = this.#head(stream);
    const exact: ExpectedRevision = head < 0 ? "none" : head;
    const loose: ExpectedRevision = head >= 0 && this.#random.chance(0.5) ? "exists" : "any";
    const events = Array.from({ length: this.#random.between(1, 2) }, () => this.#event());
    const ids = this.#ids.get(stream) ?? [];
    this.#ids.set(stream, [...ids, ...events.map(({ id }) => hex(id))]);
    for (const { id, type } of events) this.#log.push(`${stream} ${type} ${hex(id)}`);
    return { stream, expected: this.#random.chance(0.5) ? exact : loose, events };
  }

  /** Types and principals are names as streams are. */
  #event(): EventInput {
    const id = Buffer.from(this.#random.bytes(16));
    const context = { principal: `user-${this.#random.below(12)}`, tenant: "", codeVersion: "1", graph: "", node: "" };
    return {
      id,
      type: `Type${this.#random.below(12)}`,
      schemaVersion: 1,
      context: { ...context, causationId: id, correlationId: id, graphRevision: 0, epoch: 0 },
      payload: this.#random.bytes(40),
    };
  }

  async #retry(): Promise<void> {
    if (this.#asked.length === 0) return;
    const { appends, result } = this.#random.pick(this.#asked);
    expect(await this.#until(this.#process.log.append(appends))).toEqual({ ...result, repeated: true });
  }

  async #refused(): Promise<void> {
    const stream = this.#random.pick(STREAMS);
    const actual = this.#head(stream);
    const wrong: readonly ExpectedRevision[] = actual < 0 ? ["exists", 0] : ["none", actual + 1, actual - 1];
    const expected = this.#random.pick(wrong.filter((revision) => revision !== -1));
    const appending = this.#process.log.append([{ stream, expected, events: [this.#event()] }]);
    appending.catch(() => undefined);
    const refusal = { code: "LOG-WRONG-REVISION", details: { stream, expected, actual } };
    await expect(this.#until(appending)).rejects.toMatchObject(refusal);
  }

  async #compare(stream: string): Promise<void> {
    const { log } = this.#process;
    const ids = this.#ids.get(stream) ?? [];
    expect(await this.#until(log.head(stream)), stream).toBe(ids.length - 1);
    const [last] = await this.#until(gather(log.readStream(stream, { direction: "backward", limit: 1 })));
    expect(last && hex(last.id), stream).toBe(ids.at(-1));
    const all = await this.#until(gather(log.readStream(stream)));
    expect(
      all.map(({ id, revision, stream: name }) => [name, revision, hex(id)]),
      stream,
    ).toEqual(ids.map((id, revision) => [stream, revision, id]));
  }

  async #compareAll(): Promise<void> {
    const all = await this.#until(gather(this.#process.log.read()));
    expect(all.map(({ stream, type, id }) => `${stream} ${type} ${hex(id)}`)).toEqual(this.#log);
    for (const stream of STREAMS) await this.#compare(stream);
  }

  /** Closed, killed, or without power; now and then the index has to be made again. */
  async #reopen(): Promise<void> {
    const end = this.#random.pick(["close", "kill", "powerCut"] as const);
    await this.#machine[end](this.#process);
    if (this.#random.chance(0.3)) this.#machine.forgetWitnesses();
    this.#process = await this.#machine.open();
  }

  #head(stream: string): number {
    return (this.#ids.get(stream)?.length ?? 0) - 1;
  }

  #until<T>(work: Promise<T>): Promise<T> {
    return this.#machine.env.until(work);
  }
}

it.each([1, 30, 1e6])(
  "a log that keeps few of many streams answers as if it kept all, with an index that rests for %i ms",
  (indexLingerMs) => new Caller(indexLingerMs).run(),
);
