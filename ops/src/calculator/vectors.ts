/** Test vectors of a calculator: cases of messages in, messages out. Each case begins without state. */
import { isDeepStrictEqual } from "node:util";
import type { LooseCalculator, Outcome } from "@millrace/actors";
import { isJsonObject, type Json } from "@millrace/engine";
import { opsError } from "../errors.ts";

export interface VectorCase {
  readonly name: string;
  readonly given: readonly Json[];
  /** Every message that comes out, in order; a failed one as `{ error: code }`. */
  readonly expect: readonly Json[];
  /** Time of the step, ms since 1970. Default 0. */
  readonly at: number;
}

export interface Vectors {
  readonly config: Json;
  /** Of a service: how it is called, as `rest` of a graph's node. */
  readonly rest?: Json;
  readonly cases: readonly VectorCase[];
}

export interface CaseResult {
  readonly name: string;
  readonly passed: boolean;
  readonly got: readonly Json[];
  readonly expected: readonly Json[];
  /** Messages of the failures in `got`. */
  readonly failures: readonly string[];
}

/** @throws CLI-USAGE the text is no vectors */
export function parseVectors(text: string, file: string): Vectors {
  const bad = (why: string): Error => opsError("CLI-USAGE", `${file}: ${why}`, { place: { file } });
  let read: Json;
  try {
    read = JSON.parse(text) as Json;
  } catch (cause) {
    throw opsError("CLI-USAGE", `${file} is not JSON: ${String(cause)}`, { cause, place: { file } });
  }
  if (!isJsonObject(read) || !Array.isArray(read.cases) || read.cases.length === 0)
    throw bad("expected { config?, rest?, cases: [{ name, given: [messages], expect: [messages] }, …] }");
  const cases = (read.cases as readonly Json[]).map((item, i): VectorCase => {
    if (!isJsonObject(item) || !Array.isArray(item.given) || !Array.isArray(item.expect))
      throw bad(`case ${i} needs \`given\` and \`expect\`, both lists of messages`);
    const { name = `case ${i}`, given, expect, at = 0 } = item;
    if (typeof at !== "number" || !Number.isFinite(at)) throw bad(`case ${i}: \`at\` is a number of ms since 1970`);
    return { name: String(name), given: given as Json[], expect: expect as Json[], at };
  });
  return { config: read.config ?? null, ...(read.rest === undefined ? {} : { rest: read.rest }), cases };
}

export async function runCase(
  calculator: LooseCalculator,
  { name, given, expect, at }: VectorCase,
): Promise<CaseResult> {
  calculator.reset();
  const outcomes = await calculator.run(given, { at, graph: "", node: "test" });
  const got = outcomes.flatMap(messagesIn);
  const failures = outcomes.flatMap((outcome) => ("error" in outcome ? [outcome.error.message] : []));
  const passed = isDeepStrictEqual(got.map(withoutSignOfZero), expect.map(withoutSignOfZero));
  return { name, passed, got, expected: expect, failures };
}

/** Many a calculator makes a -0, which JSON writes as 0, and so does who writes its vectors. */
function withoutSignOfZero(value: Json): Json {
  if (value === 0) return 0;
  if (Array.isArray(value)) return value.map(withoutSignOfZero);
  if (!isJsonObject(value) || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, withoutSignOfZero(field)]));
}

function messagesIn(outcome: Outcome): readonly Json[] {
  return "out" in outcome ? outcome.out : [{ error: outcome.error.code }];
}
