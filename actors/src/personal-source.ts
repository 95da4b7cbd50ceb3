/** Sources whose messages have personal fields: they are sealed before anybody sees the message. */
import {
  type Feed,
  type FeedIntake,
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
} from "@millrace/engine";

/** Reads what `connector` reads. What is no message keeps its place and code, and nothing of its content. */
export function personalSource(connector: SourceConnector, intake: PersonalIntake): SourceConnector {
  return {
    capabilities: connector.capabilities,
    ...(connector.connection === undefined ? {} : { connection: connector.connection.bind(connector) }),
    partitions: () => connector.partitions(),
    open: async (partition, after) => new PersonalReader(await connector.open(partition, after), intake, partition),
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

  async #sealed({ batch, positions, through, rejected }: SourceBatch): Promise<SourceBatch> {
    const taken = await this.#intake.seal(batch.rows(), (i) => `${this.#partition}@${positions.pos(i)}`);
    const kept = [...taken.keys()].filter((i) => !(taken[i] instanceof Error));
    const refused = [...taken.entries()].flatMap(([i, error]): RejectedInput[] =>
      error instanceof Error ? [{ pos: positions.pos(i), error, input: undefined }] : [],
    );
    const unshown = rejected.map(({ pos, error }) => ({ pos, error: withoutContent(error), input: undefined }));
    return {
      batch: new RowBatch(kept.map((i) => taken[i] as Json)),
      positions: kept.length === batch.n ? positions : positions.select(Uint32Array.from(kept)),
      through,
      rejected: [...unshown, ...refused].sort((a, b) => a.pos - b.pos),
    };
  }
}

export interface PersonalFeedOptions {
  /** Most messages that may wait to be sealed; more are shed, unless the feed waits for their receipts. Default 65 536. */
  readonly waitingMax?: number;
}

/** Takes what `feed` sends. Messages wait for their keys to be durable, those that wait together for one write; order is kept. */
export function personalFeed(
  feed: Feed,
  intake: PersonalIntake,
  random: Random,
  { waitingMax = WAITING_MAX }: PersonalFeedOptions = {},
): Feed {
  return {
    connection: () => feed.connection(),
    run: (into, signal) => feed.run(new SealingIntake(into, intake, random, waitingMax), signal),
  };
}

const WAITING_MAX = 65_536;

interface Waiting {
  readonly message: Json;
  readonly receipt: FeedReceipt | undefined;
  /** Why it is no message. */
  readonly error?: Error;
}

class SealingIntake implements FeedIntake {
  readonly #into: FeedIntake;
  readonly #intake: PersonalIntake;
  readonly #random: Random;
  readonly #waitingMax: number;
  #waiting: Waiting[] = [];
  #isSealing = false;

  constructor(into: FeedIntake, intake: PersonalIntake, random: Random, waitingMax: number) {
    this.#into = into;
    this.#intake = intake;
    this.#random = random;
    this.#waitingMax = waitingMax;
  }

  take(message: Json, receipt?: FeedReceipt): void {
    this.#wait({ message, receipt });
  }

  reject(error: unknown, _input: Json, receipt?: FeedReceipt): void {
    this.#wait({ message: null, receipt, error: withoutContent(error) });
  }

  lose(count: number, reason: string): void {
    this.#into.lose(count, reason);
  }

  #wait(item: Waiting): void {
    const isKept = item.receipt?.settle !== undefined || this.#waiting.length < this.#waitingMax;
    if (isKept) this.#waiting.push(item);
    else this.lose(1, "came faster than it could be sealed");
    if (!this.#isSealing) void this.#seal();
  }

  async #seal(): Promise<void> {
    this.#isSealing = true;
    while (this.#waiting.length > 0) {
      const items = this.#waiting;
      this.#waiting = [];
      const sealed = (await this.#sealed(items.filter(({ error }) => error === undefined))).values();
      for (const { error, receipt } of items) {
        const taken = error ?? sealed.next().value;
        if (taken instanceof Error) this.#into.reject(taken, null, receipt);
        else if (taken !== undefined) this.#into.take(taken, receipt);
      }
    }
    this.#isSealing = false;
  }

  /** None of them without their keys: a feed that waits for receipts sends them again. */
  async #sealed(items: readonly Waiting[]): Promise<readonly (Json | Error)[]> {
    if (items.length === 0) return [];
    const place = Buffer.from(this.#random.bytes(16)).toString("hex");
    const messages = items.map(({ message }) => message);
    try {
      return await this.#intake.seal(messages, (i) => `${place}@${i}`);
    } catch (error) {
      this.lose(items.length, reportOf(error).code);
      return [];
    }
  }
}

/** Messages of errors quote what they do not understand. */
function withoutContent(error: unknown): Error {
  const { code, place } = reportOf(error);
  return personalError("PERSONAL-INPUT", `not a message (${code})`, place === undefined ? {} : { place });
}
