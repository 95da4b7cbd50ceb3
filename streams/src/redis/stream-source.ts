/**
 * A Redis stream as a source, without consumer groups: positions are the entries' ids, and the cursor is in Millrace's own log.
 * What was trimmed before it was read shows by the entry at the cursor, which is looked for with every read.
 */
import {
  engineError,
  type Json,
  type MillraceError,
  messageOf,
  Positions,
  type RejectedInput,
  RowBatch,
  type SourceBatch,
  type SourceReader,
} from "@millrace/engine";
import type { SourceDriver } from "../resilience/resilient-source.ts";
import type { RedisClient, StreamEntry, StreamLook } from "./redis-client.ts";
import { idAt, positionOf } from "./stream-position.ts";

export interface StreamSourceOptions {
  readonly key: string;
  /** Field of an entry that the message is in, as JSON; `*`: the entry's fields, as texts, are the message. */
  readonly field: string;
  readonly gap: "stop" | "record";
  /** Ends with the last entry that the stream has when it is first opened. */
  readonly untilNow: boolean;
  /** Wait for more before the source counts as idle, in ms. Default 250. */
  readonly pollMs?: number;
}

const POLL_MS = 250;
const NEVER = "0-0";
const SHOWN_CHARS = 4096;

export function streamSource(options: StreamSourceOptions): SourceDriver<RedisClient> {
  let end: number | undefined;
  return {
    capabilities: { replay: true, ordered: true, bounded: options.untilNow },
    partitions: ["0"],
    async open(redis, _partition, after) {
      const last = await redis.lastId(options.key);
      if (options.untilNow) end ??= last === NEVER ? -1 : positionOf(last, options.key);
      return new StreamReader(redis, options, after, end);
    },
  };
}

class StreamReader implements SourceReader {
  readonly #redis: RedisClient;
  readonly #options: StreamSourceOptions;
  readonly #end: number | undefined;
  #through: number;

  constructor(redis: RedisClient, options: StreamSourceOptions, after: number, end: number | undefined) {
    this.#redis = redis;
    this.#options = options;
    this.#through = after;
    this.#end = end;
  }

  async read(messagesMax: number): Promise<SourceBatch | "idle" | "end"> {
    if (this.#end !== undefined && this.#through >= this.#end) return "end";
    const { key } = this.#options;
    const block = this.#options.pollMs ?? POLL_MS;
    let look = await this.#look(messagesMax);
    if (look.entries.length === 0 && this.#end === undefined) {
      await this.#redis.wait(key, idAt(this.#through), block);
      look = await this.#look(messagesMax);
    }
    const { entries } = look;
    const rejected = this.#gap(look);
    if (entries.length === 0 && rejected.length === 0) return this.#end === undefined ? "idle" : "end";
    return this.#batch(entries, rejected);
  }

  async close(): Promise<void> {}

  #look(messagesMax: number): Promise<StreamLook> {
    return this.#redis.look(this.#options.key, idAt(this.#through), messagesMax);
  }

  #batch(entries: readonly StreamEntry[], rejected: RejectedInput[]): SourceBatch {
    const { key } = this.#options;
    const rows: Json[] = [];
    const positions: number[] = [];
    for (const [id, fields] of entries) {
      const position = positionOf(id, key);
      if (this.#end !== undefined && position > this.#end) break;
      this.#through = position;
      try {
        rows.push(this.#row(fields));
        positions.push(position);
      } catch (cause) {
        const place = { stream: key, position };
        const error = engineError("MSG-DECODE", `entry ${id}: ${messageOf(cause)}`, { place, cause });
        rejected.push({ pos: position, error, input: fields.join(" ").slice(0, SHOWN_CHARS) });
      }
    }
    const batch = new RowBatch(rows);
    return { batch, positions: Positions.of(Float64Array.from(positions)), through: this.#through, rejected };
  }

  #row(fields: readonly string[]): Json {
    const { field } = this.#options;
    const pairs = Array.from({ length: fields.length / 2 }, (_, i) => [fields[2 * i], fields[2 * i + 1]] as const);
    if (field === "*") return Object.fromEntries(pairs);
    const value = pairs.find(([name]) => name === field)?.[1];
    if (value === undefined) throw new Error(`there is no field ${field}`);
    return JSON.parse(value) as Json;
  }

  /** What was removed from the front before it was read. @throws SOURCE-GAP */
  #gap({ first, last, isWhole }: StreamLook): RejectedInput[] {
    const { key, gap } = this.#options;
    if (this.#through < 0 || isWhole) return [];
    const from = this.#through + 1;
    const to = first === undefined ? positionOf(last, key) : positionOf(first, key) - 1;
    if (to < from) return [];
    const error = gapError(key, from, to);
    if (gap === "stop") throw error;
    this.#through = to;
    return [{ pos: to, error, input: { stream: key, from: idAt(from), to: idAt(to) } }];
  }
}

function gapError(key: string, from: number, to: number): MillraceError {
  const range = { stream: key, from: idAt(from), to: idAt(to) };
  return engineError("SOURCE-GAP", `stream ${key} was trimmed from ${range.from} to ${range.to} before it was read`, {
    place: { stream: key, position: from },
    details: range,
  });
}
