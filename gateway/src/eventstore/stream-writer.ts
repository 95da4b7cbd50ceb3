/**
 * Appends, deletes and tombstones as EventStoreDB defines them, over the log's own appends. A soft delete is metadata (`$tb`), a
 * tombstone is a `$streamDeleted` event; the log needs to know neither.
 */
import {
  type AppendCondition,
  type AppendResult,
  type Env,
  type EventLog,
  type ExpectedRevision,
  MillraceError,
  type StreamAppend,
} from "@millrace/engine";
import { conditionIn } from "./append-condition.ts";
import { eventStoreError } from "./errors.ts";
import {
  type Author,
  type ClientEvent,
  jsonEvent,
  METADATA_TYPE,
  storedEvent,
  TOMBSTONE_TYPE,
} from "./stored-event.ts";
import {
  deletedMetadata,
  isMetastream,
  isSoftDeleted,
  metastreamOf,
  revivedMetadata,
  subjectOf,
} from "./stream-metadata.ts";
import type { StreamState, StreamStates } from "./stream-states.ts";
import type { Turnstile } from "./turnstile.ts";

export interface Appended {
  /** Revision of the stream's last event, -1 when it has none. */
  readonly revision: number;
  /** Position of the last event of the append; `undefined` when it had none. */
  readonly position: number | undefined;
}

export interface StreamWriterOptions {
  readonly log: EventLog;
  readonly env: Env;
  readonly states: StreamStates;
  readonly turnstile: Turnstile;
  /** True for streams that clients may not write to although they have no events yet. */
  readonly isReserved: (stream: string) => boolean;
  /** Largest append in bytes of types, metadata and data. */
  readonly appendBytesMax: number;
}

const STREAM_BYTES_MAX = 32_768;
/** What an event counts beside its bytes. */
const EVENT_BYTES = 160;
/** Attempts of an append that expects nothing, see {@link StreamWriter.append}. */
const ATTEMPTS_MAX = 8;
/** Last events of a deleted stream among which a retry is looked for. */
const RETRIES_SEEN_MAX = 4096;

export class StreamWriter {
  readonly #options: StreamWriterOptions;
  readonly #turnstile: Turnstile;

  constructor(options: StreamWriterOptions) {
    this.#options = options;
    this.#turnstile = options.turnstile;
  }

  /**
   * Appends of one caller to one stream are applied in call order.
   *
   * @throws LOG-WRONG-REVISION, LOG-CONDITION, EVENTSTORE-DELETED, EVENTSTORE-DENIED, EVENTSTORE-TOO-LARGE, and what the log throws
   */
  async append(
    stream: string,
    expected: ExpectedRevision,
    events: readonly ClientEvent[],
    author: Author,
  ): Promise<Appended> {
    this.#checkSize(stream, events);
    const subject = subjectOf(stream);
    const stored = events.map((event) => storedEvent(event, author));
    const condition = conditionIn(events[0]?.metadata, this.#options.log);
    if (condition !== undefined) {
      const append = { stream, expected, events: stored };
      return appended(await this.appendAll([append], await condition), append);
    }
    const { result } = await this.#turnstile.pass(subject, async () => {
      const state = await this.#writable(subject);
      if (stored.length === 0) return { result: this.#nothing(stream, state, expected) };
      if (isMetastream(stream))
        return { result: await this.#changeMetadata(subject, { stream, expected, events: stored }) };
      if (isSoftDeleted(state.metadata))
        return { result: await this.#revive(state, { stream, expected, events: stored }, author) };
      // In an object, so that the next append may follow before this one is durable.
      return { result: this.#append({ stream, expected: effective(expected, state), events: stored }) };
    });
    return result;
  }

  /**
   * Appends to several streams at once, if the condition holds; each is named once.
   *
   * @throws as `append`; EVENTSTORE-DELETED one of them is deleted, softly too; LOG-CONDITION; EVENTSTORE-UNIMPLEMENTED the log takes no conditions
   */
  async appendAll(appends: readonly StreamAppend[], condition: AppendCondition | undefined): Promise<AppendResult> {
    const { log } = this.#options;
    for (const { stream } of appends) this.#checkName(subjectOf(stream));
    const { result } = await this.#inTurns(appends.map(({ stream }) => stream).sort(), async () => {
      const effectives = await Promise.all(appends.map((append) => this.#plain(append)));
      if (condition === undefined) return { result: log.append(effectives) };
      if (log.appendIf === undefined)
        throw eventStoreError("EVENTSTORE-UNIMPLEMENTED", "this log takes no appends with a condition");
      // In an object, so that the next append may follow before this one is durable.
      return { result: log.appendIf(condition, effectives) };
    });
    return result;
  }

  /** An append to a stream that has no past to be hidden. */
  async #plain(append: StreamAppend): Promise<StreamAppend> {
    const { stream, expected } = append;
    if (isMetastream(stream))
      throw eventStoreError("EVENTSTORE-INVALID", `${stream} is written alone, and without a condition`);
    const state = await this.#writable(stream);
    if (isSoftDeleted(state.metadata)) throw deleted(stream);
    return { ...append, expected: effective(expected, state) };
  }

  /** In the order given, which is the same for all, so that none waits for another that waits for it. */
  #inTurns<T>(streams: readonly string[], enter: () => Promise<T>): Promise<T> {
    const [first, ...rest] = streams;
    return first === undefined ? enter() : this.#turnstile.pass(first, () => this.#inTurns(rest, enter));
  }

  /** @throws EVENTSTORE-WRONG-VERSION, EVENTSTORE-DELETED, EVENTSTORE-DENIED */
  async delete(stream: string, expected: ExpectedRevision, author: Author): Promise<number> {
    this.#checkName(stream);
    return this.#turnstile.pass(subjectOf(stream), async () => {
      const state = await this.#writable(stream);
      const head = await this.#options.log.head(stream);
      if (!isMet(expected, head) || (expected === "any" && head < 0))
        throw wrongVersion("Delete", stream, expected, head);
      const metadata = jsonEvent(this.#newId(), METADATA_TYPE, deletedMetadata(state.metadata));
      const result = await this.#options.log.append([metadataAppend(stream, state, metadata, author)]);
      this.#options.states.forget(stream);
      return result.position;
    });
  }

  /** @throws EVENTSTORE-WRONG-VERSION, EVENTSTORE-DELETED, EVENTSTORE-DENIED */
  async tombstone(stream: string, expected: ExpectedRevision, author: Author): Promise<number> {
    this.#checkName(stream);
    return this.#turnstile.pass(subjectOf(stream), async () => {
      await this.#writable(stream);
      const head = await this.#options.log.head(stream);
      if (!isMet(expected, head)) throw wrongVersion("Tombstone", stream, expected, head);
      const event = storedEvent(jsonEvent(this.#newId(), TOMBSTONE_TYPE, "{}"), author);
      const result = await this.#options.log.append([{ stream, expected: exactly(head), events: [event] }]);
      this.#options.states.forget(stream);
      return result.position;
    });
  }

  /** What is known of a stream that may be appended to. @throws EVENTSTORE-DENIED, EVENTSTORE-DELETED, EVENTSTORE-INVALID */
  mustBeWritable(stream: string): Promise<StreamState> {
    this.#checkName(stream);
    return this.#writable(subjectOf(stream));
  }

  #newId(): Uint8Array {
    return this.#options.env.random.bytes(16);
  }

  async #writable(stream: string): Promise<StreamState> {
    if (this.#options.isReserved(stream)) throw denied(stream);
    const state = await this.#options.states.of(stream);
    if (state.isForeign) throw denied(stream);
    if (state.isTombstoned) throw deleted(stream);
    return state;
  }

  async #append(append: StreamAppend): Promise<Appended> {
    const { log } = this.#options;
    for (let attempt = 1; ; attempt++) {
      let exact: StreamAppend;
      try {
        return appended(await log.append([append]), append);
      } catch (thrown) {
        // A log may take the id of an event that stands in another stream for a retry of that append. Asked for an exact
        // revision it does not.
        if (typeof append.expected === "number" || attempt > ATTEMPTS_MAX || !isWrongRevision(thrown)) throw thrown;
        const head = await log.head(append.stream);
        if (!isMet(append.expected, head)) throw thrown;
        exact = { ...append, expected: exactly(head) };
      }
      try {
        return appended(await log.append([exact]), exact);
      } catch (thrown) {
        if (!isWrongRevision(thrown)) throw thrown;
      }
    }
  }

  async #changeMetadata(subject: string, append: StreamAppend): Promise<Appended> {
    const result = await this.#append(append);
    this.#options.states.forget(subject);
    return result;
  }

  /**
   * The first append after a soft delete: what was before stays out of sight. Two appends, so that a retry meets the one that
   * it repeats; if only the first happens, the stream is empty instead of not found, and nobody was told anything else.
   */
  async #revive(state: StreamState, append: StreamAppend, author: Author): Promise<Appended> {
    const { stream, expected } = append;
    const { log, states } = this.#options;
    const head = await log.head(stream);
    mustRevive(stream, expected);
    if (expected !== "none" && !isMet(expected, head)) return this.#append(append);
    const done = typeof expected === "number" ? undefined : await this.#doneBefore(append, head);
    if (done !== undefined) return done;
    const json = revivedMetadata(state.metadata, head + 1);
    await log.append([metadataAppend(stream, state, jsonEvent(this.#newId(), METADATA_TYPE, json), author)]);
    states.forget(stream);
    const exact = { ...append, expected: exactly(head) };
    return appended(await log.append([exact]), exact);
  }

  /** The append itself, when it is among the last of its stream: a retry that comes after the delete brings nothing back. */
  async #doneBefore({ stream, events }: StreamAppend, head: number): Promise<Appended | undefined> {
    const ids = events.map(({ id }) => Buffer.from(id).toString("hex"));
    const read: { readonly id: string; readonly revision: number; readonly position: number }[] = [];
    // Of what was pruned nothing is known: a retry of it brings the stream back.
    if ((await this.#options.log.prunedEnd?.(stream)) !== undefined) return undefined;
    const options = { direction: "backward", from: head, limit: RETRIES_SEEN_MAX } as const;
    for await (const batch of this.#options.log.readStream(stream, options))
      for (const { id, revision, position } of batch)
        read.push({ id: Buffer.from(id).toString("hex"), revision, position });
    read.reverse();
    const at = read.findIndex(({ id }) => id === ids[0]);
    const last = at < 0 ? undefined : read[at + ids.length - 1];
    if (last === undefined || ids.some((id, i) => read[at + i]?.id !== id)) return undefined;
    return { revision: last.revision, position: last.position };
  }

  async #nothing(stream: string, state: StreamState, expected: ExpectedRevision): Promise<Appended> {
    const isGone = isSoftDeleted(state.metadata);
    if (isGone) mustRevive(stream, expected);
    const head = await this.#options.log.head(stream);
    const isRevival = isGone && expected === "none";
    if (!isRevival && !isMet(effective(expected, state), head)) throw wrongVersion("Append", stream, expected, head);
    return { revision: head, position: undefined };
  }

  #checkName(stream: string): void {
    if (stream === "" || Buffer.byteLength(stream) > STREAM_BYTES_MAX)
      throw eventStoreError("EVENTSTORE-INVALID", "a stream name is empty or too long");
    if (stream === "$all" || isMetastream(subjectOf(stream)))
      throw eventStoreError("EVENTSTORE-INVALID", `${stream} is no stream that can be written`);
  }

  #checkSize(stream: string, events: readonly ClientEvent[]): void {
    this.#checkName(stream);
    const { appendBytesMax } = this.#options;
    const bytes = events.reduce((sum, event) => sum + sizeOf(event), 0);
    if (bytes > appendBytesMax) throw tooLarge(bytes, appendBytesMax);
  }
}

/** What one event counts against the limit of an append. */
export function sizeOf({ type, metadata, data }: ClientEvent): number {
  return EVENT_BYTES + type.length + metadata.length + data.length;
}

export function tooLarge(bytes: number, appendBytesMax: number): MillraceError {
  const details = { bytes, appendBytesMax };
  return eventStoreError("EVENTSTORE-TOO-LARGE", `Maximum Append Size Exceeded: ${bytes} of ${appendBytesMax} bytes.`, {
    details,
  });
}

export function deleted(stream: string): MillraceError {
  const options = { details: { stream }, place: { stream } };
  return eventStoreError("EVENTSTORE-DELETED", `Event stream '${stream}' is deleted.`, options);
}

export function isWrongRevision(thrown: unknown): thrown is MillraceError {
  return thrown instanceof MillraceError && thrown.code === "LOG-WRONG-REVISION";
}

export function isMet(expected: ExpectedRevision, head: number): boolean {
  if (expected === "any") return true;
  if (expected === "none") return head === -1;
  return expected === "exists" ? head >= 0 : head === expected;
}

function denied(stream: string): MillraceError {
  const options = { details: { stream }, place: { stream } };
  return eventStoreError("EVENTSTORE-DENIED", `Access denied: stream ${stream} belongs to a graph.`, options);
}

/** Clients know this error by its text as well. */
function wrongVersion(operation: string, stream: string, expected: ExpectedRevision, head: number): MillraceError {
  const number = versionNumber(expected);
  const message = `${operation} failed due to WrongExpectedVersion. Stream: ${stream}, Expected version: ${number}, Actual version: ${head}`;
  const details = { stream, expected: number, actual: head };
  return eventStoreError("EVENTSTORE-WRONG-VERSION", message, { details, place: { stream } });
}

/** EventStoreDB's numbers for expectations that are none. */
function versionNumber(expected: ExpectedRevision): number {
  if (typeof expected === "number") return expected;
  return { none: -1, any: -2, exists: -4 }[expected];
}

/** A stream that has metadata exists. */
function effective(expected: ExpectedRevision, { metadataHead }: StreamState): ExpectedRevision {
  return expected === "exists" && metadataHead >= 0 ? "any" : expected;
}

function mustRevive(stream: string, expected: ExpectedRevision): void {
  if (expected === "exists") throw deleted(stream);
}

function exactly(head: number): ExpectedRevision {
  return head < 0 ? "none" : head;
}

function metadataAppend(stream: string, state: StreamState, event: ClientEvent, author: Author): StreamAppend {
  const expected = exactly(state.metadataHead);
  return { stream: metastreamOf(stream), expected, events: [storedEvent(event, author)] };
}

function appended(
  { firstPosition, revisions }: { readonly firstPosition: number; readonly revisions: readonly number[] },
  { events }: StreamAppend,
): Appended {
  return { revision: revisions[0] ?? -1, position: firstPosition + events.length - 1 };
}
