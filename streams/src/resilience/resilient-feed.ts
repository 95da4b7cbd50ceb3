/**
 * A feed over a {@link Connection}: listens, and when the connection has ended or could not be listened to, asks for another one.
 * What a broker must not forget meanwhile is the driver's matter: it settles with the broker what the intake has settled.
 */
import {
  type ConnectionStatus,
  type Env,
  type Feed,
  type FeedCapabilities,
  MillraceError,
  messageOf,
  sleep,
} from "@millrace/engine";
import { jsonDecoder } from "../format/json-format.ts";
import { connectionsOf, type MessageDecoder } from "../format/message-format.ts";
import type { Connection } from "./connection.ts";
import { leastHealthy } from "./least-healthy.ts";
import { DecodingIntake, type MessageIntake } from "./message-intake.ts";

export interface FeedDriver<C> {
  /** Default none. */
  readonly capabilities?: FeedCapabilities;
  /** Resolves when a connection is wanted; rejects when `signal` aborts. Default: at once. */
  ready?(signal: AbortSignal): Promise<void>;
  /** A connection is of use only once the other end has said that it sends: {@link listen} tells. Default false. */
  readonly subscribes?: boolean;
  /** A body, or what was rejected, that is not settled when a connection ends is handed over again over the next one. Default false. */
  readonly resends?: boolean;
  /**
   * Hands what comes over `connection` to `intake`, and resolves when the connection has ended. `heard` is called when what is sent
   * from now on will come.
   */
  listen(connection: C, intake: MessageIntake, heard: () => void): Promise<unknown>;
  /** Asked when {@link listen} has resolved: there will never be more. Default false. */
  hasEnded?(): boolean;
  /** Whether what {@link listen} rejected with ends the feed. Default false: it is tried again. */
  isFinal?(error: unknown): boolean;
}

const RETRY_MS = 100;
const RETRY_LISTEN_MS = 1000;
/** Whoever refuses does so sooner: a connection that was listened to for as long is good, though nothing came. */
const GOOD_AFTER_MS = 10_000;

/**
 * The connection and the format are the feed's own: they are ended with it.
 *
 * @param format of bodies that the driver hands over as bytes
 */
export function resilientFeed<C>(
  connection: Connection<C>,
  driver: FeedDriver<C>,
  env: Env,
  format: MessageDecoder = jsonDecoder,
): Feed {
  let decoding: DecodingIntake | undefined;
  /** Why a connection could not be listened to, until one is proven good: one that is only connected would hide it each time. */
  let refused: string | undefined;
  /** What is sent comes. */
  let isHeard = false;
  const listen = async (held: C, intake: DecodingIntake): Promise<void> => {
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
      if (driver.resends === true) intake.forget();
    }
  };
  const status = (): ConnectionStatus => {
    const { status } = connection;
    if (refused !== undefined) return { ...status, state: "backing-off", reason: refused };
    return status.state === "up" && driver.subscribes === true && !isHeard
      ? { ...status, state: "connecting" }
      : status;
  };
  const run = async (intake: DecodingIntake, signal: AbortSignal): Promise<void> => {
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
  };
  return {
    ...(driver.capabilities === undefined ? {} : { capabilities: driver.capabilities }),
    connection: () => leastHealthy([status(), ...(decoding?.connections ?? connectionsOf(format))]),
    async run(intake, signal) {
      signal.addEventListener("abort", () => void connection.disconnect(), { once: true });
      decoding = new DecodingIntake(intake, format, env, signal);
      try {
        await run(decoding, signal);
      } finally {
        await format.close?.();
      }
    },
  };
}

/** The intake, with `notice` called for everything that comes. */
function noticed(intake: MessageIntake, notice: () => void): MessageIntake {
  return {
    cursor: intake.cursor,
    takeBody(body, where, receipt, around) {
      notice();
      intake.takeBody(body, where, receipt, around);
    },
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
