/** Streams and channels of a server. */
import { engineError, messageOf } from "@millrace/engine";
import type { Redis } from "ioredis";
import type {
  RedisClient,
  StreamAddition,
  StreamCounts,
  StreamEntry,
  StreamField,
  StreamLook,
} from "./redis-client.ts";
import { compareIds } from "./stream-position.ts";

/**
 * KEYS: stream, cursors. ARGV: lane, field, then `pos`, `ord`, message for each. Numbers are below 2^53, so Lua's are exact.
 * Answers with the cursor after it.
 */
const ADD = `
local cursor = redis.call('HGET', KEYS[2], ARGV[1])
local pos, ord = -1, -1
if cursor then
  local a, b = cursor:match('^(%d+)/(%d+)$')
  pos, ord = tonumber(a), tonumber(b)
end
for i = 3, #ARGV, 3 do
  local p, o = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
  if p > pos or (p == pos and o > ord) then
    redis.call('XADD', KEYS[1], '*', ARGV[2], ARGV[i + 2])
    pos, ord = p, o
    cursor = ARGV[i] .. '/' .. ARGV[i + 1]
  end
end
if cursor then redis.call('HSET', KEYS[2], ARGV[1], cursor) end
return cursor`;

export class ServerClient implements RedisClient {
  readonly redis: Redis;
  readonly ended: Promise<unknown>;

  /** @param ended resolves when the connection has, with the reason */
  constructor(redis: Redis, ended: Promise<unknown>) {
    this.redis = redis;
    this.ended = ended;
  }

  /** All in one transaction, so that what is trimmed in between cannot be missed. */
  async look(key: string, after: string, max: number): Promise<StreamLook> {
    const answers = await this.redis
      .multi()
      .xrangeBuffer(key, `(${after}`, "+", "COUNT", max)
      .xinfo("STREAM", key)
      .exec();
    const [[, entries], [failure, info]] = answers as unknown as Answers;
    if (failure !== null) throw missing(failure, key);
    const [first] = (field(info, "first-entry") as readonly [id: string] | null) ?? [];
    const counts = countsOf(info);
    return {
      entries: entries.map(entryOf),
      first,
      last: String(field(info, LAST)),
      // Trimming takes entries from the front: while there is one that was read, all behind the cursor are.
      isWhole: first !== undefined && compareIds(first, after) <= 0,
      ...(counts === undefined ? {} : { counts }),
    };
  }

  async wait(key: string, after: string, ms: number): Promise<void> {
    await this.redis.xread("COUNT", 1, "BLOCK", ms, "STREAMS", key, after);
  }

  async lastId(key: string): Promise<string> {
    const info = await this.redis.xinfo("STREAM", key).catch((cause: unknown) => {
      throw missing(cause, key);
    });
    return String(field(info as unknown[], LAST));
  }

  cursors(key: string): Promise<Readonly<Record<string, string>>> {
    return this.redis.hgetall(key);
  }

  async add({ key, cursors, lane, field, messages }: StreamAddition): Promise<string> {
    const args = messages.flatMap(({ pos, ord, body }) => [String(pos), String(ord), body]);
    return String((await this.redis.eval(ADD, 2, key, cursors, lane, field, ...args)) ?? "");
  }

  async publish(channel: string, body: Buffer): Promise<void> {
    await this.redis.publish(channel, body);
  }

  async subscribe(channel: string, take: (data: Uint8Array) => void): Promise<void> {
    this.redis.on("messageBuffer", (_channel, data) => take(data));
    await this.redis.subscribe(channel);
  }
}

type Entry = readonly [id: Buffer, fields: readonly Buffer[]];

type Answers = readonly [entries: readonly [null, readonly Entry[]], info: readonly [Error | null, readonly unknown[]]];

/** Names and values take turns. */
function entryOf([id, fields]: Entry): StreamEntry {
  const pairs: StreamField[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) pairs.push([String(fields[i]), fields[i + 1] as Buffer]);
  return { id: String(id), fields: pairs };
}

const LAST = "last-generated-id";
const field = (info: readonly unknown[], name: string): unknown => info[info.indexOf(name) + 1];

/** Before Redis 7 there are none. */
function countsOf(info: readonly unknown[]): StreamCounts | undefined {
  if (!info.includes("entries-added")) return undefined;
  return {
    added: Number(field(info, "entries-added")),
    there: Number(field(info, "length")),
    deleted: String(field(info, "max-deleted-entry-id")),
  };
}

function missing(cause: unknown, key: string): unknown {
  if (!/no such key/i.test(messageOf(cause))) return cause;
  return engineError("SOURCE-MISSING", `there is no stream ${key}`, { cause, place: { stream: key } });
}
