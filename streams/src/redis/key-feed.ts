/**
 * The keys of a Redis server that begin with a prefix: first what is there, then what changes, as the server's keyspace notifications
 * tell. They tell a key and not its value, which is read afterwards: a key that changes faster than it is read has one message, with the
 * newest value, and what waits here is no more than the names of keys.
 */
import { engineError, MillraceError, messageOf } from "@millrace/engine";
import type { Redis } from "ioredis";
import type { MessageIntake } from "../resilience/message-intake.ts";
import type { FeedDriver } from "../resilience/resilient-feed.ts";
import { redisError } from "./errors.ts";
import type { RedisPair } from "./redis-connection.ts";

export interface KeyFeedOptions {
  /** What the keys begin with; rows have the rest. */
  readonly prefix: string;
  /** Number of the database that the connection is for. */
  readonly db: number;
  /** Ends with what is there. */
  readonly untilNow: boolean;
  /** Most messages that are not durable. Default 1000. */
  readonly unsettledMax?: number | undefined;
}

const UNSETTLED_MAX = 1000;
/** Keys that are read at once. */
const READ_MAX = 100;
/** Keys that the server looks at before it answers a scan. */
const SCAN_COUNT = 1000;
/** Events that are about how long a key lives, and not about what it holds. */
const OF_LIFETIME: ReadonlySet<string> = new Set(["expire", "persist"]);

export function keyFeed(options: KeyFeedOptions): FeedDriver<RedisPair> {
  let isDone = false;
  return {
    capabilities: { pause: true },
    subscribes: true,
    // Each connection begins with all that is there.
    resends: true,
    async listen(pair, intake, heard) {
      isDone = await new KeyReading(pair, intake, options).run(heard);
    },
    hasEnded: () => isDone,
    isFinal: (error) => error instanceof MillraceError && error.code === "REDIS-NOTIFY",
  };
}

class KeyReading {
  readonly #pair: RedisPair;
  readonly #intake: MessageIntake;
  readonly #options: KeyFeedOptions;
  /** Keys that are to be read. */
  readonly #waiting = new Set<string>();
  /** Where the scan of what is there goes on; `undefined`: it is through. */
  #scan: string | undefined = "0";
  #unsettled = 0;
  #isOver = false;
  #wake: () => void = () => undefined;

  constructor(pair: RedisPair, intake: MessageIntake, options: KeyFeedOptions) {
    this.#pair = pair;
    this.#intake = intake;
    this.#options = options;
  }

  /** Resolves when the connection has ended, or with true when all was read that was to be. @throws REDIS-NOTIFY */
  async run(heard: () => void): Promise<boolean> {
    const { commands, notices } = this.#pair;
    for (const redis of [commands, notices])
      redis.once("end", () => {
        this.#isOver = true;
        this.#wake();
      });
    try {
      // Who subscribes before looking misses no change in between.
      if (!this.#options.untilNow) await this.#subscribe();
      await this.#scanOn();
      heard();
      return await this.#readOn();
    } catch (error) {
      if (commands.status !== "ready" || notices.status !== "ready") return false;
      throw error;
    }
  }

  async #subscribe(): Promise<void> {
    const { commands, notices } = this.#pair;
    const { prefix, db } = this.#options;
    await requireNotifications(commands);
    const channels = `__keyspace@${db}__:`;
    notices.on("pmessage", (_pattern: string, channel: string, event: string) => {
      if (OF_LIFETIME.has(event)) return;
      this.#waiting.add(channel.slice(channels.length));
      this.#wake();
    });
    await notices.psubscribe(channels + patternOf(prefix));
  }

  async #readOn(): Promise<boolean> {
    const { untilNow, unsettledMax = UNSETTLED_MAX } = this.#options;
    while (!this.#isOver) {
      const room = unsettledMax - this.#unsettled;
      if (this.#waiting.size === 0 && this.#scan !== undefined) await this.#scanOn();
      else if (this.#waiting.size > 0 && room > 0) await this.#read(Math.min(room, READ_MAX));
      else if (untilNow && this.#waiting.size === 0 && this.#unsettled === 0) return true;
      else await this.#change();
    }
    return false;
  }

  /** Something to read, room for it, or the end. */
  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  async #scanOn(): Promise<void> {
    const { commands } = this.#pair;
    const pattern = patternOf(this.#options.prefix);
    const [next, keys] = await commands.scan(this.#scan ?? "0", "MATCH", pattern, "COUNT", SCAN_COUNT);
    this.#scan = next === "0" ? undefined : next;
    for (const key of keys) this.#waiting.add(key);
  }

  async #read(most: number): Promise<void> {
    const keys: string[] = [];
    for (const key of this.#waiting) {
      if (keys.length === most) break;
      keys.push(key);
      this.#waiting.delete(key);
    }
    const pipeline = this.#pair.commands.pipeline();
    for (const key of keys) pipeline.getBuffer(key);
    const answers = (await pipeline.exec()) ?? [];
    for (const [i, key] of keys.entries()) this.#take(key, answers[i] as Answer);
  }

  #take(key: string, [failure, data]: Answer): void {
    if (failure !== null && !isOtherType(failure)) throw failure;
    const name = key.slice(this.#options.prefix.length);
    this.#unsettled++;
    const settle = (): void => {
      this.#unsettled--;
      this.#wake();
    };
    if (failure !== null) {
      const error = engineError("MSG-DECODE", `key ${key} holds no text`, { place: { stream: key }, cause: failure });
      this.#intake.reject(error, { key: name }, { settle });
    } else if (data === null) this.#intake.take({ key: name, value: null, operation: "delete" }, { settle });
    else this.#intake.takeBody(data, key, { settle }, (value) => ({ key: name, value, operation: "put" }));
  }
}

type Answer = readonly [failure: Error | null, data: Buffer | null];

const isOtherType = ({ message }: Error): boolean => message.startsWith("WRONGTYPE");

/** Keys that begin with a text, whatever is in it. */
const patternOf = (prefix: string): string => `${prefix.replace(/[\\*?[\]]/g, "\\$&")}*`;

const SETTING = "notify-keyspace-events";
/** Beside notifications by key: of commands on any key, of texts, of keys that expired, and that had to make room. */
const CLASSES = ["g", "$", "x", "e"];

/** @throws REDIS-NOTIFY */
async function requireNotifications(redis: Redis): Promise<void> {
  const [, flags = ""] = (await redis.config("GET", SETTING).catch((cause: unknown) => {
    if (redis.status !== "ready") throw cause;
    throw redisError("REDIS-NOTIFY", `the server does not say whether ${SETTING} is on: ${messageOf(cause)}`, {
      cause,
    });
  })) as readonly string[];
  const isOn = flags.includes("K") && (flags.includes("A") || CLASSES.every((one) => flags.includes(one)));
  if (isOn) return;
  throw redisError("REDIS-NOTIFY", `${SETTING} is "${flags}", so the server does not tell which keys change`);
}
