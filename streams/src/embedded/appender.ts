/**
 * Admission of appends: expected revisions against heads that count what is in flight, recognition of retries, names,
 * space; then the records go straight into the open block. Everything up to there happens in one go, so appends are applied
 * in call order; only a refusal that may be a retry looks at the disk.
 */
import {
  type AppendResult,
  type Env,
  type EventContext,
  InvariantViolation,
  logError,
  type MillraceError,
  type StreamAppend,
} from "@millrace/engine";
import type { BlockWriter } from "./block-writer.ts";
import { type Dictionary, encodeNames, NAME_BYTES_MAX, type Name, type NameKind, TYPE_NAME } from "./dictionary.ts";
import type { Ack } from "./open-block.ts";
import type { RecentAppends } from "./recent-appends.ts";
import { APPEND_RECORDS_MAX, type ContextNumbers, type RecordPlace, recordBytes } from "./record.ts";
import type { StreamHeads, StreamState } from "./stream-heads.ts";
import type { TailTable } from "./tail-table.ts";

export interface AppenderParts {
  readonly env: Env;
  readonly names: Dictionary;
  readonly heads: StreamHeads;
  readonly tail: TailTable;
  readonly recent: RecentAppends;
  readonly writer: () => BlockWriter;
  readonly appendBytesMax: number;
  /** Events that may be waiting for the index. */
  readonly tailEventsMax: number;
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

interface Request {
  readonly appends: readonly StreamAppend[];
  readonly resolve: (result: AppendResult) => void;
  readonly reject: (error: Error) => void;
}

const CONTEXT_KINDS = ["principal", "tenant", "codeVersion", "graph", "node"] as const;
const RETRY_AFTER_MS = 1000;
const ID_BYTES = 16;

export class Appender {
  readonly #parts: AppenderParts;
  readonly #waiting: Request[] = [];
  readonly #place: RecordPlace = { position: 0, timeMs: 0, stream: 0, revision: 0, type: 0, index: 0, size: 0 };
  readonly #numbers: ContextNumbers = { principal: 0, tenant: 0, codeVersion: 0, graph: 0, node: 0 };
  #numbersOf: EventContext | undefined;
  #controls: ControlRecord[] = [];
  #lastTimeMs: number;
  #stopped: Error | undefined;

  constructor(parts: AppenderParts, lastTimeMs: number, controls: readonly ControlRecord[]) {
    this.#parts = parts;
    this.#lastTimeMs = lastTimeMs;
    this.#controls = [...controls];
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  append(appends: readonly StreamAppend[]): Promise<AppendResult> {
    return new Promise((resolve, reject) => {
      const request = { appends, resolve, reject };
      if (this.#stopped !== undefined) reject(this.#stopped);
      else if (this.#waiting.length > 0 || !this.#admit(request)) this.#waiting.push(request);
    });
  }

  /** Tries what waits, in order. */
  drain(): void {
    let admitted = 0;
    while (admitted < this.#waiting.length && this.#admit(this.#waiting[admitted] as Request)) admitted++;
    this.#waiting.splice(0, admitted);
  }

  /** Refuses everything from now on, what waits included. */
  stop(error: Error): void {
    this.#stopped = error;
    for (const request of this.#waiting.splice(0)) request.reject(error);
  }

  /** False when it has to wait for room; otherwise the request has been answered or is in the open block. */
  #admit(request: Request): boolean {
    try {
      const { appends } = request;
      const conflict = this.#conflictIn(appends);
      const retryOf = conflict === undefined ? this.#repeatedAt(appends) : this.#conflictRetry(appends, conflict);
      if (retryOf !== undefined || conflict !== undefined) {
        this.#answerLater(request, retryOf, conflict);
        return true;
      }
      const names = this.#newNames(appends);
      const bytes = this.#bytesOf(appends, names);
      const room = this.#parts.writer().room(bytes);
      if (room === "wait") return false;
      if (room === "full")
        throw logError("LOG-FULL", "no prepared segment has space", { retryAfterMs: RETRY_AFTER_MS });
      this.#encode(request, names);
      return true;
    } catch (thrown) {
      request.reject(thrown instanceof Error ? thrown : new InvariantViolation("an append failed", { cause: thrown }));
      return true;
    }
  }

  /** The first stream whose head is not as expected. */
  #conflictIn(appends: readonly StreamAppend[]): number | undefined {
    for (let i = 0; i < appends.length; i++) {
      const append = appends[i] as StreamAppend;
      if (append.events.length === 0) throw new InvariantViolation("an append names a stream without events for it");
      if (append.expected === "any") continue;
      const head = this.#headBefore(appends, i);
      const holds =
        append.expected === "none" ? head < 0 : append.expected === "exists" ? head >= 0 : head === append.expected;
      if (!holds) return i;
    }
    if (appends.length === 0) throw new InvariantViolation("an append without streams");
    return undefined;
  }

  /** The stream's head as part `i` of an append meets it. */
  #headBefore(appends: readonly StreamAppend[], i: number): number {
    const stream = (appends[i] as StreamAppend).stream;
    let head = this.#parts.heads.find(stream)?.head ?? -1;
    for (let j = 0; j < i; j++) {
      const before = appends[j] as StreamAppend;
      if (before.stream === stream) head += before.events.length;
    }
    return head;
  }

  /** Where an append that nothing contradicts was appended before; only without an exact expectation can it have been. */
  #repeatedAt(appends: readonly StreamAppend[]): number | undefined {
    for (const { expected } of appends) if (expected !== "any" && expected !== "exists") return undefined;
    const position = this.#parts.recent.find(firstIdOf(appends));
    return position < 0 ? undefined : position;
  }

  /** Where a refused append must have begun if it had been appended before. */
  #conflictRetry(appends: readonly StreamAppend[], conflict: number): number | undefined {
    const recent = this.#parts.recent.find(firstIdOf(appends));
    if (recent >= 0) return recent;
    const { stream, expected } = appends[conflict] as StreamAppend;
    if (expected === "any" || expected === "exists") return undefined;
    const position = this.#parts.positionOf(stream, expected === "none" ? 0 : expected + 1);
    if (position === undefined) return undefined;
    let before = 0;
    for (let i = 0; i < conflict; i++) before += (appends[i] as StreamAppend).events.length;
    return position - before < 0 ? undefined : position - before;
  }

  #answerLater(request: Request, retryOf: number | undefined, conflict: number | undefined): void {
    const { appends } = request;
    const refusal = this.#wrongRevision(appends, conflict ?? 0);
    if (retryOf === undefined) {
      request.reject(refusal);
      return;
    }
    this.#parts.recall(appends, retryOf).then(
      (result) => (result === undefined ? request.reject(refusal) : request.resolve(result)),
      (thrown: unknown) => request.reject(thrown as Error),
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

  /** Names that the append is the first to use. Nothing is assigned yet: the append may still be refused. */
  #newNames(appends: readonly StreamAppend[]): Map<string, readonly [NameKind, string]> | undefined {
    let missing: Map<string, readonly [NameKind, string]> | undefined;
    const need = (kind: NameKind, name: string): void => {
      if (this.#parts.names.numberOf(kind, name) !== undefined) return;
      missing ??= new Map();
      missing.set(`${kind}/${name}`, [kind, name]);
    };
    for (const { stream, events } of appends) {
      if (this.#parts.heads.find(stream) === undefined) need("stream", stream);
      for (const { type, context } of events) {
        need("type", type);
        if (this.#resolve(context) === undefined) for (const kind of CONTEXT_KINDS) need(kind, context[kind]);
      }
    }
    return missing;
  }

  #bytesOf(appends: readonly StreamAppend[], names: Map<string, readonly [NameKind, string]> | undefined): number {
    let bytes = 0;
    let records = this.#controls.length + (names === undefined ? 0 : 1);
    for (const control of this.#controls) bytes += recordBytes(control.payload.length);
    for (const { events } of appends) {
      records += events.length;
      for (const event of events) {
        if (event.id.length !== ID_BYTES)
          throw new InvariantViolation(`an event id has ${event.id.length} bytes, not 16`);
        bytes += recordBytes(event.payload.length);
      }
    }
    if (names !== undefined) bytes += recordBytes(bytesOfNames(names));
    const { tail, tailEventsMax, appendBytesMax } = this.#parts;
    if (bytes > appendBytesMax || records > APPEND_RECORDS_MAX) {
      const details = { bytes, bytesMax: appendBytesMax, records, recordsMax: APPEND_RECORDS_MAX };
      throw logError("LOG-TOO-LARGE", `an append of ${bytes} bytes in ${records} records is too large`, { details });
    }
    if (tail.size + records > tailEventsMax) {
      const details = { waiting: tail.size, waitingMax: tailEventsMax };
      throw logError("LOG-LAG", `${tail.size} events wait for the index`, { retryAfterMs: RETRY_AFTER_MS, details });
    }
    return bytes;
  }

  #encode(request: Request, names: Map<string, readonly [NameKind, string]> | undefined): void {
    const { appends } = request;
    const { env, recent, writer } = this.#parts;
    const block = writer().open;
    const firstPosition = block.first + block.count;
    const place = this.#place;
    this.#lastTimeMs = Math.max(this.#lastTimeMs, Math.floor(env.clock.now()));
    place.timeMs = this.#lastTimeMs;
    place.position = firstPosition;
    place.index = 0;
    place.size = this.#controls.length + (names === undefined ? 0 : 1);
    for (const { events } of appends) place.size += events.length;
    this.#encodeControls(names);
    const revisions: number[] = [];
    for (const append of appends) revisions.push(this.#encodeStream(append));
    recent.add(firstIdOf(appends), firstPosition);
    const result = { position: place.position - 1, firstPosition, revisions, repeated: false };
    const ack: Ack = { result, resolve: request.resolve, reject: request.reject };
    block.acks.push(ack);
    writer().arm();
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
      this.#parts.writer().open.addControl(place, control.payload);
      place.index++;
    }
  }

  #encodeStream({ stream, events }: StreamAppend): number {
    const { heads, names, tail, writer } = this.#parts;
    const state: StreamState = heads.get(stream, names.numberOf("stream", stream) as number);
    const place = this.#place;
    const block = writer().open;
    place.stream = state.number;
    for (const event of events) {
      place.type = names.numberOf("type", event.type) as number;
      place.revision = ++state.head;
      tail.add(state.lastPosition, block.used);
      block.addEvent(event, place, this.#resolve(event.context) as ContextNumbers);
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

function firstIdOf(appends: readonly StreamAppend[]): Uint8Array {
  return ((appends[0] as StreamAppend).events[0] as { readonly id: Uint8Array }).id;
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
