/**
 * The calculator module that stands for a library or WebAssembly inside of a thread or process of this host. Its `config`
 * says which. The default export keeps no state; `stateful` may, in a process of its own.
 */
import { actorError, type CalculatorContext } from "@millrace/actors";
import { type Json, messageOf, type StateEvent } from "@millrace/engine";
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

function calculate(row: Json, context?: CalculatorContext): Json | undefined {
  const [outcome] = opened().batch([row], context?.at ?? 0);
  if (outcome === undefined) throw actorError("CALC-RESULT", "no outcome for a row", { place: { file } });
  if (outcome === null) return undefined;
  if (Array.isArray(outcome)) return outcome as Json;
  const { code, msg, place } = outcome as { readonly code?: unknown; readonly msg?: unknown; readonly place?: unknown };
  const known = code === "CALC-RESULT" || code === "CALC-OOM" ? code : "CALC-THREW";
  throw actorError(known, String(msg), { place: typeof place === "object" && place !== null ? place : { file } });
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
