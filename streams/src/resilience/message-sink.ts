/**
 * A sink whose messages are bytes, in a format. What the format needs is there before anything is delivered: while it is not, the target
 * is not to blame, and nothing of it was asked.
 */
import type { InputSlice, Json, SinkConnector, SinkGuarantee } from "@millrace/engine";
import { connectionsOf, type EncodeMessage, type MessageEncoder } from "../format/message-format.ts";
import type { Connection } from "./connection.ts";
import { leastHealthy } from "./least-healthy.ts";
import { resilientSink } from "./resilient-sink.ts";

export interface MessageSinkDriver<C> {
  readonly guarantee: SinkGuarantee;
  /** Finds out what the target has beyond `committed`, or brings it back to it. */
  open(connection: C, committed: Json | undefined): Promise<void>;
  /** `encode` makes the message of a row. */
  deliver(connection: C, slices: readonly InputSlice[], encode: EncodeMessage): Promise<Json>;
}

/** The connection and the format are the sink's own: they are ended with it. */
export function messageSink<C>(
  connection: Connection<C>,
  driver: MessageSinkDriver<C>,
  format: MessageEncoder,
): SinkConnector {
  let encode: EncodeMessage = () => {
    throw new Error("nothing was prepared");
  };
  const sink = resilientSink(connection, {
    guarantee: driver.guarantee,
    open: (over, committed) => driver.open(over, committed),
    deliver: (over, slices) => driver.deliver(over, slices, encode),
  });
  return {
    guarantee: sink.guarantee,
    connection: () => leastHealthy([connection.status, ...connectionsOf(format)]),
    open: (committed) => sink.open(committed),
    async deliver(slices) {
      encode = await format.prepared();
      return sink.deliver(slices);
    },
    async close() {
      await format.close?.();
      await sink.close();
    },
  };
}
