/**
 * Behaviors written as RxJS pipes. A pipe must answer within the frame: what it emits for a frame, it emits before the call
 * that fed the frame returns. Each emission is made from a message of the frame by `message.map(value)`, so that it keeps the
 * message's place (R4). Operators that wait, merge messages or remember earlier frames do not belong into a pure node.
 *
 * Cost: six {@link rxBehavior} in a row take 1.1 times as long per message as six plain functions, because batches cross RxJS
 * and not messages; six {@link rxEach} take 2.2 times as long, as every operator is called for every message.
 */
import { Observable, type Subscriber, type Subscription } from "rxjs";
import { defineErrors, type MillraceError } from "../errors.ts";
import { type Batch, RowBatch } from "../frame/batch.ts";
import type { Json } from "../frame/json.ts";
import { type PureBehavior, type PureResult, pureResult } from "./pure-behavior.ts";

export const rxError = defineErrors({
  "RX-ASYNC": {
    kind: "programmer",
    summary: "An RxJS pipe emitted after its frame, or something that is no message of its frame.",
    remedy:
      "Emit synchronously and by message.map(value); use a calculator or a committed behavior for what takes time.",
  },
  "RX-COMPLETED": {
    kind: "programmer",
    summary: "An RxJS pipe completed, so it would drop every further message.",
    remedy: "Leave out operators that complete, such as take and first.",
  },
});

/** One message inside a pipe. Values are immutable. */
export class Message<T extends Json = Json> {
  readonly value: T;
  /** Index in its frame. */
  readonly index: number;
  /** Names the frame. */
  readonly frame: object;

  constructor(value: T, index: number, frame: object) {
    this.value = value;
    this.index = index;
    this.frame = frame;
  }

  /** Another value in this message's place. Several for one message expand it, in order. */
  map<U extends Json>(value: U): Message<U> {
    return new Message(value, this.index, this.frame);
  }
}

/** A pipe over whole frames: the fast form. */
export function rxBehavior(
  build: (messages$: Observable<readonly Message[]>) => Observable<readonly Message[]>,
): PureBehavior {
  const pipe = new Pipe<readonly Message[]>(build, (messages, take) => messages.forEach(take));
  return behaviorOf(pipe, (messages) => pipe.feed(messages));
}

/** A pipe over single messages: reads better, costs more. */
export function rxEach(build: (message$: Observable<Message>) => Observable<Message>): PureBehavior {
  const pipe = new Pipe<Message>(build, (message, take) => take(message));
  return behaviorOf(pipe, (messages) => {
    for (const message of messages) pipe.feed(message);
  });
}

function behaviorOf<T>(pipe: Pipe<T>, feed: (messages: readonly Message[]) => void): PureBehavior {
  return {
    kind: "pure",
    ports: ["out"],
    transform(batch: Batch): PureResult {
      const frame = {};
      const messages = batch.rows().map((row, i) => new Message(row, i, frame));
      const emitted = pipe.during(frame, () => feed(messages));
      if (isOneToOne(emitted, messages.length))
        return pureResult(new RowBatch(emitted.map((message) => message.value)));
      // A pipe may reorder what it emits; a lane may not (R6).
      const ordered = [...emitted].sort((a, b) => a.index - b.index);
      return pureResult(
        new RowBatch(ordered.map((message) => message.value)),
        Uint32Array.from(ordered, (message) => message.index),
      );
    },
  };
}

function isOneToOne(emitted: readonly Message[], n: number): boolean {
  return emitted.length === n && emitted.every((message, i) => message.index === i);
}

/** A subscribed pipe. It is built with the first frame, and again after it failed. */
class Pipe<T> {
  readonly #build: (in$: Observable<T>) => Observable<T>;
  readonly #each: (emission: T, take: (message: Message) => void) => void;
  #input: Subscriber<T> | undefined;
  #subscription: Subscription | undefined;
  #frame: object | undefined;
  #emitted: Message[] = [];
  #failure: unknown;
  #hasFailed = false;

  constructor(
    build: (in$: Observable<T>) => Observable<T>,
    each: (emission: T, take: (message: Message) => void) => void,
  ) {
    this.#build = build;
    this.#each = each;
  }

  feed(item: T): void {
    if (!this.#hasFailed) this.#input?.next(item);
  }

  /** What the pipe emits while `feed` runs. */
  during(frame: object, feed: () => void): readonly Message[] {
    // What was emitted between the frames is reported with the next one: nobody else would hear of it.
    if (this.#hasFailed) throw this.#takeFailure();
    this.#emitted = [];
    this.#frame = frame;
    try {
      if (this.#subscription === undefined) this.#subscribe();
      feed();
    } catch (thrown) {
      this.#fail(thrown);
    } finally {
      this.#frame = undefined;
    }
    if (this.#hasFailed) throw this.#takeFailure();
    return this.#emitted;
  }

  #subscribe(): void {
    // A captured subscriber instead of a Subject: 1.8 times as fast (performance.md §8).
    const in$ = new Observable<T>((subscriber) => {
      this.#input = subscriber;
    });
    this.#subscription = this.#build(in$).subscribe({
      next: (emission) => this.#take(emission),
      error: (thrown: unknown) => this.#fail(thrown),
      complete: () => this.#fail(rxError("RX-COMPLETED", "the pipe completed")),
    });
  }

  #take(emission: T): void {
    try {
      this.#each(emission, (message) => {
        if (this.#frame === undefined || message.frame !== this.#frame) throw strayed(this.#frame === undefined);
        this.#emitted.push(message);
      });
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  #fail(thrown: unknown): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#failure = thrown;
  }

  /** The pipe is in an unknown state: the next frame gets a new one. */
  #takeFailure(): unknown {
    const failure = this.#failure;
    this.#subscription?.unsubscribe();
    this.#subscription = undefined;
    this.#input = undefined;
    this.#failure = undefined;
    this.#hasFailed = false;
    return failure;
  }
}

function strayed(isLate: boolean): MillraceError {
  return rxError(
    "RX-ASYNC",
    isLate ? "the pipe emitted after its frame" : "the pipe emitted what is no message of its frame",
  );
}
