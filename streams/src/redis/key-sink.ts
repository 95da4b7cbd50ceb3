/**
 * Sets keys, each to a row, under the value of one of its fields. A row that is delivered again after a crash sets its key to the same
 * value; while it does, readers may see an older value again.
 */
import { fieldOf, type Json } from "@millrace/engine";
import type { Redis } from "ioredis";
import type { MessageSinkDriver } from "../resilience/message-sink.ts";
import { redisError } from "./errors.ts";

export interface KeySinkOptions {
  /** What the keys begin with. */
  readonly prefix: string;
  /** Field of a row that the rest of its key is in. */
  readonly key: string;
}

/** Rows of one command: one that ran for long would hold up everybody else. */
const ROWS_MAX = 500;

export function keySink({ prefix, key }: KeySinkOptions): MessageSinkDriver<Redis> {
  return {
    guarantee: "at-least-once",
    open: async () => undefined,
    async deliver(redis, slices, encode) {
      const rows = slices.flatMap(({ batch }) => batch.rows());
      const pairs = rows.map((row) => [prefix + keyOf(row, key, prefix), encode(row).body]);
      for (let from = 0; from < pairs.length; from += ROWS_MAX)
        await redis.mset(pairs.slice(from, from + ROWS_MAX).flat());
      return null;
    },
  };
}

/** @throws REDIS-KEY */
function keyOf(row: Json, field: string, prefix: string): string {
  const value = fieldOf(row, field);
  if (typeof value === "number" || (typeof value === "string" && value !== "")) return String(value);
  throw redisError("REDIS-KEY", `a row for keys ${prefix}… has ${JSON.stringify(value) ?? "nothing"} in \`${field}\``);
}
