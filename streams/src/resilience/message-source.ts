/**
 * A source whose messages are bytes, in a format. The driver reads them as they are; when what the format needs of them is there they become
 * rows, or dead letters with their place. Until then nothing was read: the same messages are read again.
 */
import {
  type Json,
  Positions,
  type RejectedInput,
  RowBatch,
  type SourceBatch,
  type SourceCapabilities,
  type SourceConnector,
  type SourceReader,
} from "@millrace/engine";
import { connectionsOf, type DecodeMessage, type MessageDecoder } from "../format/message-format.ts";
import type { Connection } from "./connection.ts";
import { leastHealthy } from "./least-healthy.ts";
import { resilientSource } from "./resilient-source.ts";

/** What a message says of itself. */
export interface MessageForm<M> {
  position(message: M): number;
  /** What is encoded. `undefined`: nothing. */
  value(message: M): Uint8Array | undefined;
  /** @throws an error with its place: it is no message */
  row(message: M, decode: DecodeMessage): Json;
  /** As much as can be shown of one that is none. */
  shown(message: M): Json;
}

export interface MessageBatch<M> {
  /** In the order of their positions. */
  readonly messages: readonly M[];
  /** As that of a {@link SourceBatch}. */
  readonly through: number;
  /** What is no message at all, such as a gap. */
  readonly rejected: readonly RejectedInput[];
}

/** As a {@link SourceReader}, of messages. */
export interface MessageReader<M> {
  readonly identity?: string | undefined;
  read(messagesMax: number): Promise<MessageBatch<M> | "idle" | "end">;
  /** What was read last has become rows or dead letters; what has not is read again by another reader. */
  taken?(): void;
  close(): Promise<void>;
}

export interface MessageSourceDriver<C, M> {
  readonly capabilities: SourceCapabilities;
  readonly partitions: readonly string[];
  readonly form: MessageForm<M>;
  /** Reads `partition` from just after `after` over `connection`. */
  open(connection: C, partition: string, after: number): Promise<MessageReader<M>>;
}

/** The connection is the source's own; the format may be shared by several, and is ended by {@link withFormat}. */
export function decodedSource<C, M>(
  connection: Connection<C>,
  driver: MessageSourceDriver<C, M>,
  format: MessageDecoder,
): SourceConnector {
  const { capabilities, partitions, form } = driver;
  return resilientSource(connection, {
    capabilities,
    partitions,
    open: async (over, partition, after) => new DecodingReader(await driver.open(over, partition, after), form, format),
  });
}

/** A source that shows the connection of its format, too, and ends the format with the last of its readers. */
export function withFormat(source: SourceConnector, format: MessageDecoder): SourceConnector {
  if (format.close === undefined) return source;
  let readers = 0;
  const own = source.connection?.bind(source);
  const ended = async (): Promise<void> => {
    if (--readers === 0) await format.close?.();
  };
  return {
    capabilities: source.capabilities,
    ...(own === undefined ? {} : { connection: () => leastHealthy([own(), ...connectionsOf(format)]) }),
    partitions: () => source.partitions(),
    async open(partition, after, marks) {
      const reader = await source.open(partition, after, marks);
      readers++;
      return withEnd(reader, ended);
    },
  };
}

/** The connection and the format are the source's own: they are ended with each reader. */
export function messageSource<C, M>(
  connection: Connection<C>,
  driver: MessageSourceDriver<C, M>,
  format: MessageDecoder,
): SourceConnector {
  return withFormat(decodedSource(connection, driver, format), format);
}

function withEnd(reader: SourceReader, ended: () => Promise<void>): SourceReader {
  let isClosed = false;
  return {
    get identity() {
      return reader.identity;
    },
    read: (messagesMax) => reader.read(messagesMax),
    async close() {
      if (isClosed) return;
      isClosed = true;
      await reader.close();
      await ended();
    },
  };
}

/** A format that needs nothing of them never looks. */
function* valuesOf<M>(messages: readonly M[], form: MessageForm<M>): Generator<Uint8Array> {
  for (const message of messages) {
    const value = form.value(message);
    if (value !== undefined) yield value;
  }
}

class DecodingReader<M> implements SourceReader {
  readonly #reader: MessageReader<M>;
  readonly #form: MessageForm<M>;
  readonly #format: MessageDecoder;
  readonly #closed: Promise<undefined>;
  #close: () => void = () => undefined;

  constructor(reader: MessageReader<M>, form: MessageForm<M>, format: MessageDecoder) {
    this.#reader = reader;
    this.#form = form;
    this.#format = format;
    this.#closed = new Promise((resolve) => {
      this.#close = () => resolve(undefined);
    });
  }

  get identity(): string | undefined {
    return this.#reader.identity;
  }

  async read(messagesMax: number): Promise<SourceBatch | "idle" | "end"> {
    const read = await this.#reader.read(messagesMax);
    if (typeof read === "string") return read;
    const decode = await this.#prepared(read.messages);
    if (decode === undefined) return "idle";
    this.#reader.taken?.();
    return this.#decoded(read, decode);
  }

  async close(): Promise<void> {
    this.#close();
    await this.#reader.close();
  }

  /** `undefined`: whoever read has gone. */
  async #prepared(messages: readonly M[]): Promise<DecodeMessage | undefined> {
    const ready = this.#format.ready(valuesOf(messages, this.#form));
    return ready ?? Promise.race([this.#format.prepared(valuesOf(messages, this.#form)), this.#closed]);
  }

  #decoded({ messages, through, rejected: before }: MessageBatch<M>, decode: DecodeMessage): SourceBatch {
    const form = this.#form;
    const rows: Json[] = [];
    const positions: number[] = [];
    const rejected = [...before];
    for (const message of messages) {
      const pos = form.position(message);
      try {
        rows.push(form.row(message, decode));
        positions.push(pos);
      } catch (error) {
        rejected.push({ pos, error, input: form.shown(message) });
      }
    }
    return { batch: new RowBatch(rows), positions: Positions.of(Float64Array.from(positions)), through, rejected };
  }
}
