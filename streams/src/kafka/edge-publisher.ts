/**
 * The sending end of one subject: in order, each message until the brokers have it, whatever happens meanwhile. What waits goes
 * together. A batch whose answer was lost is sent again as it was, so that the brokers leave it out if they have it.
 */
import { type Env, MillraceError, sleep, type TransportMessage, transportError } from "@millrace/engine";
import type { Connection } from "../resilience/connection.ts";
import { transportClosed } from "../resilience/edge-ends.ts";
import type { KafkaClient, OffsetRange, OutgoingRecord, ProducerIdentity } from "./driver.ts";
import { EDGE_TOPIC_SETTINGS } from "./edge-topic.ts";

export interface EdgePublisherOptions {
  readonly env: Env;
  readonly connection: Connection<KafkaClient>;
  readonly topic: string;
  /** Messages that the topic holds. */
  readonly capacity: number;
  /** Aborts when the transport is closed. */
  readonly closed: AbortSignal;
}

interface Waiting {
  readonly record: OutgoingRecord;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

const FULL_MS = 5;
const FULL_MS_MAX = 100;
const RETRY_MS = 50;
const BATCH_BYTES_MAX = 512 * 1024;

export class EdgePublisher {
  readonly #options: EdgePublisherOptions;
  #waiting: Waiting[] = [];
  #isSending = false;
  #producer: ProducerIdentity | undefined;
  /** Records that the producer appended. */
  #sequence = 0;
  /** What the topic was last seen to hold. */
  #held: OffsetRange | undefined;

  constructor(options: EdgePublisherOptions) {
    this.#options = options;
  }

  /** @throws TRANSPORT-CLOSED, TRANSPORT-TOO-LARGE */
  publish({ headers, body }: TransportMessage): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ record: { key: null, value: body, headers }, resolve, reject });
      if (!this.#isSending) void this.#send();
    });
  }

  async #send(): Promise<void> {
    this.#isSending = true;
    while (this.#waiting.length > 0) {
      const batch = await this.#batch();
      try {
        await this.#accepted(batch.map(({ record }) => record));
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#isSending = false;
  }

  /** As much of what waits as the topic has room for. */
  async #batch(): Promise<readonly Waiting[]> {
    const room = await this.#room();
    let bytes = 0;
    let n = 0;
    for (const { record } of this.#waiting.slice(0, room)) {
      bytes += record.value.length;
      if (n > 0 && bytes > BATCH_BYTES_MAX) break;
      n++;
    }
    return this.#waiting.splice(0, n);
  }

  /** Waits while the topic is full. At least 1, also when it cannot be told because the transport is closed. */
  async #room(): Promise<number> {
    const { topic, capacity, env, closed } = this.#options;
    for (let full = 0; ; full++) {
      const { first, end } = this.#held ?? { first: 0, end: 0 };
      if (closed.aborted || end - first < capacity) return Math.max(1, capacity - (end - first));
      await sleep(env, Math.min(FULL_MS_MAX, FULL_MS * 2 ** full), closed).catch(() => undefined);
      await this.#persist(async (client) => {
        this.#held = (await client.describe(topic)) === undefined ? undefined : await client.range(topic, 0);
        return true;
      }).catch(() => undefined);
    }
  }

  #accepted(records: readonly OutgoingRecord[]): Promise<void> {
    const { topic } = this.#options;
    return this.#persist(async (client) => {
      this.#producer ??= await client.identify();
      const held = await client.append(topic, records, this.#producer, this.#sequence);
      if (held === "missing") await client.createTopic(topic, EDGE_TOPIC_SETTINGS);
      if (held === "unknown-sequence" || held === "missing") {
        // A topic that knows nothing of this producer counts from the beginning.
        this.#producer = undefined;
        this.#sequence = 0;
        return false;
      }
      this.#sequence += records.length;
      this.#held = held;
      return true;
    });
  }

  /** Until `attempt` says that it is done. @throws TRANSPORT-CLOSED, and what has a code and will not pass */
  async #persist(attempt: (client: KafkaClient) => Promise<boolean>): Promise<void> {
    const { env, connection, closed } = this.#options;
    for (;;) {
      if (closed.aborted) throw transportClosed();
      let client: KafkaClient | undefined;
      try {
        client = await connection.keep();
        if (await attempt(client)) return;
      } catch (error) {
        if (closed.aborted) throw transportClosed();
        if (error instanceof MillraceError && error.kind !== "transient") throw refusal(error);
        if (client !== undefined) await connection.suspect(client);
        const waitMs = error instanceof MillraceError ? error.retryAfterMs : undefined;
        await sleep(env, waitMs ?? RETRY_MS, closed).catch(() => undefined);
      }
    }
  }
}

function refusal(error: MillraceError): MillraceError {
  if (error.code !== "KAFKA-TOO-LARGE") return error;
  return transportError("TRANSPORT-TOO-LARGE", error.message, { cause: error });
}
