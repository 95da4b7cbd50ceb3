/** A sink that gets personal values as they were; what was erased by then is marked. */
import { type InputSlice, type Json, RowBatch, type SinkConnector } from "@millrace/engine";

export function revealedSink(sink: SinkConnector, reveal: (value: Json) => Json): SinkConnector {
  return {
    guarantee: sink.guarantee,
    ...(sink.connection === undefined ? {} : { connection: sink.connection.bind(sink) }),
    open: (committed) => sink.open(committed),
    deliver: (slices) => sink.deliver(slices.map((slice) => revealedSlice(slice, reveal))),
    close: () => sink.close(),
  };
}

function revealedSlice(slice: InputSlice, reveal: (value: Json) => Json): InputSlice {
  return { ...slice, batch: new RowBatch(slice.batch.rows().map(reveal)) };
}
