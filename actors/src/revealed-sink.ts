/**
 * A sink that gets personal values as they were; what was erased by then is marked. What is under way with a value is told, so that an
 * erasure can wait for its end.
 */
import { type InputSlice, type Json, type Revelation, RowBatch, type SinkConnector } from "@millrace/engine";

export function revealedSink(sink: SinkConnector, begin: () => Revelation): SinkConnector {
  return {
    guarantee: sink.guarantee,
    ...(sink.connection === undefined ? {} : { connection: sink.connection.bind(sink) }),
    open: (committed) => sink.open(committed),
    deliver: async (slices) => {
      const revelation = begin();
      try {
        return await sink.deliver(slices.map((slice) => revealedSlice(slice, revelation.reveal)));
      } finally {
        revelation.end();
      }
    },
    close: () => sink.close(),
  };
}

function revealedSlice(slice: InputSlice, reveal: (value: Json) => Json): InputSlice {
  return { ...slice, batch: new RowBatch(slice.batch.rows().map(reveal)) };
}
