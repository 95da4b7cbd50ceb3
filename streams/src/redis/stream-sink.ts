/**
 * Adds messages to a Redis stream. A script adds those that lie above the sink's cursor, which is kept beside the stream, and
 * moves the cursor, in one atomic step: whatever is delivered twice, or late by a dead process, is added once (R27).
 */
import type { InputSlice, Json } from "@millrace/engine";
import type { Redis } from "ioredis";
import type { SinkDriver } from "../resilience/resilient-sink.ts";
import { redisError } from "./errors.ts";

export interface StreamSinkOptions {
  readonly key: string;
  /** Field of an entry that the message is put into, as JSON. */
  readonly field: string;
  /** Names the sink among all that write to the stream: graph and node. */
  readonly id: string;
}

/** Messages per script: one that ran for long would hold up everybody else. */
const SCRIPT_MESSAGES_MAX = 500;

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

/** Where a lane stands in the target: `pos/ord`. */
type Cursors = Readonly<Record<string, string>>;

export function streamSink({ key, field, id }: StreamSinkOptions): SinkDriver<Redis> {
  const cursorKey = `millrace:${id}:${key}`;
  let committed: Cursors = {};
  return {
    guarantee: "transaction",
    async open(redis, state) {
      committed = (state as Cursors | undefined) ?? {};
      const held = await redis.hgetall(cursorKey);
      const behind = Object.keys(committed).find((lane) => isBefore(held[lane], committed[lane] as string));
      if (behind === undefined) return;
      const message = `stream ${key} has lane ${behind} up to ${held[behind] ?? "nothing"}, but ${committed[behind]} was committed (${cursorKey})`;
      throw redisError("REDIS-BEHIND", message, { details: { key: cursorKey, lane: behind } });
    },
    async deliver(redis, slices) {
      const moved: Record<string, string> = {};
      for (const slice of slices) Object.assign(moved, await add(redis, slice, key, cursorKey, field));
      committed = { ...committed, ...moved };
      return committed as Json;
    },
  };
}

async function add(
  redis: Redis,
  { lane, batch, positions }: InputSlice,
  key: string,
  cursorKey: string,
  field: string,
): Promise<Cursors> {
  let cursor = "";
  for (let from = 0; from < batch.n; from += SCRIPT_MESSAGES_MAX) {
    const args: string[] = [];
    for (let i = from; i < Math.min(batch.n, from + SCRIPT_MESSAGES_MAX); i++)
      args.push(String(positions.pos(i)), String(positions.ord(i)), JSON.stringify(batch.row(i)));
    cursor = String(await redis.eval(ADD, 2, key, cursorKey, lane, field, ...args));
  }
  return cursor === "" ? {} : { [lane]: cursor };
}

function isBefore(held: string | undefined, wanted: string): boolean {
  const [pos = -1, ord = -1] = held?.split("/").map(Number) ?? [];
  const [wantedPos = 0, wantedOrd = 0] = wanted.split("/").map(Number);
  return pos < wantedPos || (pos === wantedPos && ord < wantedOrd);
}
