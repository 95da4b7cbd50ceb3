/** Writes messages to a text stream, one JSON value per line. What was written cannot be taken back: at-least-once. */
import type { Writable } from "node:stream";
import { engineError, type InputSlice, type Json, messageOf, type SinkConnector } from "@millrace/engine";
import { ndjsonLines } from "./line-format.ts";

/** @param stream default: standard output. A delivery ends when the stream has taken its lines. */
export function stdoutSink(stream: Writable = process.stdout): SinkConnector {
  const lines = ndjsonLines();
  return {
    guarantee: "at-least-once",
    async open() {},
    deliver(slices: readonly InputSlice[]): Promise<Json> {
      const text = slices.map(({ batch }) => lines.lines(batch)).join("");
      return new Promise((resolve, reject) => {
        stream.write(text, (cause) => {
          if (cause === null || cause === undefined) resolve(null);
          else reject(engineError("SINK-FAILED", `cannot write to standard output: ${messageOf(cause)}`, { cause }));
        });
      });
    },
    async close() {},
  };
}
