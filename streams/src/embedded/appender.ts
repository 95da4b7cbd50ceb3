/**
 * Admission of appends: expected revisions against heads that count what is in flight, recognition of retries, names,
 * space; then the records go straight into the open block. Everything up to there happens in one go, so appends are applied
 * in call order; only a refusal that may be a retry looks at the disk.
 */
import {
  type AppendResult,
  type Env,
  type EventContext,
  type EventInput,
  type ExpectedRevision,
  InvariantViolation,
  logError,
  type MillraceError,
  type StreamAppend,
  tagsOf,
} from "@millrace/engine";
import type { BlockWriter } from "./block-writer.ts";
import { type Dictionary, encodeNames, NAME_BYTES_MAX, type Name, type NameKind, TYPE_NAME } from "./dictionary.ts";
import { EventId } from "./event-id.ts";
import type { LagBounds } from "./lag-bound.ts";
import type { OpenBlock } from "./open-block.ts";
import type { RecentAppends } from "./recent-appends.ts";
import { APPEND_RECORDS_MAX, type ContextNumbers, ID_BYTES, type RecordPlace, recordBytesOf } from "./record.ts";
import type { StreamHeads, StreamState } from "./stream-heads.ts";
import type { TailTable } from "./tail-table.ts";

export interface AppenderParts {
  readonly env: Env;
  readonly names: Dictionary;
  readonly heads: StreamHeads;
  readonly tail: TailTable;
  readonly recent: RecentAppends;
  readonly writer: BlockWriter;
  readonly appendBytesMax: number;
  /** Events that may be waiting for the index. */
  readonly tailEventsMax: number;
  /** Other followers that may hold appends back. */
  readonly bounds: LagBounds;
  /** Answers whether the append is the one that begins at `position`, once that is durable. */
  readonly recall: (appends: readonly StreamAppend[], position: number) => Promise<AppendResult | undefined>;
  /** Position of a stream's event, durable or in flight; `undefined` when there is none. */
  readonly positionOf: (stream: string, revision: number) => number | undefined;
}

/** A control record that goes into the first block. */
export interface ControlRecord {
  readonly type: number;
  readonly payload: Uint8Array;
}

type Resolve = (result: AppendResult) => void;
type Reject = (error: Error) => void;

interface Request {
  readonly appends: readonly StreamAppend[];
  readonly resolve: Resolve;
  readonly reject: Reject;
}

const CONTEXT_KINDS = ["principal", "tenant", "codeVersion", "graph", "node"] as const;
const RETRY_AFTER_MS = 1000;
const NANOS_PER_MS = 1_000_000n;
const WORD_BITS = 32;

export class Appender {
  readonly #parts: AppenderParts;
  readonly #waiting: Request[] = [];
  readonly #place: RecordPlace = {
    position: 0,
    timeLow: 0,
    timeHigh: 0,
    stream: 0,
    revision: 0,
    type: 0,
    index: 0,
    size: 0,
  };
  readonly #numbers: ContextNumbers = { principal: 0, tenant: 0, codeVersion: 0, graph: 0, node: 0 };
  #numbersOf: EventContext | undefined;
  /** The last type and its number: most appends repeat it. */
  #type: string | undefined;
  #typeNumber = 0;
  /** Of the streams of the append that is being admitted. */
  readonly #states: (StreamState | undefined)[] = [];
  /** Of the append that is being admitted. */
  #eventCount = 0;
  #eventBytes = 0;
  #isNamed = true;
  #controls: ControlRecord[] = [];
  readonly #id = new EventId();
  #lastTimeMs = 0;
  /** Of the promise made last. One executor for all of them: a closure for each would be garbage. */
  #resolveLast: Resolve = () => undefined;
  #rejectLast: Reject = () => undefined;
  readonly #settling = (resolve: Resolve, reject: Reject): void => {
    this.#resolveLast = resolve;
    this.#rejectLast = reject;
  };
  #stopped: Error | undefined;

  constructor(parts: AppenderParts, lastTimeMs: number, controls: readonly ControlRecord[]) {
    this.#parts = parts;
    this.#stampAt(lastTimeMs);
    this.#controls = [...controls];
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  append(appends: readonly StreamAppend[]): Promise<AppendResult> {
    const outcome = new Promise(this.#settling);
    const resolve = this.#resolveLast;
    const reject = this.#rejectLast;
    if (this.#stopped !== undefined) reject(this.#stopped);
    else if (this.#waiting.length > 0 || !this.#admit(appends, resolve, reject)) {
      this.#waiting.push({ appends, resolve, reject });
    }
    return outcome;
  }

  /** Tries what waits, in order. */
  drain(): void {
    let admitted = 0;
    for (; admitted < this.#waiting.length; admitted++) {
      const { appends, resolve, reject } = this.#waiting[admitted] as Request;
      if (!this.#admit(appends, resolve, reject)) break;
    }
    if (admitted > 0) this.#waiting.splice(0, admitted);
  }

  /** Refuses everything from now on, what waits included. */
  stop(error: Error): void {
    this.#stopped = error;
    for (const request of this.#waiting.splice(0)) request.reject(error);
  }

  /** False when it has to wait for room; otherwise the append has been answered or is in the open block. */
  #admit(appends: readonly StreamAppend[], resolve: Resolve, reject: Reject): boolean {
    try {
      // Before streams are looked up: those that are must stay what the log knows of them until their events are counted.
      this.#parts.heads.trim();
      if (this.#admitOne(appends, resolve, reject)) return true;
      const conflict = this.#conflictIn(appends);
      const retryOf = conflict < 0 ? this.#repeatedAt(appends) : this.#conflictRetry(appends, conflict);
      if (retryOf >= 0 || conflict >= 0) {
        this.#answerLater(appends, resolve, reject, retryOf, Math.max(0, conflict));
        return true;
      }
      this.#measure(appends);
      const names = this.#isNamed ? undefined : this.#newNames(appends);
      const room = this.#parts.writer.room(this.#bytesWith(names));
      if (room === "wait") return false;
      if (room === "full")
        throw logError("LOG-FULL", "no prepared segment has space", { retryAfterMs: RETRY_AFTER_MS });
      this.#encode(appends, names, resolve, reject);
    } catch (thrown) {
      reject(thrown instanceof Error ? thrown : new InvariantViolation("an append failed", { cause: thrown }));
    }
    return true;
  }

  /**
   * What nearly all appends are: one event with names that are known, nothing against it, room for it. False in any other case,
   * with nothing changed.
   */
  #admitOne(appends: readonly StreamAppend[], resolve: Resolve, reject: Reject): boolean {
    if (appends.length !== 1 || this.#controls.length > 0) return false;
    const { stream, expected, events } = appends[0] as StreamAppend;
    if (events.length !== 1) return false;
    const { heads, tail, recent, tailEventsMax, bounds, writer } = this.#parts;
    const event = events[0] as EventInput;
    const state = heads.find(stream);
    if (state === undefined || !isAsExpected(state.head, expected) || event.id.length !== ID_BYTES) return false;
    this.#id.read(event.id);
    if (mayBeRepeated(expected) && recent.find(this.#id, state.number) >= 0) return false;
    const bytes = recordBytesOf(event.payload.length);
    if (tail.size >= tailEventsMax || bounds.isReached || !writer.hasRoom(bytes)) return false;
    const type = this.#typeNumberOf(event.type);
    const numbers = this.#resolve(event.context);
    if (type === undefined || numbers === undefined) return false;
    this.#encodeOne(event, state, type, numbers);
    const position = state.lastPosition;
    writer.open.acks.push({
      result: { position, firstPosition: position, revisions: [state.head], repeated: false },
      resolve,
      reject,
    });
    writer.arm();
    return true;
  }

  /** Whatever fails does so before anything is counted. */
  #encodeOne(event: EventInput, state: StreamState, type: number, numbers: ContextNumbers): void {
    const { tail, recent, writer } = this.#parts;
    const block = writer.open;
    const place = this.#place;
    const at = block.used;
    this.#stamp();
    place.position = block.first + block.count;
    place.stream = state.number;
    place.revision = state.head + 1;
    place.type = type;
    place.index = 0;
    place.size = 1;
    const tags = tagsOf(event);
    block.addEvent(this.#id, event, place, numbers);
    tail.add(state.lastPosition, at, tags);
    state.head = place.revision;
    state.lastPosition = place.position;
    recent.add(this.#id, state.number, place.position);
  }

  /** The first stream whose head is not as expected, -1 when all are. Leaves the states of the streams in `#states`. */
  #conflictIn(appends: readonly StreamAppend[]): number {
    if (appends.length === 0) throw new InvariantViolation("an append without streams");
    for (let i = 0; i < appends.length; i++) {
      const { stream, expected, events } = appends[i] as StreamAppend;
      if (events.length === 0) throw new InvariantViolation("an append names a stream without events for it");
      this.#states[i] = this.#parts.heads.find(stream);
      if (expected === "any") continue;
      const head = this.#headBefore(appends, i);
      if (!isAsExpected(head, expected)) return i;
    }
    return -1;
  }

  /** The stream's head as part `i` of an append meets it. */
  #headBefore(appends: readonly StreamAppend[], i: number): number {
    const stream = (appends[i] as StreamAppend).stream;
    let head = this.#states[i]?.head ?? -1;
    for (let j = 0; j < i; j++) {
      const before = appends[j] as StreamAppend;
      if (before.stream === stream) head += before.events.length;
    }
    return head;
  }

  /** Where an append that nothing contradicts was appended before, or -1; only without an exact expectation can it have been. */
  #repeatedAt(appends: readonly StreamAppend[]): number {
    for (let i = 0; i < appends.length; i++) {
      const { expected } = appends[i] as StreamAppend;
      if (!mayBeRepeated(expected)) return -1;
    }
    return this.#recent(appends);
  }

  /** Where a refused append must have begun if it had been appended before; -1 when it cannot have been. */
  #conflictRetry(appends: readonly StreamAppend[], conflict: number): number {
    const recent = this.#recent(appends);
    if (recent >= 0) return recent;
    const { stream, expected } = appends[conflict] as StreamAppend;
    if (mayBeRepeated(expected)) return -1;
    const position = this.#parts.positionOf(stream, expected === "none" ? 0 : expected + 1);
    if (position === undefined) return -1;
    let before = 0;
    for (let i = 0; i < conflict; i++) before += (appends[i] as StreamAppend).events.length;
    // Below the base nobody knows where it was: that is below the base, too, however much stood before it.
    return Math.max(0, position - before);
  }

  /** A stream that has no number has no event that could be repeated. */
  #recent(appends: readonly StreamAppend[]): number {
    const stream = this.#states[0];
    if (stream === undefined) return -1;
    this.#id.read(firstIdOf(appends));
    return this.#parts.recent.find(this.#id, stream.number);
  }

  #answerLater(
    appends: readonly StreamAppend[],
    resolve: Resolve,
    reject: Reject,
    retryOf: number,
    conflict: number,
  ): void {
    const refusal = this.#wrongRevision(appends, conflict);
    if (retryOf < 0) {
      reject(refusal);
      return;
    }
    this.#parts.recall(appends, retryOf).then(
      (result) => (result === undefined ? reject(refusal) : resolve(result)),
      (thrown: unknown) => reject(thrown as Error),
    );
  }

  #wrongRevision(appends: readonly StreamAppend[], i: number): MillraceError {
    const { stream, expected } = appends[i] as StreamAppend;
    const actual = this.#headBefore(appends, i);
    return logError("LOG-WRONG-REVISION", `stream ${stream} is at revision ${actual}, expected ${expected}`, {
      place: { stream },
      details: { stream, expected, actual },
    });
  }

  /** One pass over the events: how many there are, what they take, whether all their names have numbers. */
  #measure(appends: readonly StreamAppend[]): void {
    this.#eventCount = 0;
    this.#eventBytes = 0;
    this.#isNamed = true;
    for (let i = 0; i < appends.length; i++) {
      const { events } = appends[i] as StreamAppend;
      this.#isNamed &&= this.#states[i] !== undefined;
      this.#eventCount += events.length;
      for (let j = 0; j < events.length; j++) {
        const { id, type, context, payload } = events[j] as EventInput;
        if (id.length !== ID_BYTES) throw new InvariantViolation(`an event id has ${id.length} bytes, not 16`);
        this.#eventBytes += recordBytesOf(payload.length);
        this.#isNamed &&= this.#typeNumberOf(type) !== undefined && this.#resolve(context) !== undefined;
      }
    }
  }

  #typeNumberOf(type: string): number | undefined {
    if (type === this.#type) return this.#typeNumber;
    const number = this.#parts.names.numberOf("type", type);
    if (number === undefined) return undefined;
    this.#type = type;
    this.#typeNumber = number;
    return number;
  }

  /** Names that the append is the first to use. Nothing is assigned yet: the append may still be refused. */
  #newNames(appends: readonly StreamAppend[]): Map<string, readonly [NameKind, string]> | undefined {
    let missing: Map<string, readonly [NameKind, string]> | undefined;
    const add = (kind: NameKind, name: string): void => {
      missing ??= new Map();
      missing.set(`${kind}/${name}`, [kind, name]);
    };
    const need = (kind: NameKind, name: string): void => {
      if (this.#parts.names.numberOf(kind, name) === undefined) add(kind, name);
    };
    for (let i = 0; i < appends.length; i++) {
      const { stream, events } = appends[i] as StreamAppend;
      // Nothing was found of it because it has no number.
      if (this.#states[i] === undefined) add("stream", stream);
      for (let j = 0; j < events.length; j++) {
        const { type, context } = events[j] as EventInput;
        need("type", type);
        if (this.#resolve(context) === undefined) for (const kind of CONTEXT_KINDS) need(kind, context[kind]);
      }
    }
    return missing;
  }

  /** What the measured append takes with its control records. @throws LOG-TOO-LARGE, LOG-LAG */
  #bytesWith(names: Map<string, readonly [NameKind, string]> | undefined): number {
    let bytes = this.#eventBytes;
    const records = this.#eventCount + this.#controls.length + (names === undefined ? 0 : 1);
    for (const control of this.#controls) bytes += recordBytesOf(control.payload.length);
    if (names !== undefined) bytes += recordBytesOf(bytesOfNames(names));
    const { tail, tailEventsMax, bounds, appendBytesMax } = this.#parts;
    if (bytes > appendBytesMax || records > APPEND_RECORDS_MAX) {
      const details = { bytes, bytesMax: appendBytesMax, records, recordsMax: APPEND_RECORDS_MAX };
      throw logError("LOG-TOO-LARGE", `an append of ${bytes} bytes in ${records} records is too large`, { details });
    }
    if (tail.size + records > tailEventsMax) throw lagging("index", { waiting: tail.size, waitingMax: tailEventsMax });
    const excess = bounds.look();
    if (excess !== undefined) throw lagging(excess.name, excess);
    return bytes;
  }

  #encode(
    appends: readonly StreamAppend[],
    names: Map<string, readonly [NameKind, string]> | undefined,
    resolve: Resolve,
    reject: Reject,
  ): void {
    const { recent, writer } = this.#parts;
    const block = writer.open;
    const firstPosition = block.first + block.count;
    const place = this.#place;
    this.#stamp();
    place.position = firstPosition;
    place.index = 0;
    place.size = this.#eventCount + this.#controls.length + (names === undefined ? 0 : 1);
    this.#encodeControls(names);
    const revisions: number[] = [];
    for (let i = 0; i < appends.length; i++) revisions.push(this.#encodeStream(appends[i] as StreamAppend, i, block));
    this.#id.read(firstIdOf(appends));
    recent.add(this.#id, (this.#states[0] as StreamState).number, firstPosition);
    block.acks.push({
      result: { position: place.position - 1, firstPosition, revisions, repeated: false },
      resolve,
      reject,
    });
    writer.arm();
  }

  #stamp(): void {
    const nowMs = Math.floor(this.#parts.env.clock.now());
    if (nowMs > this.#lastTimeMs) this.#stampAt(nowMs);
  }

  #stampAt(timeMs: number): void {
    this.#lastTimeMs = timeMs;
    const nanos = BigInt(timeMs) * NANOS_PER_MS;
    this.#place.timeLow = Number(BigInt.asIntN(WORD_BITS, nanos));
    this.#place.timeHigh = Number(nanos >> BigInt(WORD_BITS));
  }

  #encodeControls(names: Map<string, readonly [NameKind, string]> | undefined): void {
    if (names === undefined && this.#controls.length === 0) return;
    const controls = this.#controls;
    this.#controls = [];
    if (names !== undefined) {
      const assigned: Name[] = [...names.values()].map(([kind, name]) => this.#parts.names.assign(kind, name));
      controls.push({ type: TYPE_NAME, payload: encodeNames(assigned) });
    }
    const place = this.#place;
    place.stream = 0;
    place.revision = 0;
    for (const control of controls) {
      place.type = control.type;
      this.#parts.writer.open.addControl(place, control.payload);
      place.index++;
    }
  }

  /** In the order of {@link #encodeOne}, for the same reason. */
  #encodeStream({ stream, events }: StreamAppend, i: number, block: OpenBlock): number {
    const { heads, names, tail } = this.#parts;
    const state = this.#states[i] ?? heads.begun(stream, names.numberOf("stream", stream) as number);
    this.#states[i] = state;
    const place = this.#place;
    place.stream = state.number;
    for (let j = 0; j < events.length; j++) {
      const event = events[j] as EventInput;
      const at = block.used;
      const tags = tagsOf(event);
      place.type = this.#typeNumberOf(event.type) as number;
      place.revision = state.head + 1;
      this.#id.read(event.id);
      block.addEvent(this.#id, event, place, this.#resolve(event.context) as ContextNumbers);
      tail.add(state.lastPosition, at, tags);
      state.head = place.revision;
      state.lastPosition = place.position++;
      place.index++;
    }
    return state.head;
  }

  /** The numbers of a context's names, `undefined` when one has none yet. One context is usually shared by many events. */
  #resolve(context: EventContext): ContextNumbers | undefined {
    if (context === this.#numbersOf) return this.#numbers;
    const known = this.#numbersOf;
    this.#numbersOf = undefined;
    for (const kind of CONTEXT_KINDS) {
      if (known !== undefined && known[kind] === context[kind]) continue;
      const number = this.#parts.names.numberOf(kind, context[kind]);
      if (number === undefined) return undefined;
      this.#numbers[kind] = number;
    }
    this.#numbersOf = context;
    return this.#numbers;
  }
}

function isAsExpected(head: number, expected: ExpectedRevision): boolean {
  if (expected === "any") return true;
  return expected === "none" ? head < 0 : expected === "exists" ? head >= 0 : head === expected;
}

/** Without an exact expectation nothing but its ids tells a retry from another append. */
function mayBeRepeated(expected: ExpectedRevision): expected is "any" | "exists" {
  return expected === "any" || expected === "exists";
}

function firstIdOf(appends: readonly StreamAppend[]): Uint8Array {
  return ((appends[0] as StreamAppend).events[0] as EventInput).id;
}

function bytesOfNames(names: Map<string, readonly [NameKind, string]>): number {
  let bytes = 0;
  for (const [, name] of names.values()) {
    const length = Buffer.byteLength(name, "utf8");
    if (length > NAME_BYTES_MAX) {
      throw logError("LOG-TOO-LARGE", `a name has ${length} bytes, at most ${NAME_BYTES_MAX} are allowed`);
    }
    bytes += 8 + length;
  }
  return bytes;
}

function lagging(
  name: string,
  { waiting, waitingMax }: { readonly waiting: number; readonly waitingMax: number },
): Error {
  const details = { follower: name, waiting, waitingMax };
  return logError("LOG-LAG", `${waiting} events wait for the ${name}`, { retryAfterMs: RETRY_AFTER_MS, details });
}
