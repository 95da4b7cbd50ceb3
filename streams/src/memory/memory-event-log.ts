/**
 * The event log in memory: for tests, simulations and graphs that need no memory of their past. It keeps every promise of
 * the port but durability, and applies an append during the call, so that no two appends are ever in flight.
 */
import {
  type AppendCondition,
  type AppendResult,
  breaksCondition,
  conditionBroken,
  copiedEvent,
  type Env,
  type EventInput,
  type EventLists,
  type EventLog,
  type ExpectedRevision,
  eventFilter,
  logError,
  ownAppendAt,
  type ReadOptions,
  type RecordedEvent,
  repeatedResult,
  type StreamAppend,
  type SubscribeOptions,
  type SubscriptionBatch,
} from "@millrace/engine";
import { Changes } from "./changes.ts";
import { memoryEventLists } from "./memory-event-lists.ts";

export interface MemoryEventLogOptions {
  readonly env: Env;
  /** Default 16 MiB, as the embedded log's. */
  readonly appendBytesMax?: number;
}

const APPEND_BYTES_MAX = 16 * 1024 * 1024;
/** What an event costs besides its payload and names, as in the embedded log's record. */
const EVENT_BYTES = 112;
const BATCH_EVENTS_MAX = 512;
/** Positions looked at for one batch of a subscription, so that a filter that passes nothing still reports progress. */
const BATCH_POSITIONS_MAX = 8192;

export function memoryEventLog(options: MemoryEventLogOptions): EventLog {
  return new MemoryEventLog(options);
}

class MemoryEventLog implements EventLog {
  readonly id: string;
  readonly appendBytesMax: number;
  readonly #env: Env;
  readonly #events: RecordedEvent[] = [];
  readonly lists: EventLists = memoryEventLists(this.#events, () => this.#mustBeOpen());
  /** Positions of a stream's events, by revision. */
  readonly #streams = new Map<string, number[]>();
  /** Appends by the id of their first event, to recognise retries. */
  readonly #appends = new Map<string, { readonly request: readonly StreamAppend[]; readonly result: AppendResult }>();
  /** Appends, and the close. */
  readonly #changes = new Changes();
  #lastTimeMs = 0;
  #closed = false;

  constructor(options: MemoryEventLogOptions) {
    this.#env = options.env;
    this.appendBytesMax = options.appendBytesMax ?? APPEND_BYTES_MAX;
    this.id = hex(options.env.random.bytes(16));
  }

  get durableEnd(): number {
    return this.#events.length;
  }

  async append(appends: readonly StreamAppend[]): Promise<AppendResult> {
    this.#mustBeOpen();
    const repeated = this.#earlier(appends);
    if (repeated !== undefined) return { ...repeated, repeated: true };
    this.#check(appends);
    const firstPosition = this.#events.length;
    this.#lastTimeMs = Math.max(this.#lastTimeMs, this.#env.clock.now());
    const copied = appends.map((a) => ({ ...a, events: a.events.map(copiedEvent) }));
    const revisions = copied.map((a) => this.#write(a.stream, a.events));
    const result = { position: this.#events.length - 1, firstPosition, revisions, repeated: false };
    this.#appends.set(firstOf(copied), { request: copied, result });
    this.#changes.happened();
    return result;
  }

  async appendIf(condition: AppendCondition, appends: readonly StreamAppend[]): Promise<AppendResult> {
    this.#mustBeOpen();
    const known = this.#events.find(breaksCondition(condition));
    if (known === undefined) return this.append(appends);
    const from = ownAppendAt(known, appends);
    const repeated = from < 0 ? undefined : repeatedResult(this.#events.slice(from), appends);
    if (repeated === undefined) throw conditionBroken(known, condition);
    return repeated;
  }

  read(options: ReadOptions = {}): AsyncIterable<readonly RecordedEvent[]> {
    this.#mustBeOpen();
    const events = this.#events;
    return batches((i) => events[i] as RecordedEvent, events.length, options);
  }

  readStream(stream: string, options: ReadOptions = {}): AsyncIterable<readonly RecordedEvent[]> {
    this.#mustBeOpen();
    const positions = this.#streams.get(stream) ?? [];
    return batches((i) => this.#events[positions[i] as number] as RecordedEvent, positions.length, options);
  }

  async head(stream: string): Promise<number> {
    this.#mustBeOpen();
    return this.#headOf(stream);
  }

  async *subscribe({ from = 0, filter, signal }: SubscribeOptions): AsyncGenerator<SubscriptionBatch> {
    const passes = eventFilter(filter);
    let end = from;
    let announced = false;
    while (!signal.aborted && !this.#closed) {
      if (end > this.#events.length || (end === this.#events.length && announced)) {
        await this.#changes.next(signal);
        continue;
      }
      const events: RecordedEvent[] = [];
      const last = Math.min(this.#events.length, end + BATCH_POSITIONS_MAX);
      while (end < last && events.length < BATCH_EVENTS_MAX) {
        const event = this.#events[end++] as RecordedEvent;
        if (passes(event)) events.push(event);
      }
      announced = true;
      yield { events, end, live: end >= this.#events.length };
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#changes.happened();
  }

  #mustBeOpen(): void {
    if (this.#closed) throw logError("LOG-CLOSED", "the log is closed");
  }

  #headOf(stream: string): number {
    return (this.#streams.get(stream)?.length ?? 0) - 1;
  }

  #earlier(appends: readonly StreamAppend[]): AppendResult | undefined {
    const earlier = this.#appends.get(firstOf(appends));
    return earlier !== undefined && idsOf(earlier.request) === idsOf(appends) ? earlier.result : undefined;
  }

  #check(appends: readonly StreamAppend[]): void {
    const size = appends.reduce((sum, a) => sum + sizeOf(a), 0);
    if (size > this.appendBytesMax) {
      const details = { bytes: size, appendBytesMax: this.appendBytesMax };
      throw logError("LOG-TOO-LARGE", `an append of ${size} bytes exceeds ${this.appendBytesMax}`, { details });
    }
    for (const { stream, expected } of appends) {
      const actual = this.#headOf(stream);
      if (isMet(expected, actual)) continue;
      throw logError("LOG-WRONG-REVISION", `stream ${stream} is at ${actual}, expected ${expected}`, {
        place: { stream },
        details: { stream, expected, actual },
      });
    }
  }

  /** Returns the revision of the last event. */
  #write(stream: string, events: readonly EventInput[]): number {
    const positions = this.#streams.get(stream) ?? [];
    this.#streams.set(stream, positions);
    for (const event of events) {
      const position = this.#events.length;
      this.#events.push({ ...event, position, stream, revision: positions.length, timeMs: this.#lastTimeMs });
      positions.push(position);
    }
    return positions.length - 1;
  }
}

/** Events `0 ≤ i < count` as `options` ask for them. `from` and `count` are positions or revisions alike. */
async function* batches(
  at: (i: number) => RecordedEvent,
  count: number,
  { from, direction = "forward", limit = Number.POSITIVE_INFINITY, filter }: ReadOptions,
): AsyncGenerator<readonly RecordedEvent[]> {
  const passes = eventFilter(filter);
  const step = direction === "forward" ? 1 : -1;
  let left = limit;
  let i = direction === "forward" ? (from ?? 0) : Math.min(from ?? count - 1, count - 1);
  while (left > 0 && i >= 0 && i < count) {
    const batch: RecordedEvent[] = [];
    for (; i >= 0 && i < count && batch.length < Math.min(left, BATCH_EVENTS_MAX); i += step) {
      const event = at(i);
      if (passes(event)) batch.push(event);
    }
    left -= batch.length;
    if (batch.length > 0) yield batch;
  }
}

function isMet(expected: ExpectedRevision, head: number): boolean {
  if (expected === "any") return true;
  if (expected === "none") return head === -1;
  return expected === "exists" ? head >= 0 : head === expected;
}

function sizeOf({ stream, events }: StreamAppend): number {
  return events.reduce((sum, e) => sum + EVENT_BYTES + stream.length + e.type.length + e.payload.length, 0);
}

/** An append is known by its first event and that event's stream: another stream may have an event of the same id. */
function firstOf(appends: readonly StreamAppend[]): string {
  for (const { stream, events } of appends) if (events[0] !== undefined) return `${hex(events[0].id)}/${stream}`;
  return "";
}

function idsOf(appends: readonly StreamAppend[]): string {
  return appends.map((a) => `${a.stream}:${a.events.map((e) => hex(e.id)).join()}`).join(";");
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}
