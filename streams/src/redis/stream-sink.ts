/**
 * Adds messages to a Redis stream. A script adds those that lie above the sink's cursor, which is kept beside the stream, and
 * moves the cursor, in one atomic step: whatever is delivered twice, or late by a dead process, is added once (R27).
 */
import type { InputSlice, Json } from "@millrace/engine";
import type { EncodeMessage } from "../format/message-format.ts";
import type { MessageSinkDriver } from "../resilience/message-sink.ts";
import { redisError } from "./errors.ts";
import type { RedisClient, StreamAddition } from "./redis-client.ts";

export interface StreamSinkOptions {
  readonly key: string;
  /** Field of an entry that the message is put into. */
  readonly field: string;
  /** Names the sink among all that write to the stream: graph and node. */
  readonly id: string;
  /** The target is gone with the process, and its cursors are: what was committed need not be there. Default false. */
  readonly forgets?: boolean;
}

/** Messages per script: one that ran for long would hold up everybody else. */
const SCRIPT_MESSAGES_MAX = 500;

/** Where a lane stands in the target: `pos/ord`. */
type Cursors = Readonly<Record<string, string>>;

export function streamSink({ key, field, id, forgets = false }: StreamSinkOptions): MessageSinkDriver<RedisClient> {
  const cursorKey = `millrace:${id}:${key}`;
  let committed: Cursors = {};
  return {
    guarantee: forgets ? "best-effort" : "transaction",
    async open(redis, state) {
      committed = (state as Cursors | undefined) ?? {};
      if (forgets) return;
      const held = await redis.cursors(cursorKey);
      const behind = Object.keys(committed).find((lane) => isBefore(held[lane], committed[lane] as string));
      if (behind === undefined) return;
      const message = `stream ${key} has lane ${behind} up to ${held[behind] ?? "nothing"}, but ${committed[behind]} was committed (${cursorKey})`;
      throw redisError("REDIS-BEHIND", message, { details: { key: cursorKey, lane: behind } });
    },
    async deliver(redis, slices, encode) {
      const moved: Record<string, string> = {};
      for (const slice of slices)
        Object.assign(moved, await add(redis, slice, { key, cursors: cursorKey, field }, encode));
      committed = { ...committed, ...moved };
      return committed as Json;
    },
  };
}

async function add(
  redis: RedisClient,
  { lane, batch, positions }: InputSlice,
  to: Pick<StreamAddition, "key" | "cursors" | "field">,
  encode: EncodeMessage,
): Promise<Cursors> {
  let cursor = "";
  for (let from = 0; from < batch.n; from += SCRIPT_MESSAGES_MAX) {
    const messages = Array.from({ length: Math.min(batch.n - from, SCRIPT_MESSAGES_MAX) }, (_, i) => {
      const at = from + i;
      return { pos: positions.pos(at), ord: positions.ord(at), body: encode(batch.row(at)).body };
    });
    cursor = await redis.add({ ...to, lane, messages });
  }
  return cursor === "" ? {} : { [lane]: cursor };
}

function isBefore(held: string | undefined, wanted: string): boolean {
  const [pos = -1, ord = -1] = held?.split("/").map(Number) ?? [];
  const [wantedPos = 0, wantedOrd = 0] = wanted.split("/").map(Number);
  return pos < wantedPos || (pos === wantedPos && ord < wantedOrd);
}
