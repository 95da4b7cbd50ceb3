/**
 * A feed over a {@link Connection}: listens, and when the connection has ended or could not be listened to, asks for another one.
 * What a broker must not forget meanwhile is the driver's matter: it settles with the broker what the intake has settled.
 */
import {
  type ConnectionStatus,
  type Env,
  engineError,
  type Feed,
  type FeedCapabilities,
  type FeedIntake,
  type FeedReceipt,
  type Json,
  MillraceError,
  messageOf,
  sleep,
} from "@millrace/engine";
import type { Connection } from "./connection.ts";

export interface FeedDriver<C> {
  /** Default none. */
  readonly capabilities?: FeedCapabilities;
  /** Resolves when a connection is wanted; rejects when `signal` aborts. Default: at once. */
  ready?(signal: AbortSignal): Promise<void>;
  /** A connection is of use only once the other end has said that it sends: {@link listen} tells. Default false. */
  readonly subscribes?: boolean;
  /**
   * Hands what comes over `connection` to `intake`, and resolves when the connection has ended. `heard` is called when what is sent
   * from now on will come.
   */
  listen(connection: C, intake: FeedIntake, heard: () => void): Promise<unknown>;
  /** Asked when {@link listen} has resolved: there will never be more. Default false. */
  hasEnded?(): boolean;
  /** Whether what {@link listen} rejected with ends the feed. Default false: it is tried again. */
  isFinal?(error: unknown): boolean;
}

const RETRY_MS = 100;
const RETRY_LISTEN_MS = 1000;
/** Whoever refuses does so sooner: a connection that was listened to for as long is good, though nothing came. */
const GOOD_AFTER_MS = 10_000;

/** The connection is the feed's own: it is ended with it. */
export function resilientFeed<C>(connection: Connection<C>, driver: FeedDriver<C>, env: Env): Feed {
  /** Why a connection could not be listened to, until one is proven good: one that is only connected would hide it each time. */
  let refused: string | undefined;
  /** What is sent comes. */
  let isHeard = false;
  const listen = async (held: C, intake: FeedIntake): Promise<void> => {
    const isGood = (): void => {
      refused = undefined;
    };
    const heard = (): void => {
      isHeard = true;
      if (driver.subscribes === true) isGood();
    };
    const timer = env.timers.after(GOOD_AFTER_MS, isGood);
    if (driver.subscribes !== true) heard();
    try {
      await driver.listen(held, noticed(intake, isGood), heard);
    } finally {
      isHeard = false;
      timer.cancel();
    }
  };
  return {
    ...(driver.capabilities === undefined ? {} : { capabilities: driver.capabilities }),
    connection(): ConnectionStatus {
      const { status } = connection;
      if (refused !== undefined) return { ...status, state: "backing-off", reason: refused };
      return status.state === "up" && driver.subscribes === true && !isHeard
        ? { ...status, state: "connecting" }
        : status;
    },
    async run(intake, signal) {
      signal.addEventListener("abort", () => void connection.disconnect(), { once: true });
      while (!signal.aborted) {
        let held: C | undefined;
        try {
          await driver.ready?.(signal);
          held = await connection.acquire();
          await listen(held, intake);
          if (driver.hasEnded?.() === true) return await connection.disconnect();
        } catch (error) {
          if (driver.isFinal?.(error) === true && !signal.aborted) {
            await connection.disconnect();
            throw error;
          }
          if (held !== undefined && !signal.aborted) refused = messageOf(error);
          const isAskedToWait = error instanceof MillraceError && error.retryAfterMs !== undefined;
          if (held !== undefined && isAskedToWait) connection.giveUp(held, error);
          if (held !== undefined) await connection.disconnect();
          const retryMs = held === undefined ? RETRY_MS : RETRY_LISTEN_MS;
          await sleep(env, isAskedToWait ? connection.waitMs : retryMs, signal).catch(() => undefined);
        }
      }
    },
  };
}

/** The intake, with `notice` called for everything that comes. */
function noticed(intake: FeedIntake, notice: () => void): FeedIntake {
  return {
    cursor: intake.cursor,
    takeGroup(group) {
      notice();
      intake.takeGroup(group);
    },
    take(message, receipt) {
      notice();
      intake.take(message, receipt);
    },
    reject(error, input, receipt) {
      notice();
      intake.reject(error, input, receipt);
    },
    lose(count, reason) {
      notice();
      intake.lose(count, reason);
    },
  };
}

const utf8 = new TextDecoder("utf-8", { fatal: true });
const SHOWN_BYTES_MAX = 4096;

/**
 * Takes a body that is JSON, and rejects any other (`MSG-DECODE`). `where` is the place for people, such as a queue; `around` makes the
 * message of what the body says.
 */
export function takeJson(
  intake: FeedIntake,
  data: Uint8Array,
  where: string,
  receipt?: FeedReceipt,
  around?: (body: Json) => Json,
): void {
  let message: Json;
  try {
    message = JSON.parse(utf8.decode(data)) as Json;
  } catch (cause) {
    const place = { stream: where };
    const error = engineError("MSG-DECODE", `a message of ${where} is no JSON: ${messageOf(cause)}`, { place, cause });
    intake.reject(error, beginningOf(data), receipt);
    return;
  }
  intake.take(around === undefined ? message : around(message), receipt);
}

/** What a body is shown as when it is refused for another reason: the message where it is one, so that it can be redriven. */
export function shownBody(body: Uint8Array): Json {
  try {
    return JSON.parse(utf8.decode(body)) as Json;
  } catch {
    return beginningOf(body);
  }
}

const beginningOf = (body: Uint8Array): string => Buffer.from(body.subarray(0, SHOWN_BYTES_MAX)).toString("utf8");
