/**
 * Streams and channels as Redis has them, in the process: entries of a stream stay until newer ones push them out, whoever read them, and
 * what is published on a channel is seen by who listens. It is gone with the process.
 */
import { type Env, engineError } from "@millrace/engine";
import type { RedisClient, StreamAddition, StreamEntry, StreamField, StreamLook } from "./redis-client.ts";
import { idAt, positionOf } from "./stream-position.ts";

/** Entries, and bytes of them, that a stream keeps. */
const ENTRIES_MAX = 65_536;
const BYTES_MAX = 64 * 1024 * 1024;

export interface MemoryRedisOptions {
  /** Entries that a stream keeps. Default 65 536; never more than 64 MiB of them, but for the newest. */
  readonly entriesMax?: number;
}

/** Where lanes stand, as `pos/ord`. */
type Cursors = Map<string, string>;

/** What clients share. */
export class MemoryRedis {
  readonly channels = new Map<string, Set<(data: Uint8Array) => void>>();
  readonly #env: Env;
  readonly #entriesMax: number;
  readonly #streams = new Map<string, MemoryStream>();
  readonly #cursors = new Map<string, Cursors>();

  constructor(env: Env, { entriesMax = ENTRIES_MAX }: MemoryRedisOptions = {}) {
    this.#env = env;
    this.#entriesMax = entriesMax;
  }

  /** It is made when it is first asked for. */
  stream(key: string): MemoryStream {
    const stream = this.#streams.get(key) ?? new MemoryStream(key, this.#env, this.#entriesMax);
    this.#streams.set(key, stream);
    return stream;
  }

  cursors(key: string): Cursors {
    const cursors = this.#cursors.get(key) ?? new Map<string, string>();
    this.#cursors.set(key, cursors);
    return cursors;
  }

  connect(): MemoryRedisClient {
    return new MemoryRedisClient(this, this.#env);
  }
}

class MemoryStream {
  readonly key: string;
  readonly #env: Env;
  readonly #entriesMax: number;
  readonly #entries: { readonly position: number; readonly fields: readonly StreamField[] }[] = [];
  /** How many of them, at the front, were removed already. */
  #head = 0;
  #bytes = 0;
  /** Position of the newest entry; of the moment at which the stream was made, while it has none. */
  #last: number;
  /** Nothing behind this position was removed. What an earlier process had is before the moment at which this one made the stream. */
  #removed: number;
  readonly #waiting = new Set<() => void>();

  constructor(key: string, env: Env, entriesMax: number) {
    this.key = key;
    this.#env = env;
    this.#entriesMax = entriesMax;
    this.#last = this.#now();
    this.#removed = this.#last;
  }

  /** @throws SOURCE-RECREATED */
  look(after: number, max: number): StreamLook {
    if (after > this.#last) this.#goOnAt(after);
    const from = this.#behind(after);
    const entries = this.#entries.slice(from, from + max).map(({ position, fields }): StreamEntry => {
      return { id: idAt(position), fields };
    });
    const first = this.#entries[this.#head];
    return {
      entries,
      first: first === undefined ? undefined : idAt(first.position),
      last: idAt(this.#last),
      isWhole: after >= this.#removed,
    };
  }

  get last(): number {
    return this.#last;
  }

  /** Calls back at the next entry; returns how to take that back. */
  onEntry(call: () => void): () => void {
    this.#waiting.add(call);
    return () => this.#waiting.delete(call);
  }

  append(field: string, body: Buffer): void {
    this.#last = Math.max(this.#last + 1, this.#now());
    this.#entries.push({ position: this.#last, fields: [[field, body]] });
    this.#bytes += body.length;
    while (this.#entries.length - this.#head > 1 && this.#isFull()) this.#removeFirst();
    for (const call of this.#waiting) call();
    this.#waiting.clear();
  }

  /** The clock went back, so what an earlier process had lies in the future. @throws SOURCE-RECREATED some of this process already lies before it */
  #goOnAt(position: number): void {
    if (this.#entries.length > 0) {
      const message = `stream ${this.key} begins before ${idAt(position)}, which was read from an earlier one`;
      throw engineError("SOURCE-RECREATED", message, { place: { stream: this.key } });
    }
    this.#last = position;
    this.#removed = position;
  }

  #now(): number {
    return positionOf(`${this.#env.clock.now()}-0`, this.key);
  }

  #isFull(): boolean {
    return this.#entries.length - this.#head > this.#entriesMax || this.#bytes > BYTES_MAX;
  }

  /** Those at the front are cut off now and then, not one by one. */
  #removeFirst(): void {
    const first = this.#entries[this.#head];
    if (first === undefined) return;
    this.#head++;
    this.#removed = first.position;
    this.#bytes -= first.fields[0]?.[1].length ?? 0;
    if (this.#head < this.#entriesMax) return;
    this.#entries.splice(0, this.#head);
    this.#head = 0;
  }

  /** Index of the first entry behind a position. */
  #behind(position: number): number {
    let [low, high] = [this.#head, this.#entries.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#entries[middle]?.position ?? 0) > position) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** One of those that share it; what it waits for ends with it. */
export class MemoryRedisClient implements RedisClient {
  readonly ended: Promise<unknown>;
  readonly #redis: MemoryRedis;
  readonly #env: Env;
  readonly #leaving = new Set<() => void>();
  #resolveEnded: (reason: unknown) => void = () => undefined;

  constructor(redis: MemoryRedis, env: Env) {
    this.#redis = redis;
    this.#env = env;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
  }

  async look(key: string, after: string, max: number): Promise<StreamLook> {
    return this.#redis.stream(key).look(placeOf(after, key), max);
  }

  wait(key: string, after: string, ms: number): Promise<void> {
    const stream = this.#redis.stream(key);
    if (stream.look(placeOf(after, key), 1).entries.length > 0) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        forget();
        timer.cancel();
        this.#leaving.delete(done);
        resolve();
      };
      const forget = stream.onEntry(done);
      const timer = this.#env.timers.after(ms, done);
      this.#leaving.add(done);
    });
  }

  async lastId(key: string): Promise<string> {
    return idAt(this.#redis.stream(key).last);
  }

  async cursors(key: string): Promise<Readonly<Record<string, string>>> {
    return Object.fromEntries(this.#redis.cursors(key));
  }

  async add({ key, cursors, lane, field, messages }: StreamAddition): Promise<string> {
    const stream = this.#redis.stream(key);
    const held = this.#redis.cursors(cursors);
    let [pos = -1, ord = -1] = held.get(lane)?.split("/").map(Number) ?? [];
    for (const message of messages) {
      if (message.pos < pos || (message.pos === pos && message.ord <= ord)) continue;
      stream.append(field, message.body);
      ({ pos, ord } = message);
    }
    if (pos < 0) return "";
    const cursor = `${pos}/${ord}`;
    held.set(lane, cursor);
    return cursor;
  }

  async publish(channel: string, data: Buffer): Promise<void> {
    // Who publishes must not find itself in the middle of another graph's step.
    for (const take of this.#redis.channels.get(channel) ?? []) this.#env.turns.soon(() => take(data));
  }

  async subscribe(channel: string, take: (data: Uint8Array) => void): Promise<void> {
    const { channels } = this.#redis;
    const listening = channels.get(channel) ?? new Set();
    channels.set(channel, listening);
    let isOver = false;
    const own = (data: Uint8Array): void => {
      if (!isOver) take(data);
    };
    listening.add(own);
    this.#leaving.add(() => {
      isOver = true;
      listening.delete(own);
      if (listening.size === 0) channels.delete(channel);
    });
  }

  end(): void {
    for (const leave of [...this.#leaving]) leave();
    this.#leaving.clear();
    this.#resolveEnded(undefined);
  }
}

/** `0-0` is before all. */
const placeOf = (id: string, key: string): number => (id === "0-0" ? -1 : positionOf(id, key));
