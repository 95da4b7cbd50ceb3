/** Messages as NDJSON on the process's standard output, for looking and for pipes. Repeats after a crash what was not committed. */
import { once } from "node:events";
import { engineError, type Json, messageOf, type SinkConnector } from "@millrace/engine";

export function stdoutSink(): SinkConnector {
  return {
    guarantee: "at-least-once",
    open: () => Promise.resolve(),
    async deliver(slices) {
      try {
        for (const { batch } of slices) await write(batch.rows());
      } catch (cause) {
        throw engineError("SINK-FAILED", `cannot write to standard output: ${messageOf(cause)}`, { cause });
      }
      return null;
    },
    close: () => Promise.resolve(),
  };
}

async function write(rows: readonly Json[]): Promise<void> {
  const text = rows.map((row) => `${JSON.stringify(row)}\n`).join("");
  if (text !== "" && !process.stdout.write(text)) await once(process.stdout, "drain");
}
