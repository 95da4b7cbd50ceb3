/** Sources whose messages have personal fields: they are sealed before anybody sees the message. */
import {
  type Env,
  type Feed,
  type FeedGroup,
  type FeedIntake,
  type FeedItem,
  type FeedReceipt,
  type Json,
  type PersonalIntake,
  personalError,
  type Random,
  type RejectedInput,
  RowBatch,
  reportOf,
  type SourceBatch,
  type SourceConnector,
  type SourceReader,
  sleep,
} from "@millrace/engine";

/** Reads what `connector` reads. What is no message keeps its place and code, and nothing of its content. */
export function personalSource(connector: SourceConnector, intake: PersonalIntake): SourceConnector {
  return {
    capabilities: connector.capabilities,
    ...(connector.connection === undefined ? {} : { connection: connector.connection.bind(connector) }),
    partitions: () => connector.partitions(),
    open: async (partition, after, marks) =>
      new PersonalReader(await connector.open(partition, after, marks), intake, partition),
  };
}

class PersonalReader implements SourceReader {
  readonly #reader: SourceReader;
  readonly #intake: PersonalIntake;
  readonly #partition: string;

  constructor(reader: SourceReader, intake: PersonalIntake, partition: string) {
    this.#reader = reader;
    this.#intake = intake;
    this.#partition = partition;
  }

  get identity(): string | undefined {
    return this.#reader.identity;
  }

  async read(messagesMax: number): Promise<SourceBatch | "idle" | "end"> {
    const read = await this.#reader.read(messagesMax);
    return typeof read === "string" ? read : this.#sealed(read);
  }

  close(): Promise<void> {
    return this.#reader.close();
  }

  async #sealed(read: SourceBatch): Promise<SourceBatch> {
    const { batch, positions, rejected } = read;
    const taken = await this.#intake.seal(batch.rows(), (i) => `${this.#partition}@${positions.pos(i)}`);
    const kept = [...taken.keys()].filter((i) => !(taken[i] instanceof Error));
    const refused = [...taken.entries()].flatMap(([i, error]): RejectedInput[] =>
      error instanceof Error ? [{ pos: positions.pos(i), error, input: undefined }] : [],
    );
    const unshown = rejected.map(({ pos, error }) => ({ pos, error: withoutContent(error), input: undefined }));
    return {
      ...read,
      batch: new RowBatch(kept.map((i) => taken[i] as Json)),
      positions: kept.length === batch.n ? positions : positions.select(Uint32Array.from(kept)),
      rejected: [...unshown, ...refused].sort((a, b) => a.pos - b.pos),
    };
  }
}

export interface PersonalFeedOptions {
  /** Most messages that may wait to be sealed; more are shed, unless the feed waits for their receipts. Default 65 536. */
  readonly waitingMax?: number;
}

/**
 * Takes what `feed` sends. Messages wait for their keys to be durable, those that wait together for one write; order is kept. When keys
 * cannot be written, a feed with a cursor is run again from the last one that was passed on.
 */
export function personalFeed(
  feed: Feed,
  intake: PersonalIntake,
  env: Env,
  { waitingMax = WAITING_MAX }: PersonalFeedOptions = {},
): Feed {
  return {
    ...(feed.capabilities === undefined ? {} : { capabilities: feed.capabilities }),
    connection: () => feed.connection(),
    async run(into, signal) {
      for (let cursor = into.cursor; !signal.aborted; ) {
        const failed = new AbortController();
        const sealing = new SealingIntake({ into, intake, random: env.random, waitingMax, cursor }, failed);
        await feed.run(sealing, AbortSignal.any([signal, failed.signal]));
        cursor = sealing.passed;
        if (failed.signal.aborted) await sleep(env, RETRY_MS, signal).catch(() => undefined);
        else return;
      }
    },
  };
}

/** How long a feed is left alone whose messages could not be sealed. */
const RETRY_MS = 1000;
const WAITING_MAX = 65_536;

interface Waiting {
  readonly items: readonly FeedItem[];
  readonly receipt?: FeedReceipt | undefined;
  /** Present: they came as a group. */
  readonly group?: Pick<FeedGroup, "cursor" | "settle">;
}

interface SealingOptions {
  readonly into: FeedIntake;
  readonly intake: PersonalIntake;
  readonly random: Random;
  readonly waitingMax: number;
  readonly cursor: Json | undefined;
}

class SealingIntake implements FeedIntake {
  readonly cursor: Json | undefined;
  /** The newest cursor that was passed on. */
  passed: Json | undefined;
  readonly #options: SealingOptions;
  readonly #into: FeedIntake;
  /** Aborted once a group could not be sealed: nothing behind it may be passed on. */
  readonly #failed: AbortController;
  #waiting: Waiting[] = [];
  #isSealing = false;

  constructor(options: SealingOptions, failed: AbortController) {
    this.cursor = options.cursor;
    this.passed = options.cursor;
    this.#options = options;
    this.#into = options.into;
    this.#failed = failed;
  }

  take(message: Json, receipt?: FeedReceipt): void {
    this.#wait({ items: [{ message }], receipt });
  }

  takeGroup({ items, ...group }: FeedGroup): void {
    this.#wait({ items: items.map(unshown), group });
  }

  reject(error: unknown, _input: Json, receipt?: FeedReceipt): void {
    this.#wait({ items: [unshown({ message: null, error })], receipt });
  }

  lose(count: number, reason: string): void {
    this.#into.lose(count, reason);
  }

  #wait(item: Waiting): void {
    const isKept =
      item.group !== undefined || item.receipt?.settle !== undefined || this.#waiting.length < this.#options.waitingMax;
    if (isKept) this.#waiting.push(item);
    else this.lose(1, "came faster than it could be sealed");
    if (!this.#isSealing) void this.#seal();
  }

  async #seal(): Promise<void> {
    this.#isSealing = true;
    while (this.#waiting.length > 0) {
      const waiting = this.#waiting;
      this.#waiting = [];
      try {
        const sealed = await this.#sealed(waiting.flatMap(({ items }) => items));
        let at = 0;
        for (const one of waiting) {
          const items = sealed.slice(at, at + one.items.length);
          at += one.items.length;
          this.#pass(one, items);
        }
      } catch (error) {
        this.#giveUp(waiting, error);
      }
    }
    this.#isSealing = false;
  }

  #pass({ group, receipt }: Waiting, items: readonly FeedItem[]): void {
    if (group !== undefined) {
      if (this.#failed.signal.aborted) return;
      this.passed = group.cursor;
      this.#into.takeGroup({ ...group, items });
      return;
    }
    for (const item of items)
      if ("error" in item) this.#into.reject(item.error, null, receipt);
      else this.#into.take(item.message, receipt);
  }

  /** None of them is passed on without its keys. What waits for a receipt or behind a cursor is sent again; the rest is lost. */
  #giveUp(waiting: readonly Waiting[], error: unknown): void {
    const lost = waiting.filter(({ group, receipt }) => group === undefined && receipt?.settle === undefined);
    if (lost.length > 0) this.lose(lost.length, reportOf(error).code);
    if (waiting.some(({ group }) => group !== undefined)) this.#failed.abort();
  }

  async #sealed(items: readonly FeedItem[]): Promise<readonly FeedItem[]> {
    const messages = items.filter((item) => !("error" in item)).map(({ message }) => message);
    const { intake, random } = this.#options;
    const place = Buffer.from(random.bytes(16)).toString("hex");
    const taken = (messages.length === 0 ? [] : await intake.seal(messages, (i) => `${place}@${i}`)).values();
    return items.map((item) => ("error" in item ? item : withMessage(item, taken.next().value)));
  }
}

function withMessage(item: FeedItem, sealed: Json | Error | undefined): FeedItem {
  return sealed instanceof Error ? { ...item, message: null, error: sealed } : { ...item, message: sealed ?? null };
}

function unshown(item: FeedItem): FeedItem {
  return "error" in item ? { ...item, message: null, error: withoutContent(item.error) } : item;
}

/** Messages of errors quote what they do not understand. */
function withoutContent(error: unknown): Error {
  const { code, place } = reportOf(error);
  return personalError("PERSONAL-INPUT", `not a message (${code})`, place === undefined ? {} : { place });
}
