/**
 * The receiving end of one subject. Credit is what may be delivered: without it nothing is fetched. What is refused comes again
 * from here, in its place; what nobody answered comes again from the topic, to whoever has the subject next. What was taken, and
 * all before it, is removed from the topic, much at a time: while a broker removes, it was seen to take appends late.
 *
 * Two processes that subscribe to one subject at a time both receive it, and take from each other; receivers trim the one and ask
 * again for the other.
 */
import { type Delivery, type Env, MillraceError, type Subscription, sleep, type Timer } from "@millrace/engine";
import type { Connection } from "../resilience/connection.ts";
import { within } from "../resilience/within.ts";
import type { Fetched, HeaderValue, KafkaClient, KafkaRecord, TopicDescription } from "./driver.ts";
import { EDGE_TOPIC_SETTINGS } from "./edge-topic.ts";

/** What is known of a subject's messages, from one subscription to the next. */
export interface SubjectMemory {
  /** The topic whose offsets these are. */
  topicId: string;
  /** All before it were taken, or are gone. */
  begin: number;
  /** Those behind it that were taken. */
  readonly taken: Set<number>;
  /** Deliveries of messages that were not taken. */
  readonly attempts: Map<number, number>;
}

export interface EdgeSubscriptionOptions {
  readonly env: Env;
  readonly connection: Connection<KafkaClient>;
  /** As the caller names it, and as the brokers do. */
  readonly subject: string;
  readonly topic: string;
  /** Tells this subscription's fetches from those of others. */
  readonly lane: string;
  /** Messages that the topic holds before its publisher waits. */
  readonly capacity: number;
  readonly memory: SubjectMemory;
  readonly receive: (delivery: Delivery) => void;
  readonly credit: number;
}

const RETRY_MS = 50;
const BYTES_MAX = 2 * 1024 * 1024;
const FETCH_MS = 500;
/** How long what was taken stays in the topic at most, while half of what it may hold was not. */
const REMOVE_MS = 1000;
/** How long a subscription that ends waits until what was taken is removed; what is not comes again. */
const LAST_REMOVAL_MS = 1000;

export class EdgeSubscription implements Subscription {
  readonly #options: EdgeSubscriptionOptions;
  readonly #ended = new AbortController();
  readonly #running: Promise<void>;
  /** Granted and not used. */
  #credit: number;
  /** Here, and to be delivered; by offset. */
  #waiting: KafkaRecord[] = [];
  /** The offset behind all that was fetched. */
  #next = 0;
  #isDelivering = false;
  #client: KafkaClient | undefined;
  #removed = 0;
  #removing: Promise<void> | undefined;
  #removal: Timer | undefined;
  #wake: () => void = () => undefined;

  constructor(options: EdgeSubscriptionOptions) {
    this.#options = options;
    this.#credit = options.credit;
    this.#next = options.memory.begin;
    this.#running = this.#run();
  }

  grant(credit: number): void {
    this.#credit += credit;
    this.#deliver();
    this.#wake();
  }

  async close(): Promise<void> {
    this.#ended.abort();
    this.#wake();
    this.#client?.leave(this.#options.lane);
    await this.#running;
    await this.settle();
    this.#removal?.cancel();
    await this.#removing;
  }

  /** Removes what was taken, if the broker answers soon. */
  async settle(): Promise<void> {
    const removed = (this.#removing ?? Promise.resolve()).then(() => this.#removeNow());
    await within(this.#options.env, LAST_REMOVAL_MS, removed, notRemoved).catch(() => undefined);
  }

  async #run(): Promise<void> {
    const { env, connection } = this.#options;
    const { signal } = this.#ended;
    while (!signal.aborted) {
      try {
        this.#client = await connection.acquire();
        await this.#connected(this.#client);
      } catch (error) {
        if (signal.aborted) break;
        if (this.#client !== undefined && !(error instanceof MillraceError)) await connection.suspect(this.#client);
        const waitMs = error instanceof MillraceError ? error.retryAfterMs : undefined;
        await sleep(env, waitMs ?? RETRY_MS, signal).catch(() => undefined);
      }
    }
  }

  /** One connection, until it fails or the subscription ends. */
  async #connected(client: KafkaClient): Promise<void> {
    let { id } = await this.#described(client);
    // Brokers that crashed may have forgotten what was removed.
    this.#removed = 0;
    this.#remove();
    while (!this.#ended.signal.aborted) {
      await this.#wanted();
      if (this.#ended.signal.aborted) return;
      const fetched = await this.#fetch(client, id);
      if (fetched === "missing") id = (await this.#described(client)).id;
      else if (fetched === "out-of-range") await this.#begin(client);
      else this.#arrived(fetched);
    }
  }

  /** Waits for credit that nothing here is there for. */
  #wanted(): Promise<void> {
    if (this.#credit > this.#waiting.length || this.#ended.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = () => {
        if (this.#credit > this.#waiting.length || this.#ended.signal.aborted) resolve();
      };
    });
  }

  #fetch(client: KafkaClient, topicId: string): Promise<Fetched | "out-of-range" | "missing"> {
    const { topic, lane } = this.#options;
    const what = { bytesMax: BYTES_MAX, waitMs: FETCH_MS, committedOnly: false, lane };
    return client.fetch({ topic, topicId, partition: 0, offset: this.#next, ...what });
  }

  async #described(client: KafkaClient): Promise<TopicDescription> {
    const { topic, memory } = this.#options;
    let found = await client.describe(topic);
    if (found === undefined) {
      await client.createTopic(topic, EDGE_TOPIC_SETTINGS);
      found = await client.describe(topic);
    }
    if (found === undefined) throw new Error(`topic ${topic} is not there yet`);
    if (memory.topicId !== found.id) {
      memory.topicId = found.id;
      this.#forget(0);
      await this.#begin(client);
    }
    return found;
  }

  /** Offsets of another topic, or of one that lost its end, are other messages'. */
  #forget(begin: number): void {
    const { memory } = this.#options;
    memory.begin = begin;
    memory.attempts.clear();
    memory.taken.clear();
    this.#waiting = [];
    this.#next = begin;
  }

  /** Goes to where the topic begins, if what is next is not in it. */
  async #begin(client: KafkaClient): Promise<void> {
    const { memory, topic } = this.#options;
    const { first, end } = await client.range(topic, 0);
    if (this.#next > end || memory.begin > end) this.#forget(first);
    memory.begin = Math.max(memory.begin, first);
    this.#next = Math.max(this.#next, first);
    this.#removed = first;
  }

  #arrived({ records, next }: Fetched): void {
    const { memory } = this.#options;
    this.#next = next;
    for (const record of records)
      if (record.offset >= memory.begin && !memory.taken.has(record.offset)) this.#waiting.push(record);
    this.#deliver();
  }

  /** A receiver may grant, or refuse, while it is handed a message: what follows from it comes after that. */
  #deliver(): void {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    while (this.#credit > 0 && !this.#ended.signal.aborted) {
      const record = this.#waiting.shift();
      if (record === undefined) break;
      this.#credit--;
      this.#hand(record);
    }
    this.#isDelivering = false;
  }

  #hand(record: KafkaRecord): void {
    const { memory, subject, receive } = this.#options;
    const { offset } = record;
    const attempt = (memory.attempts.get(offset) ?? 0) + 1;
    memory.attempts.set(offset, attempt);
    let isAnswered = false;
    const { topicId } = memory;
    const answer = (isTaken: boolean): void => {
      if (isAnswered || this.#ended.signal.aborted || memory.topicId !== topicId) return;
      isAnswered = true;
      if (isTaken) this.#taken(offset);
      else this.#putBack(record);
    };
    const content = { headers: textsOf(record.headers), body: record.value ?? new Uint8Array() };
    receive({ subject, ...content, attempt, ack: () => answer(true), nack: () => answer(false) });
  }

  #putBack(record: KafkaRecord): void {
    const at = this.#waiting.findIndex((other) => other.offset > record.offset);
    this.#waiting.splice(at === -1 ? this.#waiting.length : at, 0, record);
    this.#deliver();
  }

  #taken(offset: number): void {
    const { memory } = this.#options;
    memory.attempts.delete(offset);
    memory.taken.add(offset);
    while (memory.taken.delete(memory.begin)) memory.begin++;
    this.#remove();
  }

  /** Removes what was taken: soon if it is much, and one request at a time, each up to where it is by then. */
  #remove(): void {
    const { memory, capacity, env } = this.#options;
    const { signal } = this.#ended;
    const taken = memory.begin - this.#removed;
    if (this.#removing !== undefined || this.#client === undefined || signal.aborted || taken <= 0) return;
    if (taken < capacity / 2) {
      this.#removal ??= env.timers.after(REMOVE_MS, () => this.#removeSoon());
      return;
    }
    this.#removeSoon();
  }

  #removeSoon(): void {
    this.#removal?.cancel();
    this.#removal = undefined;
    if (this.#removing !== undefined) return;
    const { env } = this.#options;
    this.#removing = this.#removeNow()
      // Reading may go on all the same. What is never removed leaves no room for what is sent: it is done again.
      .catch(() => sleep(env, RETRY_MS, this.#ended.signal).catch(() => undefined))
      .finally(() => {
        this.#removing = undefined;
        this.#remove();
      });
  }

  async #removeNow(): Promise<void> {
    const { memory, topic } = this.#options;
    const before = memory.begin;
    if (before <= this.#removed) return;
    await this.#client?.removeBefore(topic, before);
    this.#removed = before;
  }
}

const notRemoved = (): Error => new Error("the broker does not answer");

function textsOf(headers: Readonly<Record<string, HeaderValue>>): Readonly<Record<string, string>> {
  const text = (value: HeaderValue): string => (value instanceof Uint8Array ? Buffer.from(value).toString() : "");
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, text(value)]));
}
