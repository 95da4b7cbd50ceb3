/**
 * The calculator module that stands for a library or WebAssembly inside of a thread or process of this host. Its `config`
 * says which. The default export keeps no state; `stateful` may, in a process of its own.
 */
import { actorError, type CalculatorContext, reported } from "@millrace/actors";
import { type Json, messageOf, type PayloadFormat, type StateEvent } from "@millrace/engine";
import { type LibraryCalculator, type LibraryOptions, openLibraryCalculator } from "@millrace/native";

let library: LibraryCalculator | undefined;
let file = "";

function load(options: LibraryOptions, keepsState: boolean): void {
  file = options.file;
  const refused = (why: string, cause?: unknown): Error =>
    actorError("CALC-LOAD", `${file} does not load: ${why}`, {
      place: { file },
      ...(cause === undefined ? {} : { cause }),
    });
  try {
    library = openLibraryCalculator(options);
  } catch (error) {
    throw refused(messageOf(error), error);
  }
  if (library.isStateful && !keepsState) throw refused("it keeps state: run it with `isolation: process`");
}

function calculate(row: Json, context?: CalculatorContext): unknown {
  const [outcome] = opened().batch([row], context?.at ?? 0, context?.places?.());
  context?.opened?.(opened().takeOpens());
  if (outcome === undefined) throw actorError("CALC-RESULT", "no outcome for a row", { place: { file } });
  if (outcome === null) return undefined;
  if (Array.isArray(outcome))
    return context?.payload === undefined ? outcome : outcome.map((message) => withPayloads(message, context));
  const { code, msg, place } = outcome as { readonly code?: unknown; readonly msg?: unknown; readonly place?: unknown };
  throw reported(code, String(msg), typeof place === "object" && place !== null ? place : { file });
}

/** Bytes with a format in a result are a payload; other bytes are left for the one who refuses them. */
function withPayloads(value: unknown, context: CalculatorContext | undefined): unknown {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map((item) => withPayloads(item, context));
  const draft = (value as { readonly $payload?: Partial<{ readonly bytes: unknown; readonly format: unknown }> })
    .$payload;
  if (draft?.bytes instanceof Uint8Array && context?.payload !== undefined)
    return context.payload(draft.bytes, draft.format as PayloadFormat);
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, withPayloads(field, context)]));
}

function opened(): LibraryCalculator {
  if (library === undefined) throw new Error("a library is used after it was loaded");
  return library;
}

const common = { calculate, details: (): Json => opened().details };

export default { ...common, init: (options: LibraryOptions): void => load(options, false) };

export const stateful: object = {
  ...common,
  init: (options: LibraryOptions): void => load(options, true),
  snapshot: (): StateEvent => (opened().isStateful ? opened().snapshot() : null),
  restore: (state: StateEvent): void => {
    if (opened().isStateful) opened().restore(state);
  },
};
