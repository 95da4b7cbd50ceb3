/**
 * Behaviors written as RxJS pipes. A pipe must answer within the frame: what it emits for a frame, it emits before the call
 * that fed the frame returns. Each emission is made from a message of the frame by `message.map(value)`, so that it keeps the
 * message's place (R4). Operators that wait, merge messages or remember earlier frames do not belong into a pure node.
 *
 * Cost: each message becomes an object that knows its place, and so does each result. With {@link rxEach} every operator is called
 * for every message besides; with {@link rxBehavior} once a frame, because batches cross RxJS and not messages. `npm run bench -- hop`
 * prints both against plain functions, as `rxjsCost`.
 */
import type { Subscriber, Subscription } from "rxjs";
// All of RxJS would be two hundred files more to load at each start.
import { Observable } from "rxjs/internal/Observable";
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
  const pipe = new Pipe(build);
  return behaviorOf(pipe, (messages) => pipe.feed(messages));
}

/** A pipe over single messages: reads better, costs more. */
export function rxEach(build: (message$: Observable<Message>) => Observable<Message>): PureBehavior {
  const pipe = new Pipe(build);
  return behaviorOf(pipe, (messages) => {
    for (const message of messages) pipe.feed(message);
  });
}

function behaviorOf<T extends readonly Message[] | Message>(
  pipe: Pipe<T>,
  feed: (messages: readonly Message[]) => void,
): PureBehavior {
  return {
    kind: "pure",
    ports: ["out"],
    transform(batch: Batch): PureResult {
      const frame = {};
      const rows = batch.rows();
      const messages = new Array<Message>(rows.length);
      for (let i = 0; i < rows.length; i++) messages[i] = new Message(rows[i] as Json, i, frame);
      const emitted = pipe.during(frame, () => feed(messages));
      const values = oneToOne(emitted, rows.length);
      if (values !== undefined) return pureResult(new RowBatch(values));
      // A pipe may reorder what it emits; a lane may not (R6).
      const ordered = [...emitted].sort((a, b) => a.index - b.index);
      return pureResult(
        new RowBatch(ordered.map((message) => message.value)),
        Uint32Array.from(ordered.map((message) => message.index)),
      );
    },
  };
}

/** The values, if there is one for each of `n` messages, in their order. */
function oneToOne(emitted: readonly Message[], n: number): readonly Json[] | undefined {
  if (emitted.length !== n) return undefined;
  const values = new Array<Json>(n);
  for (let i = 0; i < n; i++) {
    const message = emitted[i] as Message;
    if (message.index !== i) return undefined;
    values[i] = message.value;
  }
  return values;
}

const NONE: readonly Message[] = [];

/** A subscribed pipe. It is built with the first frame, and again after it failed. */
class Pipe<T extends readonly Message[] | Message> {
  readonly #build: (in$: Observable<T>) => Observable<T>;
  /** Whoever listens to the messages: each branch of a pipe that takes them apart and merges them again. Replaced, never changed. */
  #inputs: readonly Subscriber<T>[] = [];
  #subscription: Subscription | undefined;
  #frame: object | undefined;
  #emitted: readonly Message[] = NONE;
  /** The same, where it is no array of the pipe's. */
  #own: Message[] | undefined;
  #failure: unknown;
  #hasFailed = false;

  constructor(build: (in$: Observable<T>) => Observable<T>) {
    this.#build = build;
  }

  feed(item: T): void {
    const inputs = this.#inputs;
    if (inputs.length === 0) this.#fail(rxError("RX-COMPLETED", "nothing in the pipe listens to the messages"));
    for (let i = 0; i < inputs.length && !this.#hasFailed; i++) (inputs[i] as Subscriber<T>).next(item);
  }

  /** What the pipe emits while `feed` runs. */
  during(frame: object, feed: () => void): readonly Message[] {
    // What was emitted between the frames is reported with the next one: nobody else would hear of it.
    if (this.#hasFailed) throw this.#takeFailure();
    this.#emitted = NONE;
    this.#own = undefined;
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
    // Captured subscribers instead of a Subject: 1.8 times as fast (performance.md §8).
    const in$ = new Observable<T>((subscriber) => {
      this.#inputs = [...this.#inputs, subscriber];
      return () => {
        this.#inputs = this.#inputs.filter((input) => input !== subscriber);
      };
    });
    this.#subscription = this.#build(in$).subscribe({
      next: (emission) => this.#take(emission),
      error: (thrown: unknown) => this.#fail(thrown),
      complete: () => this.#fail(rxError("RX-COMPLETED", "the pipe completed")),
    });
  }

  #take(emission: readonly Message[] | Message): void {
    try {
      if (emission instanceof Message) this.#add(this.#checked(emission));
      else this.#takeAll(emission);
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  /** A pipe over frames mostly answers a frame with one array, which needs no copy. */
  #takeAll(messages: readonly Message[]): void {
    for (let i = 0; i < messages.length; i++) this.#checked(messages[i]);
    if (this.#emitted === NONE) this.#emitted = messages;
    else for (let i = 0; i < messages.length; i++) this.#add(messages[i] as Message);
  }

  #add(message: Message): void {
    if (this.#own === undefined) {
      this.#own = [...this.#emitted];
      this.#emitted = this.#own;
    }
    this.#own.push(message);
  }

  #checked(message: Message | undefined): Message {
    const frame = this.#frame;
    if (frame === undefined || message?.frame !== frame) throw strayed(frame === undefined);
    return message;
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
    this.#inputs = [];
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
