/** A source whose messages have bytes as base64 text in some fields: they become payloads before anybody sees the message. */
import {
  type MillraceError,
  type PayloadExchange,
  type PayloadFormat,
  type PayloadIntake,
  type PayloadScope,
  type RejectedInput,
  RowBatch,
  type SourceBatch,
  type SourceConnector,
  type SourceReader,
} from "@millrace/engine";

export interface PayloadSourceOptions {
  /** Open once the source is read. */
  readonly exchange: () => PayloadExchange;
  readonly intake: PayloadIntake;
  /** Formats by field. */
  readonly fields: Readonly<Record<string, PayloadFormat>>;
}

/** Reads what `connector` reads; a field that is no base64 makes its message a rejected one (`PAYLOAD-VALUE`). */
export function payloadSource(connector: SourceConnector, options: PayloadSourceOptions): SourceConnector {
  return {
    capabilities: connector.capabilities,
    ...(connector.connection === undefined ? {} : { connection: connector.connection.bind(connector) }),
    partitions: () => connector.partitions(),
    open: async (partition, after, marks) => new PayloadReader(await connector.open(partition, after, marks), options),
  };
}

class PayloadReader implements SourceReader {
  readonly #reader: SourceReader;
  readonly #options: PayloadSourceOptions;
  /** Holds what the last read made, until the frame that it became holds it: by then there is another read. */
  #scope: PayloadScope | undefined;

  constructor(reader: SourceReader, options: PayloadSourceOptions) {
    this.#reader = reader;
    this.#options = options;
  }

  get identity(): string | undefined {
    return this.#reader.identity;
  }

  async read(messagesMax: number): Promise<SourceBatch | "idle" | "end"> {
    const read = await this.#reader.read(messagesMax);
    const before = this.#scope;
    this.#scope = this.#options.exchange().scope();
    before?.end();
    return typeof read === "string" ? read : this.#taken(read, this.#scope);
  }

  async close(): Promise<void> {
    await this.#reader.close();
    this.#scope?.end();
    this.#scope = undefined;
  }

  async #taken(read: SourceBatch, scope: PayloadScope): Promise<SourceBatch> {
    const { intake, fields } = this.#options;
    const rows = read.batch.rows();
    const kept: number[] = [];
    const taken: (typeof rows)[number][] = [];
    const rejected: RejectedInput[] = [...read.rejected];
    for (const [i, row] of rows.entries()) {
      try {
        taken.push(await intake.fields(row, fields, scope));
        kept.push(i);
      } catch (error) {
        if ((error as Partial<MillraceError>).kind !== "rejected") throw error;
        rejected.push({ pos: read.positions.pos(i), error, input: undefined });
      }
    }
    const positions = kept.length === rows.length ? read.positions : read.positions.select(Uint32Array.from(kept));
    const inOrder = rejected.sort((a, b) => a.pos - b.pos);
    return { ...read, batch: new RowBatch(taken), positions, rejected: inOrder };
  }
}
