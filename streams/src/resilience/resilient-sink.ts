/**
 * A sink over a {@link Connection}. Opening never waits for the target, so that a graph starts while its target is down; the
 * first delivery after it, and after anything that failed, brings the target to what was committed first.
 */
import {
  type ConnectionStatus,
  engineError,
  type InputSlice,
  type Json,
  MillraceError,
  messageOf,
  type SinkConnector,
  type SinkGuarantee,
} from "@millrace/engine";
import type { Connection } from "./connection.ts";

export interface SinkDriver<C> {
  readonly guarantee: SinkGuarantee;
  /** Finds out what the target has beyond `committed`, or brings it back to it. */
  open(connection: C, committed: Json | undefined): Promise<void>;
  deliver(connection: C, slices: readonly InputSlice[]): Promise<Json>;
}

/** The connection is the sink's own: it is ended with it. */
export function resilientSink<C>(connection: Connection<C>, driver: SinkDriver<C>): SinkConnector {
  return new ResilientSink(connection, driver);
}

class ResilientSink<C> implements SinkConnector {
  readonly guarantee: SinkGuarantee;
  readonly #driver: SinkDriver<C>;
  readonly #connection: Connection<C>;
  #committed: Json | undefined;
  /** The connection that was opened for what is committed. */
  #opened: C | undefined;

  constructor(connection: Connection<C>, driver: SinkDriver<C>) {
    this.guarantee = driver.guarantee;
    this.#driver = driver;
    this.#connection = connection;
  }

  connection(): ConnectionStatus {
    return this.#connection.status;
  }

  async open(committed: Json | undefined): Promise<void> {
    this.#committed = committed;
    this.#opened = undefined;
  }

  async deliver(slices: readonly InputSlice[]): Promise<Json> {
    // A sink may have nothing to deliver for hours: whether its target is there must be seen meanwhile.
    const connection = await this.#connection.keep();
    try {
      if (this.#opened !== connection) await this.#driver.open(connection, this.#committed);
      this.#opened = connection;
      const result = await this.#driver.deliver(connection, slices);
      this.#committed = result;
      return result;
    } catch (cause) {
      this.#opened = undefined;
      if (cause instanceof MillraceError)
        throw cause.retryAfterMs === undefined ? cause : this.#passed(connection, cause);
      await this.#connection.suspect(connection);
      const { name } = this.#connection.status;
      throw engineError("SINK-FAILED", `cannot deliver to ${name}: ${messageOf(cause)}`, { cause });
    }
  }

  /** The wait that one endpoint asks for is its own: that of the sink ends when the next one may be tried. */
  #passed(connection: C, failure: MillraceError): MillraceError {
    const { code, kind, message, cause, details, place } = failure;
    this.#connection.giveUp(connection, failure);
    return new MillraceError(code, kind, message, {
      cause,
      place,
      ...(details === undefined ? {} : { details }),
      retryAfterMs: this.#connection.waitMs,
    });
  }

  async close(): Promise<void> {
    this.#opened = undefined;
    await this.#connection.disconnect();
  }
}
