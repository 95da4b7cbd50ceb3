/**
 * An event log for simulations: group commits that take time, crashes that lose what was not durable, answers that get lost,
 * periods without space, and writers that are dead but whose appends are still on their way. It keeps every promise of the
 * port (`eventLogContract`), so that whatever goes wrong above it is the kernel's fault.
 *
 * One {@link SimulatedLog} is the storage; each process opens a client of its own and is answered by its own timers, so that
 * a killed process never hears anything again. Requests travel on the storage's timers and arrive after their sender's death.
 */
import { MillraceError } from "../../errors.ts";
import { copiedEvent } from "../../log/copied-event.ts";
import { eventFilter } from "../../log/event-filter.ts";
import type {
  AppendResult,
  CarriedStream,
  EventInput,
  EventLog,
  ExpectedRevision,
  ReadOptions,
  RecordedEvent,
  StreamAppend,
  SubscribeOptions,
  SubscriptionBatch,
} from "../../log/event-log.ts";
import { logError } from "../../log/log-errors.ts";
import type { StreamCarry } from "../../retention/carry-stream.ts";
import { type Env, sleep } from "../../time/clock.ts";
import type { SeededRandom } from "../seeded-random.ts";

/** What may go wrong from now on; change the fields at any time. All are off at first. */
export interface LogFaults {
  /** Longest time a group commit takes, in ms; at least a little is always taken. Default 1. */
  commitMs: number;
  /** Longest way of a request to the storage, and of its answer back, in ms. Default 0. */
  wayMs: number;
  /** Probability that a request or its answer gets lost: the caller learns `LOG-UNKNOWN`. Default 0. */
  lost: number;
  /** No space: appends are refused with `LOG-FULL`. Default false. */
  full: boolean;
  /** The planted bug: success is answered when an append is accepted, not when it is durable. Default false. */
  ackBeforeDurable: boolean;
}

/** An event that some caller was told is in the log. */
export interface Acknowledged {
  readonly stream: string;
  readonly revision: number;
  readonly position: number;
  readonly id: string;
}

export interface SimulatedLogOptions {
  readonly env: Env;
  readonly random: SeededRandom;
  /** Default 16 MiB. */
  readonly appendBytesMax?: number;
  /** Outside of the hosts: requests travel one by one, and may be lost one by one. Default false. */
  readonly isRemote?: boolean;
}

interface Pending {
  readonly appends: readonly StreamAppend[];
  readonly ids: string;
  /** Revision of the first event, by append. */
  readonly firstRevisions: readonly number[];
  readonly waiters: ((result: AppendResult | Error) => void)[];
  readonly timeMs: number;
}

const APPEND_BYTES_MAX = 16 * 1024 * 1024;
const EVENT_BYTES = 112;
const BATCH_EVENTS_MAX = 64;
const UNKNOWN_AFTER_MS = 400;

export class SimulatedLog {
  readonly id: string;
  readonly appendBytesMax: number;
  readonly appendsAheadMax: number;
  readonly faults: LogFaults = { commitMs: 1, wayMs: 0, lost: 0, full: false, ackBeforeDurable: false };
  readonly acknowledged: Acknowledged[] = [];
  /** How often each fault happened. */
  readonly counts = { crashes: 0, lostAppends: 0, unknown: 0, full: 0, syncErrors: 0 };
  readonly #env: Env;
  readonly #random: SeededRandom;
  readonly #events: RecordedEvent[] = [];
  readonly #streams = new Map<string, number[]>();
  readonly #done = new Map<string, AppendResult>();
  #pending: Pending[] = [];
  #heads = new Map<string, number>();
  #changed: (() => void)[] = [];
  #committing = false;
  /** Grows with each crash: what the storage had scheduled before it is void, and clients of then are closed. */
  #life = 0;
  #lastTimeMs = 0;
  /** Clients see nothing below, but what was carried. */
  #base = 0;
  #carried: ReadonlyMap<string, CarriedStream> = new Map();

  constructor(options: SimulatedLogOptions) {
    this.#env = options.env;
    this.#random = options.random;
    this.appendBytesMax = options.appendBytesMax ?? APPEND_BYTES_MAX;
    this.appendsAheadMax = options.isRemote === true ? 1 : Number.POSITIVE_INFINITY;
    this.id = hex(options.random.bytes(16));
  }

  /** Everything durable, in position order. */
  get events(): readonly RecordedEvent[] {
    return this.#events;
  }

  get life(): number {
    return this.#life;
  }

  get base(): number {
    return this.#base;
  }

  carried(stream: string): CarriedStream | undefined {
    return this.#carried.get(stream);
  }

  /** Hides what is below `base` from clients, at once and for good; what was carried before is replaced. */
  prune(base: number, carries: readonly StreamCarry[]): void {
    this.#carried = new Map(
      carries.map(({ stream, revision, positions, state }) => {
        return [stream, { revision, events: positions.map((position) => this.event(position)), state }];
      }),
    );
    this.#base = base;
  }

  /** A client for the process whose `env` this is. */
  open(env: Env): EventLog {
    return new LogClient(this, env, this.#random.fork(`client ${this.#env.clock.monotonic()} ${this.#life}`));
  }

  /** Power is cut: of what was not durable only a prefix of whole appends survives. Every client is cut off. */
  crash(): void {
    this.counts.crashes++;
    const survivors = this.#random.chance(0.5) ? this.#random.below(this.#pending.length + 1) : 0;
    const lost = this.#pending.splice(survivors);
    this.counts.lostAppends += lost.length;
    for (const pending of this.#pending.splice(0)) this.#write(pending);
    this.#restart();
  }

  /** The disk refuses a sync: the writer stops for good, and what was in flight may or may not be there at the next start. */
  failSync(): void {
    this.counts.syncErrors++;
    const waiting = this.#pending.flatMap((p) => p.waiters);
    for (const pending of this.#pending.splice(this.#random.below(this.#pending.length + 1)))
      this.counts.lostAppends += pending.appends.length;
    for (const pending of this.#pending.splice(0)) this.#write(pending);
    this.#restart();
    for (const settle of waiting) settle(logError("LOG-CLOSED", "the disk refused a sync: the writer stopped"));
  }

  /** A request as it arrives. `settle` is called once, now or when the group commit is done. */
  arrive(appends: readonly StreamAppend[], settle: (result: AppendResult | Error) => void): void {
    const ids = idsOf(appends);
    const done = this.#done.get(ids);
    if (done !== undefined) {
      settle({ ...done, repeated: true });
      return;
    }
    const waiting = this.#pending.find((p) => p.ids === ids);
    if (waiting !== undefined) {
      waiting.waiters.push((result) => settle(result instanceof Error ? result : { ...result, repeated: true }));
      return;
    }
    const refusal = this.#refusal(appends);
    if (refusal !== undefined) settle(refusal);
    else this.#accept(appends, ids, settle);
  }

  /** Runs `arrive` on the storage's own time, whoever asked. */
  after(delayMs: number, arrive: () => void): void {
    this.#env.timers.after(delayMs, arrive);
  }

  get durableEnd(): number {
    return this.#events.length;
  }

  event(position: number): RecordedEvent {
    return this.#events[position] as RecordedEvent;
  }

  positionsOf(stream: string): readonly number[] {
    return this.#streams.get(stream) ?? [];
  }

  /** Notes that a caller was told of its success. */
  told(appends: readonly StreamAppend[], result: AppendResult): void {
    let position = result.firstPosition;
    appends.forEach(({ stream, events }, a) => {
      const last = result.revisions[a] as number;
      events.forEach((event, i) => {
        const revision = last - events.length + 1 + i;
        this.acknowledged.push({ stream, revision, position: position++, id: hex(event.id) });
      });
    });
  }

  /** Resolves at the next commit, or when `signal` aborts. */
  onChange(resume: () => void): () => void {
    this.#changed.push(resume);
    return () => {
      this.#changed = this.#changed.filter((other) => other !== resume);
    };
  }

  #refusal(appends: readonly StreamAppend[]): Error | undefined {
    const bytes = appends.reduce((sum, a) => sum + sizeOf(a), 0);
    if (bytes > this.appendBytesMax) {
      const details = { bytes, appendBytesMax: this.appendBytesMax };
      return logError("LOG-TOO-LARGE", `an append of ${bytes} bytes exceeds ${this.appendBytesMax}`, { details });
    }
    if (this.faults.full) {
      this.counts.full++;
      return logError("LOG-FULL", "no space is prepared", { retryAfterMs: 200 });
    }
    for (const { stream, expected } of appends) {
      const actual = this.#headOf(stream);
      if (isMet(expected, actual)) continue;
      return logError("LOG-WRONG-REVISION", `stream ${stream} is at ${actual}, expected ${expected}`, {
        place: { stream },
        details: { stream, expected, actual },
      });
    }
    return undefined;
  }

  #accept(appends: readonly StreamAppend[], ids: string, settle: (result: AppendResult | Error) => void): void {
    const copied = appends.map((a) => ({ ...a, events: a.events.map(copyOf) }));
    const firstRevisions = copied.map(({ stream, events }) => {
      const first = this.#headOf(stream) + 1;
      this.#heads.set(stream, first + events.length - 1);
      return first;
    });
    this.#lastTimeMs = Math.max(this.#lastTimeMs, this.#env.clock.now());
    const early = this.faults.ackBeforeDurable;
    const pending = { appends: copied, ids, firstRevisions, waiters: early ? [] : [settle], timeMs: this.#lastTimeMs };
    this.#pending.push(pending);
    if (early) settle(this.#resultOf(pending, this.#endOf(this.#pending.length - 1)));
    this.#commitSoon();
  }

  /** Position at which pending append `i` will begin. */
  #endOf(i: number): number {
    let end = this.#events.length;
    for (const { appends } of this.#pending.slice(0, i)) for (const { events } of appends) end += events.length;
    return end;
  }

  #resultOf(pending: Pending, firstPosition: number): AppendResult {
    const counts = pending.appends.map((a) => a.events.length);
    const total = counts.reduce((sum, n) => sum + n, 0);
    const revisions = counts.map((n, i) => (pending.firstRevisions[i] as number) + n - 1);
    return { position: firstPosition + total - 1, firstPosition, revisions, repeated: false };
  }

  #commitSoon(): void {
    if (this.#committing) return;
    this.#committing = true;
    const life = this.#life;
    const delayMs = this.faults.commitMs * (0.05 + 0.95 * this.#random.unit());
    this.#env.timers.after(delayMs, () => {
      if (life === this.#life) this.#commit();
    });
  }

  /** One block: everything accepted by now becomes durable together. */
  #commit(): void {
    this.#committing = false;
    for (const pending of this.#pending.splice(0)) {
      const result = this.#write(pending);
      for (const settle of pending.waiters) settle(result);
    }
    this.wake();
  }

  #write(pending: Pending): AppendResult {
    const result = this.#resultOf(pending, this.#events.length);
    pending.appends.forEach(({ stream, events }, a) => {
      const positions = this.#streams.get(stream) ?? [];
      this.#streams.set(stream, positions);
      events.forEach((event, i) => {
        const position = this.#events.length;
        const revision = (pending.firstRevisions[a] as number) + i;
        this.#events.push({ ...event, position, stream, revision, timeMs: pending.timeMs });
        positions.push(position);
      });
    });
    this.#done.set(pending.ids, result);
    return result;
  }

  #restart(): void {
    this.#life++;
    this.#committing = false;
    this.#heads = new Map();
    this.wake();
  }

  #headOf(stream: string): number {
    return this.#heads.get(stream) ?? this.positionsOf(stream).length - 1;
  }

  /** Lets everybody who waits for a change look again. */
  wake(): void {
    const changed = this.#changed;
    this.#changed = [];
    for (const resume of changed) resume();
  }
}

class LogClient implements EventLog {
  readonly id: string;
  readonly appendBytesMax: number;
  readonly appendsAheadMax: number;
  readonly #log: SimulatedLog;
  readonly #env: Env;
  readonly #random: SeededRandom;
  readonly #life: number;
  readonly #inFlight = new Set<Promise<AppendResult>>();
  /** When the last request sent arrives; requests of one caller keep their order. */
  #arrivesMs = 0;
  #closed = false;

  constructor(log: SimulatedLog, env: Env, random: SeededRandom) {
    this.#log = log;
    this.#env = env;
    this.#random = random;
    this.#life = log.life;
    this.id = log.id;
    this.appendBytesMax = log.appendBytesMax;
    this.appendsAheadMax = log.appendsAheadMax;
  }

  get durableEnd(): number {
    return this.#log.durableEnd;
  }

  get base(): number {
    return this.#log.base;
  }

  async carried(stream: string): Promise<CarriedStream | undefined> {
    this.#mustBeOpen();
    return this.#log.carried(stream);
  }

  append(appends: readonly StreamAppend[]): Promise<AppendResult> {
    const promise = new Promise<AppendResult>((resolve, reject) => {
      this.#mustBeOpen();
      const own = appends.map((a) => ({ ...a, events: a.events.map(copiedEvent) }));
      this.#request(own, (result) => {
        this.#inFlight.delete(promise);
        if (result instanceof Error) {
          reject(result);
          return;
        }
        this.#log.told(own, result);
        resolve(result);
      });
    });
    this.#inFlight.add(promise);
    promise.catch(() => this.#inFlight.delete(promise));
    return promise;
  }

  read(options: ReadOptions = {}): AsyncIterable<readonly RecordedEvent[]> {
    this.#mustBeOpen();
    return this.#batches((i) => i, this.#log.durableEnd, options);
  }

  readStream(stream: string, options: ReadOptions = {}): AsyncIterable<readonly RecordedEvent[]> {
    this.#mustBeOpen();
    const positions = this.#log.positionsOf(stream);
    return this.#batches((i) => positions[i] as number, positions.length, options);
  }

  async head(stream: string): Promise<number> {
    this.#mustBeOpen();
    return this.#log.positionsOf(stream).length - 1;
  }

  async *subscribe({ from = 0, filter, signal }: SubscribeOptions): AsyncGenerator<SubscriptionBatch> {
    const passes = eventFilter(filter);
    let end = from;
    let announced = false;
    while (!signal.aborted && !this.#isClosed) {
      const durable = this.#log.durableEnd;
      if (end > durable || (end === durable && announced)) {
        await this.#change(signal);
        continue;
      }
      const last = Math.min(durable, end + BATCH_EVENTS_MAX);
      const events: RecordedEvent[] = [];
      while (end < last) {
        const event = this.#log.event(end++);
        if (passes(event)) events.push(event);
      }
      announced = true;
      yield { events, end, live: end >= this.#log.durableEnd };
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#inFlight]);
    this.#closed = true;
    this.#log.wake();
  }

  get #isClosed(): boolean {
    return this.#closed || this.#log.life !== this.#life;
  }

  #mustBeOpen(): void {
    if (this.#isClosed) throw logError("LOG-CLOSED", "the log is closed");
  }

  #request(appends: readonly StreamAppend[], settle: (result: AppendResult | Error) => void): void {
    const { faults } = this.#log;
    const answer = (result: AppendResult | Error): void => this.#answer(() => settle(result));
    const lost = this.#random.chance(faults.lost);
    if (lost) {
      this.#log.counts.unknown++;
      const waitMs = UNKNOWN_AFTER_MS * (0.5 + this.#random.unit());
      this.#env.timers.after(waitMs, () => settle(logError("LOG-UNKNOWN", "no answer came", { retryAfterMs: 50 })));
      // The request may have been lost, or arrive now, or come so late that its sender is dead or has given up.
      if (this.#random.chance(0.4)) return;
    }
    this.#travel(lost, () => {
      if (!this.#isClosed || this.#closed) this.#log.arrive(appends, lost ? () => undefined : answer);
    });
  }

  /** Requests take their way on the storage's side, so that they arrive even when their sender dies. */
  #travel(isLate: boolean, arrive: () => void): void {
    const { wayMs } = this.#log.faults;
    const now = this.#env.clock.monotonic();
    if (wayMs === 0 && this.#arrivesMs <= now) {
      arrive();
      return;
    }
    const late = isLate && this.#random.chance(0.5) ? 20 * wayMs : 0;
    const atMs = Math.max(this.#arrivesMs, now + wayMs * this.#random.unit()) + late * this.#random.unit();
    if (late === 0) this.#arrivesMs = atMs;
    this.#log.after(atMs - now, arrive);
  }

  #answer(run: () => void): void {
    const { wayMs } = this.#log.faults;
    this.#env.timers.after(wayMs * this.#random.unit(), run);
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const ready = (): void => {
        stopListening();
        signal.removeEventListener("abort", ready);
        resolve();
      };
      const stopListening = this.#log.onChange(ready);
      signal.addEventListener("abort", ready, { once: true });
      if (signal.aborted) ready();
    });
  }

  async *#batches(
    positionAt: (i: number) => number,
    count: number,
    { from, direction = "forward", limit = Number.POSITIVE_INFINITY, filter }: ReadOptions,
  ): AsyncGenerator<readonly RecordedEvent[]> {
    const passes = eventFilter(filter);
    const step = direction === "forward" ? 1 : -1;
    let left = limit;
    let i = direction === "forward" ? (from ?? 0) : Math.min(from ?? count - 1, count - 1);
    const isThere = (): boolean => i >= 0 && i < count;
    const isKept = (): boolean => isThere() && positionAt(i) >= this.#log.base;
    let isFirst = true;
    while (left > 0 && isThere()) {
      // A prune that overtakes a reader is met by it; backward it is where the log begins.
      if (!isKept() && (isFirst || direction === "forward"))
        throw new MillraceError(
          "LOG-PRUNED",
          "terminal",
          `position ${positionAt(i)} was pruned, the base is ${this.#log.base}`,
        );
      isFirst = false;
      const batch: RecordedEvent[] = [];
      for (; isKept() && batch.length < Math.min(left, BATCH_EVENTS_MAX); i += step) {
        const event = this.#log.event(positionAt(i));
        if (passes(event)) batch.push(event);
      }
      if (direction === "backward" && isThere() && !isKept()) left = batch.length;
      left -= batch.length;
      if (this.#log.faults.wayMs > 0) await sleep(this.#env, this.#log.faults.wayMs * this.#random.unit());
      this.#mustBeOpen();
      if (batch.length > 0) yield batch;
    }
  }
}

function isMet(expected: ExpectedRevision, head: number): boolean {
  if (expected === "any") return true;
  if (expected === "none") return head === -1;
  return expected === "exists" ? head >= 0 : head === expected;
}

function copyOf(event: EventInput): EventInput {
  const { causationId, correlationId } = event.context;
  return {
    ...event,
    id: event.id.slice(),
    payload: event.payload.slice(),
    context: { ...event.context, causationId: causationId.slice(), correlationId: correlationId.slice() },
  };
}

function sizeOf({ stream, events }: StreamAppend): number {
  return events.reduce((sum, e) => sum + EVENT_BYTES + stream.length + e.type.length + e.payload.length, 0);
}

function idsOf(appends: readonly StreamAppend[]): string {
  return appends.map((a) => `${a.stream}:${a.events.map((e) => hex(e.id)).join()}`).join(";");
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}
