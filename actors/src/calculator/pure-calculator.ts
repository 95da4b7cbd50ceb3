/** A calculator that its author declared pure: called here and now for each row, without a worker, and logged by nobody. */
import {
  isJsonObject,
  type Json,
  type MessageFailure,
  type MillraceError,
  type PureBehavior,
  pureResult,
  RowBatch,
} from "@millrace/engine";
import { threw } from "./calculator-error.ts";
import type { CalculatorModule } from "./calculator-module.ts";
import { messagesOf } from "./calculator-result.ts";

/**
 * A row for which the module throws (`CALC-THREW`) or returns no JSON (`CALC-RESULT`) fails; the others go on. There is no worker that
 * could be lost: it is healthy unless every row of its last batch failed.
 */
export function pureCalculator({ calculate }: CalculatorModule, url: string, details: Json): PureBehavior {
  let healthy = true;
  let failed = 0;
  let lastFailure: MillraceError | undefined;
  return {
    kind: "pure",
    describe: () => ({
      isolation: "inline",
      healthy,
      restarts: 0,
      failures: failed,
      lastFailure: lastFailure === undefined ? null : `${lastFailure.code}: ${lastFailure.message}`,
      details,
    }),
    ports: ["out"],
    // Any row may turn into several, so all are numbered as if it did (R4).
    expands: true,
    transform(batch) {
      const rows = batch.rows();
      const out: Json[] = [];
      const sources: number[] = [];
      const failures: MessageFailure[] = [];
      for (let i = 0; i < rows.length; i++) {
        try {
          const messages = messagesOf(calculate(copyOf(rows[i] as Json)));
          for (let m = 0; m < messages.length; m++) {
            out.push(messages[m] as Json);
            sources.push(i);
          }
        } catch (thrown) {
          lastFailure = threw(thrown, url);
          failures.push({ index: i, error: lastFailure });
        }
      }
      failed += failures.length;
      if (rows.length > 0) healthy = failures.length < rows.length;
      const isOneToOne =
        failures.length === 0 && out.length === rows.length && sources.every((source, i) => source === i);
      return pureResult(new RowBatch(out), isOneToOne ? null : Uint32Array.from(sources), failures);
    },
  };
}

/**
 * A row of its own, which the code may write to: messages are shared with other branches, and with the origin, which may have to send
 * them again.
 */
function copyOf(value: Json): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map(copyOf);
  if (!isJsonObject(value)) return value;
  const copy: Record<string, Json> = { ...value };
  for (const name in copy) {
    const field = copy[name] as Json;
    if (typeof field === "object" && field !== null) copy[name] = copyOf(field);
  }
  return copy;
}
