/**
 * A Redis stream as a source, without consumer groups: positions are the entries' ids, and the cursor is in Millrace's own log.
 * What was trimmed before it was read shows by the first entry that there is, which is looked for with every read, and by the server's counts.
 */
import { engineError, type Json, type MillraceError, type RejectedInput } from "@millrace/engine";
import { beginningOf, decoded, undecodable } from "../format/decoded.ts";
import type { DecodeMessage } from "../format/message-format.ts";
import type { MessageBatch, MessageReader, MessageSourceDriver } from "../resilience/message-source.ts";
import { PassedEntries } from "./passed-entries.ts";
import type { RedisClient, StreamEntry, StreamLook } from "./redis-client.ts";
import { idAt, positionOf } from "./stream-position.ts";

export interface StreamSourceOptions {
  readonly key: string;
  /** Field of an entry that the message is in; `*`: the entry's fields, as texts, are the message. */
  readonly field: string;
  readonly gap: "stop" | "record";
  /** Ends with the last entry that the stream has when it is first opened. */
  readonly untilNow: boolean;
  /** Wait for more before the source counts as idle, in ms. Default 250. */
  readonly pollMs?: number;
}

const POLL_MS = 250;
const NEVER = "0-0";

export function streamSource(options: StreamSourceOptions): MessageSourceDriver<RedisClient, StreamEntry> {
  let end: number | undefined;
  return {
    capabilities: { replay: true, ordered: true, bounded: options.untilNow },
    partitions: ["0"],
    form: {
      position: ({ id }) => positionOf(id, options.key),
      value: (entry) => bodyOf(entry, options.field),
      row: (entry, decode) => rowOf(entry, decode, options),
      shown: (entry) => shownEntry(entry, options.field),
    },
    async open(redis, _partition, after) {
      const last = await redis.lastId(options.key);
      if (options.untilNow) end ??= last === NEVER ? -1 : positionOf(last, options.key);
      return new StreamReader(redis, options, after, end);
    },
  };
}

/** What there is to decode; fields that are texts need nothing. */
function bodyOf({ fields }: StreamEntry, field: string): Uint8Array | undefined {
  return field === "*" ? undefined : fields.find(([name]) => name === field)?.[1];
}

function rowOf(entry: StreamEntry, decode: DecodeMessage, { key, field }: StreamSourceOptions): Json {
  const { id, fields } = entry;
  if (field === "*") return Object.fromEntries(fields.map(([name, value]) => [name, Buffer.from(value).toString()]));
  const value = bodyOf(entry, field);
  const place = () => ({ name: `entry ${id} of ${key}`, at: { stream: key, position: positionOf(id, key) } });
  if (value === undefined) throw undecodable(place(), `there is no field ${field}`);
  return decoded(value, decode, place);
}

function shownEntry(entry: StreamEntry, field: string): Json {
  const value = bodyOf(entry, field);
  if (value !== undefined) return beginningOf(value);
  return beginningOf(Buffer.concat(entry.fields.flatMap(([name, bytes]) => [Buffer.from(`${name} `), bytes])));
}

class StreamReader implements MessageReader<StreamEntry> {
  readonly #redis: RedisClient;
  readonly #options: StreamSourceOptions;
  readonly #end: number | undefined;
  readonly #passed = new PassedEntries();
  #through: number;

  constructor(redis: RedisClient, options: StreamSourceOptions, after: number, end: number | undefined) {
    this.#redis = redis;
    this.#options = options;
    this.#through = after;
    this.#end = end;
  }

  async read(messagesMax: number): Promise<MessageBatch<StreamEntry> | "idle" | "end"> {
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
    this.#passed.learn(look, idAt(this.#through), messagesMax);
    if (entries.length === 0 && rejected.length === 0) return this.#end === undefined ? "idle" : "end";
    return this.#batch(entries, rejected);
  }

  async close(): Promise<void> {}

  #look(messagesMax: number): Promise<StreamLook> {
    return this.#redis.look(this.#options.key, idAt(this.#through), messagesMax);
  }

  #batch(entries: readonly StreamEntry[], rejected: readonly RejectedInput[]): MessageBatch<StreamEntry> {
    const { key } = this.#options;
    const end = this.#end ?? Number.POSITIVE_INFINITY;
    const messages = entries.filter(({ id }) => positionOf(id, key) <= end);
    const last = messages.at(-1);
    if (last !== undefined) this.#through = positionOf(last.id, key);
    this.#passed.took(messages.length, idAt(this.#through));
    return { messages, through: this.#through, rejected };
  }

  /** What was removed from the front before it was read. @throws SOURCE-GAP */
  #gap(look: StreamLook): RejectedInput[] {
    const { first, last, isWhole } = look;
    const { key, gap } = this.#options;
    if (this.#through < 0 || isWhole) return [];
    const trimmed = this.#passed.trimmed(look, idAt(this.#through));
    if (trimmed === 0) return [];
    const from = this.#through + 1;
    const to = first === undefined ? positionOf(last, key) : positionOf(first, key) - 1;
    if (to < from) return [];
    const error = gapError(key, from, to, trimmed);
    if (gap === "stop") throw error;
    this.#through = to;
    return [{ pos: to, error, input: { stream: key, from: idAt(from), to: idAt(to) } }];
  }
}

/** @param entries how many there were; `undefined`: nobody knows, and there may have been none */
function gapError(key: string, from: number, to: number, entries: number | undefined): MillraceError {
  const range = { stream: key, from: idAt(from), to: idAt(to) };
  const what = entries === undefined ? "" : `, ${entries} ${entries === 1 ? "entry" : "entries"},`;
  const text = `stream ${key} was trimmed from ${range.from} to ${range.to}${what} before it was read`;
  return engineError("SOURCE-GAP", text, {
    place: { stream: key, position: from },
    details: entries === undefined ? range : { ...range, entries },
  });
}
