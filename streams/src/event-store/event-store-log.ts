/**
 * The event log on an EventStoreDB server, for hosts that share one. Positions are the server's commit positions: dense when the
 * server is Millrace itself, rising with gaps when it is EventStoreDB. What the protocol cannot do is refused: one append goes
 * to one stream (LOG-ONE-STREAM).
 */
import { createHash } from "node:crypto";
import type { Readable } from "node:stream";
import { type AppendExpectedRevision, BACKWARDS, END, FORWARDS, START } from "@eventstore/db-client";
import {
  type AppendResult,
  type Env,
  type EventLog,
  type ExpectedRevision,
  eventFilter,
  logError,
  type MillraceError,
  type ReadOptions,
  type RecordedEvent,
  type StreamAppend,
  type SubscribeOptions,
  type SubscriptionBatch,
  sleep,
} from "@millrace/engine";
import { arrivals } from "./arrivals.ts";
import {
  appendError,
  asReading,
  type Client,
  type ConnectionOptions,
  isUnreachable,
  type Reading,
  readError,
  typeOf,
} from "./connection.ts";
import { logName } from "./log-name.ts";
import { type Outage, Server } from "./server.ts";
import { type ClientRecord, positionOf, recordedEvent, wireBytes, wireEvent } from "./wire-event.ts";

export interface EventStoreLogOptions extends ConnectionOptions {
  readonly env: Env;
  /** Largest append in bytes; default 1 MiB, as the server's default. Must not exceed the server's own. */
  readonly appendBytesMax?: number;
  /** 32 hex digits that name this log; default made from the hosts of the connection string. */
  readonly id?: string;
  /**
   * Stream whose first event names the log in place of {@link id}: it is made where it is missing. So a log that was replaced
   * by another one behind the same hosts is told from it.
   */
  readonly namedBy?: string;
  /** How long calls are made again while nobody answers, with the same ids, in ms. Default 0. Another leader is always followed. */
  readonly patienceMs?: number;
}

export interface EventStoreLog extends EventLog {
  /** Absent while the server answers. */
  readonly outage: Outage | undefined;
}

const APPEND_BYTES_MAX = 1 << 20;
/** Events that a read or a subscription holds while nobody asks for them. */
const BUFFERED_EVENTS = 256;
const RECONNECT_MS = { first: 100, most: 5000 };

/** Connects; nothing is tried again yet if nobody answers. @throws ESDB-CONFIG, ESDB-UNREACHABLE, ESDB-TLS, ESDB-DENIED */
export async function openEventStoreLog(options: EventStoreLogOptions): Promise<EventStoreLog> {
  const { env, namedBy, patienceMs = 0 } = options;
  const opening = new Server(options);
  try {
    const durableEnd = await endOf(opening);
    const named = namedBy === undefined ? undefined : await logName(opening, namedBy, env);
    const id = named ?? options.id ?? idOf(options.connectionString);
    return new ServedLog(opening.patient(patienceMs), { ...options, id }, durableEnd);
  } catch (thrown) {
    await opening.dispose();
    throw readError(thrown);
  }
}

/** Begins a read, behind the last event that was returned of it. */
type StartReading = (client: Client, last: RecordedEvent | undefined) => Reading;

interface Resolved {
  readonly event?: ClientRecord;
}

class ServedLog implements EventStoreLog {
  readonly id: string;
  readonly appendBytesMax: number;
  /** A request that is lost with its connection does not take the next ones with it. */
  readonly appendsAheadMax = 1;
  readonly #server: Server;
  readonly #env: Env;
  /** Appends under way, by what they append. */
  readonly #underWay = new Map<string, Promise<AppendResult>>();
  /** The last append of each stream that has some under way. */
  readonly #last = new Map<string, Promise<AppendResult>>();
  readonly #closing = new AbortController();
  readonly #followed: Promise<void>;
  #durableEnd: number;

  constructor(server: Server, options: EventStoreLogOptions & { readonly id: string }, durableEnd: number) {
    this.id = options.id;
    this.appendBytesMax = options.appendBytesMax ?? APPEND_BYTES_MAX;
    this.#server = server;
    this.#env = options.env;
    this.#durableEnd = durableEnd;
    this.#followed = this.#followEnd();
  }

  get durableEnd(): number {
    return this.#durableEnd;
  }

  get outage(): Outage | undefined {
    return this.#server.outage;
  }

  async append(appends: readonly StreamAppend[]): Promise<AppendResult> {
    this.#mustBeOpen();
    const append = this.#only(appends);
    const key = `${append.stream} ${append.events.map(({ id }) => Buffer.from(id).toString("hex")).join()}`;
    const earlier = this.#underWay.get(key);
    const appending = earlier === undefined ? this.#inTurn(append) : this.#afterwards(earlier, append);
    this.#underWay.set(key, appending);
    try {
      return await appending;
    } finally {
      if (this.#underWay.get(key) === appending) this.#underWay.delete(key);
    }
  }

  read(options: ReadOptions = {}): AsyncIterable<readonly RecordedEvent[]> {
    const { from, direction, filter, limit } = options;
    const isBackward = direction === "backward";
    // Backwards the server begins before a position, forwards with it.
    const start = isBackward ? (from === undefined ? END : from + 1) : (from ?? 0);
    const maxCount = filter === undefined ? limit : undefined;
    return this.#read(options, (client, last) => {
      const place = last?.position ?? start;
      return asReading(
        client.readAll(
          {
            direction: isBackward ? BACKWARDS : FORWARDS,
            fromPosition: typeof place === "number" ? placeOf(place) : place,
            requiresLeader: true,
            ...(maxCount === undefined || last !== undefined ? {} : { maxCount }),
          },
          { highWaterMark: BUFFERED_EVENTS },
        ),
      );
    });
  }

  readStream(stream: string, options: ReadOptions = {}): AsyncIterable<readonly RecordedEvent[]> {
    const { from, direction } = options;
    const isBackward = direction === "backward";
    const start = from === undefined ? (isBackward ? END : START) : BigInt(from);
    return this.#read(options, (client, last) =>
      asReading(
        client.readStream(
          stream,
          {
            direction: isBackward ? BACKWARDS : FORWARDS,
            fromRevision: last === undefined ? start : BigInt(last.revision),
            requiresLeader: true,
          },
          { highWaterMark: BUFFERED_EVENTS },
        ),
      ),
    );
  }

  async head(stream: string): Promise<number> {
    this.#mustBeOpen();
    for await (const [event] of this.#lastOf(stream)) {
      if (event === undefined) continue;
      this.#reach(event.position + 1);
      return event.revision;
    }
    return -1;
  }

  async *subscribe({ from = 0, filter, signal }: SubscribeOptions): AsyncGenerator<SubscriptionBatch> {
    const passes = eventFilter(filter);
    const over = AbortSignal.any([signal, this.#closing.signal]);
    let end = from;
    let isTold = false;
    for await (const records of this.#arriving(() => end, over)) {
      const events = records.map(recordedEvent).filter(({ position }) => position >= end);
      end = Math.max(end, (events.at(-1)?.position ?? -1) + 1);
      this.#reach(end);
      const live = end === this.#durableEnd;
      if (events.length === 0 && (isTold || !live)) continue;
      isTold = live;
      yield { events: events.filter(passes), end, live };
    }
  }

  async close(): Promise<void> {
    this.#server.end();
    while (this.#underWay.size > 0) await Promise.allSettled([...this.#underWay.values()]);
    this.#closing.abort();
    await this.#followed;
    await this.#server.dispose();
  }

  #mustBeOpen(): void {
    if (this.#closing.signal.aborted) throw logError("LOG-CLOSED", "the log is closed");
  }

  #reach(end: number): void {
    this.#durableEnd = Math.max(this.#durableEnd, end);
  }

  /** @throws LOG-ONE-STREAM, LOG-TOO-LARGE */
  #only(appends: readonly StreamAppend[]): StreamAppend {
    const [append] = appends;
    if (append === undefined || appends.length > 1)
      throw logError("LOG-ONE-STREAM", `an append to ${appends.length} streams at once cannot be sent to EventStoreDB`);
    const bytes = append.events.reduce((sum, event) => sum + wireBytes(event), 0);
    if (bytes <= this.appendBytesMax) return append;
    const details = { bytes, appendBytesMax: this.appendBytesMax };
    throw logError("LOG-TOO-LARGE", `an append of ${bytes} bytes exceeds ${this.appendBytesMax}`, { details });
  }

  async #afterwards(earlier: Promise<AppendResult>, append: StreamAppend): Promise<AppendResult> {
    const result = await earlier.catch(() => undefined);
    return result === undefined ? this.#inTurn(append) : { ...result, repeated: true };
  }

  /** One by one per stream: the client does not always send in the order of its calls. */
  async #inTurn(append: StreamAppend): Promise<AppendResult> {
    const before = this.#last.get(append.stream);
    const appending = before === undefined ? this.#append(append) : this.#behind(before, append);
    this.#last.set(append.stream, appending);
    try {
      return await appending;
    } finally {
      if (this.#last.get(append.stream) === appending) this.#last.delete(append.stream);
    }
  }

  async #behind(before: Promise<AppendResult>, append: StreamAppend): Promise<AppendResult> {
    await before.catch(() => {});
    return this.#append(append);
  }

  async #append(append: StreamAppend): Promise<AppendResult> {
    const { stream, expected, events } = append;
    // What stood below this before the request was sent was not written by it.
    const before = this.#durableEnd;
    try {
      const expectedRevision = revisionOf(expected);
      const options = { expectedRevision, requiresLeader: true } as const;
      const sent = events.map(wireEvent);
      const answer = await this.#server.call((client) => client.appendToStream(stream, sent, options));
      const position = Number(answer.position?.commit ?? 0n);
      const revision = Number(answer.nextExpectedRevision);
      this.#reach(position + 1);
      const firstPosition = await this.#firstPosition(append, revision, position);
      return { position, firstPosition, revisions: [revision], repeated: position < before };
    } catch (thrown) {
      throw conflictOf(thrown, append) ?? sizeOf(thrown, this.appendBytesMax) ?? appendError(thrown);
    }
  }

  /** The server says where the last event is; positions have gaps on some. */
  async #firstPosition({ stream, events }: StreamAppend, revision: number, position: number): Promise<number> {
    if (events.length === 1) return position;
    const options = { fromRevision: BigInt(revision - events.length + 1), maxCount: 1, requiresLeader: true };
    return this.#server.call(async (client) => {
      let first = position;
      // To its end: a read of this client that is left early is never closed.
      for await (const { event } of client.readStream(stream, options))
        if (event !== undefined) first = positionOf(event as ClientRecord);
      return first;
    });
  }

  #lastOf(stream: string): AsyncIterable<readonly RecordedEvent[]> {
    const options = { direction: BACKWARDS, fromRevision: END, maxCount: 1, requiresLeader: true } as const;
    return this.#batches((client) => asReading(client.readStream(stream, options)), this.#closing.signal);
  }

  /** Up to the durable end as it is at this call. */
  #read(options: ReadOptions, start: StartReading): AsyncIterable<readonly RecordedEvent[]> {
    return this.#limited(options, start, this.#durableEnd);
  }

  async *#limited(
    { limit = Number.POSITIVE_INFINITY, filter, direction }: ReadOptions,
    start: StartReading,
    end: number,
  ): AsyncGenerator<readonly RecordedEvent[]> {
    this.#mustBeOpen();
    const passes = eventFilter(filter);
    let left = limit;
    if (left <= 0) return;
    for await (const batch of this.#batches(start, this.#closing.signal)) {
      const events = batch.filter((event) => event.position < end && passes(event)).slice(0, left);
      left -= events.length;
      if (events.length > 0) yield events;
      if (left <= 0 || (direction !== "backward" && (batch.at(-1)?.position ?? 0) >= end - 1)) return;
    }
  }

  /**
   * What one read of the client returns; a stream that is not there has nothing. A read that is cut begins again at the last event
   * that it returned.
   */
  async *#batches(start: StartReading, signal: AbortSignal): AsyncGenerator<readonly RecordedEvent[]> {
    let last: RecordedEvent | undefined;
    let tries = this.#server.begin();
    for (;;) {
      const { client } = this.#server;
      const reading = start(client, last);
      try {
        for await (const batch of arrivals<Resolved>(reading, signal)) {
          const events = batch
            .flatMap(({ event }) => (event === undefined ? [] : [recordedEvent(event)]))
            .filter(({ position }) => position !== last?.position);
          this.#server.answered();
          if (events.length === 0) continue;
          last = events.at(-1);
          tries = this.#server.begin();
          yield events;
        }
        return;
      } catch (thrown) {
        if (typeOf(thrown) === "stream-not-found") return;
        if (!(await this.#server.isWorthAnother(tries, thrown, client))) throw readError(thrown);
      } finally {
        await reading.cancel().catch(() => {});
      }
    }
  }

  /**
   * Events from a place on for as long as nobody ends it; begins with nothing, so that the caller can say where it stands. A
   * connection that is lost is made again, and goes on from where `from` then is.
   */
  async *#arriving(from: () => number, over: AbortSignal): AsyncGenerator<readonly ClientRecord[]> {
    let waitMs = RECONNECT_MS.first;
    while (!over.aborted) {
      const fromPosition = from() === 0 ? START : placeOf(from() - 1);
      const { client } = this.#server;
      const subscription = client.subscribeToAll(
        { fromPosition, requiresLeader: true },
        { highWaterMark: BUFFERED_EVENTS },
      );
      subscription.on("confirmation", () => this.#server.answered());
      try {
        yield [];
        for await (const batch of arrivals<Resolved>(subscription as unknown as Readable, over)) {
          waitMs = RECONNECT_MS.first;
          yield batch.flatMap(({ event }) => (event === undefined ? [] : [event]));
        }
      } catch (thrown) {
        if (!isUnreachable(thrown)) throw readError(thrown);
        this.#server.lost(thrown, client);
      } finally {
        await subscription.unsubscribe().catch(() => {});
      }
      // It is cut short when there is nothing to come back for.
      await sleep(this.#env, waitMs, over).catch(() => {});
      waitMs = Math.min(RECONNECT_MS.most, waitMs * 2);
    }
  }

  /** Other writers move the end as well. */
  async #followEnd(): Promise<void> {
    try {
      for await (const records of this.#arriving(() => this.#durableEnd, this.#closing.signal)) {
        const last = records.at(-1);
        if (last !== undefined) this.#reach(positionOf(last) + 1);
      }
    } catch {
      // The server refuses subscriptions: reads and appends say why.
    }
  }
}

function endOf(server: Server): Promise<number> {
  const options = { direction: BACKWARDS, fromPosition: END, maxCount: 1, requiresLeader: true } as const;
  return server.call(async (client) => {
    let end = 0;
    for await (const { event } of client.readAll(options)) if (event !== undefined) end = positionOf(event) + 1;
    return end;
  });
}

/** Hosts name a log that has no name of its own; credentials and options do not. */
function idOf(connectionString: string): string {
  const hosts = /^[\w+]+:\/\/(?:[^@/]*@)?([^/?]+)/.exec(connectionString)?.[1] ?? "";
  const sorted = hosts.toLowerCase().split(",").sort().join();
  return createHash("sha256").update(sorted).digest("hex").slice(0, 32);
}

function placeOf(position: number): { readonly commit: bigint; readonly prepare: bigint } {
  return { commit: BigInt(position), prepare: BigInt(position) };
}

function revisionOf(expected: ExpectedRevision): AppendExpectedRevision {
  if (typeof expected === "number") return BigInt(expected);
  return ({ any: "any", none: "no_stream", exists: "stream_exists" } as const)[expected];
}

function conflictOf(thrown: unknown, { stream, expected }: StreamAppend): MillraceError | undefined {
  if (typeOf(thrown) !== "wrong-expected-version") return undefined;
  const { actualVersion } = thrown as { readonly actualVersion: bigint | "no_stream" };
  const actual = typeof actualVersion === "bigint" ? Number(actualVersion) : -1;
  return logError("LOG-WRONG-REVISION", `stream ${stream} is at ${actual}, expected ${expected}`, {
    cause: thrown,
    place: { stream },
    details: { stream, expected, actual },
  });
}

function sizeOf(thrown: unknown, appendBytesMax: number): MillraceError | undefined {
  if (typeOf(thrown) !== "maximum-append-size-exceeded") return undefined;
  const options = { cause: thrown, details: { appendBytesMax } };
  return logError("LOG-TOO-LARGE", "the append is larger than what EventStoreDB takes", options);
}
