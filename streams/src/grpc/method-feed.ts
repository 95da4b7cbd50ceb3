/**
 * The answers of a method as a feed. With a cursor, where to go on is committed in one step with what was read, and a field of the next
 * request takes it: a crash or a broken connection neither loses nor repeats a message of a service that keeps its word about that. Without
 * one, what is on its way then is lost, or said again, as the service does. What comes faster than it becomes durable stays with the
 * service: the library reads no more of the stream, and HTTP/2's window closes.
 */
import type { ClientReadableStream, ServiceError } from "@grpc/grpc-js";
import {
  type Env,
  type Feed,
  type FeedIntake,
  type FeedItem,
  type JsonObject,
  MillraceError,
  sleep,
} from "@millrace/engine";
import { UNSETTLED_MAX, Unsettled } from "../http/unsettled.ts";
import type { Connection } from "../resilience/connection.ts";
import { resilientFeed } from "../resilience/resilient-feed.ts";
import { type Answer, type AnswerOptions, answerOf, type GrpcPlace, placeOf, requestAt } from "./answer-items.ts";
import { type FailureContext, sourceFailure } from "./call-failure.ts";
import type { ServiceMethod } from "./described-method.ts";
import type { GrpcLink } from "./grpc-link.ts";

export interface MethodFeedOptions extends AnswerOptions {
  readonly method: ServiceMethod;
  /** Fields of every request. Default none. */
  readonly request?: JsonObject;
  /** For one call that has one answer, in ms. Default 10 s. */
  readonly deadlineMs?: number | undefined;
  /** How long after an answer, or the end of a stream, is called again, in ms. Default 1 min, after a stream 1 s. */
  readonly everyMs?: number;
  /** The feed ends with the first call that ends well, and says nothing more where there is a cursor. */
  readonly untilEnd?: boolean;
}

export const DEADLINE_MS = 10_000;
const EVERY_MS = 60_000;
const EVERY_STREAM_MS = 1000;

/** The connection is the feed's own. `heard` is told what is read of it, see {@link Hearing}. */
export function methodFeed(
  options: MethodFeedOptions,
  connection: Connection<GrpcLink>,
  context: FailureContext,
  hearing: Hearing,
  env: Env,
): Feed {
  const reader = new MethodReader(options, context, hearing, env);
  const feed = resilientFeed(
    connection,
    {
      listen: (link, intake) => reader.follow(link, intake),
      hasEnded: () => reader.hasEnded,
      isFinal: (error) => error instanceof MillraceError && (error.kind === "terminal" || error.kind === "rejected"),
    },
    env,
  );
  return {
    capabilities: { ordered: true, pause: true, ...(options.cursor === undefined ? {} : { resume: true }) },
    connection: () => feed.connection(),
    run(intake, signal) {
      reader.startAt(intake.cursor);
      return feed.run(intake, signal);
    },
  };
}

/** When a stream was last heard of, for whoever probes the connection. */
export class Hearing {
  #sinceMs: number | undefined;

  /** A stream that is read said something, or begins. */
  heard(nowMs: number): void {
    this.#sinceMs = nowMs;
  }

  /** Nothing is read: who does not read hears nothing. */
  deaf(): void {
    this.#sinceMs = undefined;
  }

  silentForMs(nowMs: number): number {
    return this.#sinceMs === undefined ? 0 : nowMs - this.#sinceMs;
  }
}

class MethodReader {
  readonly #options: MethodFeedOptions;
  readonly #context: FailureContext;
  readonly #hearing: Hearing;
  readonly #env: Env;
  #place: GrpcPlace = {};
  #unsettled = new Unsettled(UNSETTLED_MAX);
  /** Monotonic ms before which nothing is asked, over whichever connection. */
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  hasEnded = false;

  constructor(options: MethodFeedOptions, context: FailureContext, hearing: Hearing, env: Env) {
    this.#options = options;
    this.#context = context;
    this.#hearing = hearing;
    this.#env = env;
  }

  startAt(cursor: Parameters<typeof placeOf>[0]): void {
    this.#place = placeOf(cursor);
    this.#unsettled = new Unsettled(UNSETTLED_MAX);
    this.#notBeforeMs = Number.NEGATIVE_INFINITY;
    this.hasEnded = false;
  }

  /** Calls again and again until the connection has ended, or the method. @throws what a failed call means */
  async follow(link: GrpcLink, intake: FeedIntake): Promise<void> {
    const { method, everyMs = method.givesMany ? EVERY_STREAM_MS : EVERY_MS, untilEnd } = this.#options;
    while (await this.#isDue(link)) {
      const hasMore = await (method.givesMany ? this.#stream(link, intake) : this.#ask(link, intake));
      if (hasMore === undefined) return;
      if (hasMore) continue;
      this.#notBeforeMs = this.#env.clock.monotonic() + everyMs;
      if (untilEnd !== true) continue;
      this.hasEnded = true;
      return;
    }
  }

  /** Resolves with true when it is time to ask, with false when the connection has ended before. */
  async #isDue({ signal }: GrpcLink): Promise<boolean> {
    const waitMs = this.#notBeforeMs - this.#env.clock.monotonic();
    if (waitMs > 0) await sleep(this.#env, waitMs, signal).catch(() => undefined);
    return !signal.aborted;
  }

  get #request(): Buffer {
    const { method, request = {}, cursor } = this.#options;
    return method.request.encode(requestAt(request, this.#place, cursor));
  }

  /** Resolves once the messages are durable: whether there may be more now; `undefined` when the connection has ended before. */
  async #ask(link: GrpcLink, intake: FeedIntake): Promise<boolean | undefined> {
    const { method, deadlineMs = DEADLINE_MS } = this.#options;
    const bytes = await link.unary(method.path, this.#request, { deadlineMs }).catch((error: ServiceError) => {
      throw sourceFailure(error, this.#context);
    });
    if (link.signal.aborted) return undefined;
    const answer = answerOf(bytes, this.#place, method.answer, this.#context.name, this.#options);
    this.#place = answer.place;
    await durable(link.signal, (settled) => this.#hand(answer, intake, settled));
    // The same question would have the same answer.
    return link.signal.aborted ? undefined : answer.items.length > 0 && answer.hasMoved;
  }

  /** Resolves once the stream has ended well, behind which there is no more, and all of it is durable; or as {@link #ask} does. */
  #stream(link: GrpcLink, intake: FeedIntake): Promise<false | undefined> {
    const { method } = this.#options;
    const call = link.answers(method.path, this.#request);
    let came = 0;
    let isOver = false;
    return new Promise((resolve, reject) => {
      const open = new OpenAnswers(call, this.#unsettled, this.#hearing, () => this.#env.clock.monotonic());
      const over = (): void => {
        isOver = true;
        link.signal.removeEventListener("abort", aborted);
        open.end();
      };
      const failed = (error: unknown): void => {
        over();
        call.cancel();
        reject(error);
      };
      const aborted = (): void => {
        over();
        resolve(undefined);
      };
      link.signal.addEventListener("abort", aborted, { once: true });
      call.on("data", (bytes: Buffer) => {
        // What came with one that failed is behind it, and must not be taken before it.
        if (link.signal.aborted || isOver) return;
        try {
          const answer = answerOf(bytes, this.#place, method.answer, this.#context.name, this.#options);
          this.#place = answer.place;
          came += answer.items.length;
          open.heard();
          this.#hand(answer, intake, open.add(bytes.length));
        } catch (error) {
          failed(error);
        }
      });
      call.on("error", (error: ServiceError) => {
        // A link that has ended says why itself.
        if (link.signal.aborted) return;
        const failure = sourceFailure(error, this.#context);
        const wasGood = came > 0 && failure.kind === "transient";
        if (wasGood) link.end(failure);
        else failed(failure);
      });
      call.on("end", () =>
        open.whenSettled(() => {
          over();
          resolve(false);
        }),
      );
    });
  }

  #hand({ items, place, hasMoved }: Answer, intake: FeedIntake, settle: () => void): void {
    if (items.length === 0 && !hasMoved) settle();
    else if (this.#options.cursor !== undefined) intake.takeGroup({ items, cursor: { ...place }, settle });
    else this.#handEach(items, intake, settle);
  }

  #handEach(items: readonly FeedItem[], intake: FeedIntake, settle: () => void): void {
    let left = items.length;
    const one = (): void => {
      if (--left === 0) settle();
    };
    for (const { message, id, error } of items) {
      const receipt = { settle: one, ...(id === undefined ? {} : { id }) };
      if (error === undefined) intake.take(message, receipt);
      else intake.reject(error, message, receipt);
    }
  }
}

/** What came over a stream and is not durable yet; too much of it holds the stream. What becomes durable after its end says nothing of the next one. */
class OpenAnswers {
  readonly #unsettled: Unsettled;
  readonly #hearing: Hearing;
  readonly #now: () => number;
  #count = 0;
  #isHeld = false;
  #hasEnded = false;
  #settled: () => void = () => undefined;

  constructor(call: ClientReadableStream<Buffer>, unsettled: Unsettled, hearing: Hearing, now: () => number) {
    this.#hearing = hearing;
    this.#now = now;
    this.heard();
    this.#unsettled = unsettled;
    unsettled.tell((isFull) => {
      this.#isHeld = isFull;
      if (isFull) call.pause();
      else call.resume();
      this.heard();
    });
  }

  heard(): void {
    if (this.#hasEnded) return;
    if (this.#isHeld) this.#hearing.deaf();
    else this.#hearing.heard(this.#now());
  }

  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#hearing.deaf();
  }

  /** Returns what is to be called once it is durable. */
  add(bytes: number): () => void {
    const settled = this.#unsettled.add(bytes);
    this.#count++;
    return () => {
      settled();
      if (--this.#count === 0) this.#settled();
    };
  }

  whenSettled(settled: () => void): void {
    this.#settled = settled;
    if (this.#count === 0) settled();
  }
}

/** Resolves once `settled`, which `hand` is given, was called, or nobody waits any more. */
function durable(signal: AbortSignal, hand: (settled: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const settled = (): void => {
      signal.removeEventListener("abort", settled);
      resolve();
    };
    signal.addEventListener("abort", settled, { once: true });
    hand(settled);
  });
}
