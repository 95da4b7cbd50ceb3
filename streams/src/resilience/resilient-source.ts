/**
 * A source over a {@link Connection}. The adapter opens a partition on a connection and reads; what to do when that fails is
 * here, once for all of them: the next read asks for a connection again and goes on from the last position that was handed
 * out, so a connection that breaks costs time and never a message.
 */
import {
  type ConnectionStatus,
  engineError,
  MillraceError,
  messageOf,
  type SourceBatch,
  type SourceCapabilities,
  type SourceConnector,
  type SourceMark,
  type SourceReader,
} from "@millrace/engine";
import type { Connection } from "./connection.ts";

export interface SourceDriver<C> {
  readonly capabilities: SourceCapabilities;
  readonly partitions: readonly string[];
  /** Reads `partition` from just after `after` over `connection`; `marks` as of {@link SourceConnector.open}. */
  open(connection: C, partition: string, after: number, marks: readonly SourceMark[]): Promise<SourceReader>;
}

/** The connection is the source's own: it is ended with each reader. */
export function resilientSource<C>(connection: Connection<C>, driver: SourceDriver<C>): SourceConnector {
  return {
    capabilities: driver.capabilities,
    partitions: async () => driver.partitions,
    connection: () => connection.status,
    open: async (partition, after, marks = []) => new ResilientReader({ connection, driver, partition, after, marks }),
  };
}

interface ResilientReaderOptions<C> {
  readonly connection: Connection<C>;
  readonly driver: SourceDriver<C>;
  readonly partition: string;
  readonly after: number;
  readonly marks: readonly SourceMark[];
}

class ResilientReader<C> implements SourceReader {
  readonly #connection: Connection<C>;
  readonly #driver: SourceDriver<C>;
  readonly #partition: string;
  readonly #stop = new AbortController();
  readonly #stopped: Promise<"idle">;
  #through: number;
  /** Of the place of what comes next, and of what lies above it. */
  #marks: readonly SourceMark[];
  #reader: SourceReader | undefined;
  /** The connection that the reader reads over. */
  #over: C | undefined;
  #reading: Promise<unknown> = Promise.resolve();
  #hasEnded = false;
  identity: string | undefined;

  constructor({ connection, driver, partition, after, marks }: ResilientReaderOptions<C>) {
    this.#connection = connection;
    this.#driver = driver;
    this.#partition = partition;
    this.#through = after;
    this.#marks = marks;
    this.#stopped = new Promise((resolve) =>
      this.#stop.signal.addEventListener("abort", () => resolve("idle"), { once: true }),
    );
  }

  read(messagesMax: number): Promise<SourceBatch | "idle" | "end"> {
    if (this.#stop.signal.aborted) return this.#stopped;
    if (this.#hasEnded) return Promise.resolve("end");
    const reading = this.#read(messagesMax);
    this.#reading = reading.catch(() => undefined);
    return Promise.race([this.#stopped, reading]);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#leave();
    await this.#reading;
  }

  /** There is nothing more that a connection would be needed for. */
  async #leave(): Promise<void> {
    await this.#release();
    await this.#connection.disconnect();
  }

  async #read(messagesMax: number): Promise<SourceBatch | "idle" | "end"> {
    let connection: C | undefined;
    try {
      // A source may not be asked for hours, suspended or without credit: whether its broker is there must be seen meanwhile.
      connection = await this.#connection.keep();
      const reader = await this.#opened(connection);
      const read = await reader.read(messagesMax);
      this.identity = reader.identity;
      if (read === "end") {
        this.#hasEnded = true;
        await this.#leave();
      }
      if (typeof read !== "string") this.#pass(read);
      return read;
    } catch (cause) {
      if (this.#stop.signal.aborted) return "idle";
      await this.#release();
      if (connection !== undefined && !(cause instanceof MillraceError)) await this.#connection.suspect(connection);
      throw sourceFailure(cause, this.#connection.status);
    }
  }

  #pass({ through, marks = [] }: SourceBatch): void {
    this.#through = through;
    const known = [...this.#marks, ...marks];
    const here = known.findLastIndex(({ from }) => from <= through + 1);
    this.#marks = known.slice(Math.max(0, here));
  }

  /** What is read over this connection; a reader of an earlier one is of no use. */
  async #opened(connection: C): Promise<SourceReader> {
    if (this.#reader !== undefined && this.#over === connection) return this.#reader;
    await this.#release();
    this.#over = connection;
    this.#reader = await this.#driver.open(connection, this.#partition, this.#through, this.#marks);
    return this.#reader;
  }

  async #release(): Promise<void> {
    const reader = this.#reader;
    this.#reader = undefined;
    // What is left of a reader whose connection is gone cannot be released over it.
    await reader?.close().catch(() => undefined);
  }
}

/** Errors with a code say what they are; all others are the library's, and may pass. */
function sourceFailure(cause: unknown, { name, reason }: ConnectionStatus): MillraceError {
  if (cause instanceof MillraceError) return cause;
  const why = reason === "" ? messageOf(cause) : reason;
  return engineError("SOURCE-FAILED", `cannot read ${name}: ${why}`, { cause });
}
