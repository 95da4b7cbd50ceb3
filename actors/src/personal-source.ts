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

/** Takes what `feed` sends. A message waits for its key to be durable; order is kept. */
export function personalFeed(feed: Feed, intake: PersonalIntake, random: Random): Feed {
  return {
    connection: () => feed.connection(),
    run: (into, signal) => feed.run(sealedIntake(into, intake, random), signal),
  };
}

function sealedIntake(into: FeedIntake, intake: PersonalIntake, random: Random): FeedIntake {
  let turn: Promise<void> = Promise.resolve();
  const take = async (message: Json, receipt?: FeedReceipt): Promise<void> => {
    const place = Buffer.from(random.bytes(16)).toString("hex");
    try {
      const [sealed] = await intake.seal([message], () => place);
      if (sealed instanceof Error) into.reject(sealed, null, receipt);
      else into.take(sealed ?? null, receipt);
    } catch (error) {
      // Without its key it cannot be kept: a feed that waits for receipts sends it again.
      into.lose(1, reportOf(error).code);
    }
  };
  const inTurn = (next: () => void | Promise<void>): void => {
    turn = turn.then(next);
  };
  return {
    take: (message, receipt) => inTurn(() => take(message, receipt)),
    reject: (error, _input, receipt) => inTurn(() => into.reject(withoutContent(error), null, receipt)),
    lose: (count, reason) => into.lose(count, reason),
  };
}

/** Messages of errors quote what they do not understand. */
function withoutContent(error: unknown): Error {
  const { code, place } = reportOf(error);
  return personalError("PERSONAL-INPUT", `not a message (${code})`, place === undefined ? {} : { place });
}
