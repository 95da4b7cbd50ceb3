/** Turns what a calculator threw, which may be anything, into an error with the place in its module. */
import type { Place } from "@millrace/engine";
import { errorEntry, MillraceError, messageOf } from "@millrace/engine/worker";
import { actorError } from "../errors.ts";
import { pathOf } from "./calculator-module.ts";

/** `CALC-THREW`, or the code that it has, with file, line and column of the module's innermost frame. */
export function threw(thrown: unknown, url: string): MillraceError {
  if (thrown instanceof MillraceError) return placed(thrown, url);
  return actorError("CALC-THREW", describe(thrown), { place: placeOf(thrown, url), cause: thrown });
}

function placed(error: MillraceError, url: string): MillraceError {
  const { code, kind, message, place = placeOf(error, url), cause } = error;
  return error.place === undefined ? new MillraceError(code, kind, message, { place, cause }) : error;
}

/** What code may say of a row in its own name. */
const REPORTED = new Set([
  "CALC-THREW",
  "CALC-RESULT",
  "CALC-OOM",
  "PAYLOAD-VALUE",
  "PAYLOAD-MISSING",
  "PAYLOAD-UNREACHABLE",
]);

/** An error that code elsewhere reports of a row; codes that are not for it to use become `CALC-THREW`. */
export function reported(code: unknown, message: string, place?: Place): MillraceError {
  const known = typeof code === "string" && REPORTED.has(code) ? code : "CALC-THREW";
  // Codes of payloads are the engine's.
  return new MillraceError(known, errorEntry(known)?.kind ?? "rejected", message, place === undefined ? {} : { place });
}

/** `CALC-LOAD` with the place where the module stopped loading. */
export function didNotLoad(thrown: unknown, url: string): MillraceError {
  if (thrown instanceof MillraceError) return thrown;
  return actorError("CALC-LOAD", `${pathOf(url)} does not load: ${describe(thrown)}`, {
    place: placeOf(thrown, url),
    cause: thrown,
  });
}

function describe(thrown: unknown): string {
  if (thrown instanceof Error) return messageOf(thrown);
  return `threw ${thrown === undefined ? "undefined" : messageOf(thrown)}, which is not an Error`;
}

/** Stack frames say `file:///dir/module.ts?x:line:column` or the plain path. Messages of the stripper end in the same way. */
export function placeOf(thrown: unknown, url: string): Place {
  const file = pathOf(url);
  if (!(thrown instanceof Error)) return { file };
  const text = `${thrown.message}\n${thrown.stack ?? ""}`;
  for (const known of [url, url.split("?")[0] as string, file]) {
    const at = text.indexOf(`${known}:`);
    if (at < 0) continue;
    const found = /^(\d+)(?::(\d+))?/.exec(text.slice(at + known.length + 1));
    if (found === null) continue;
    return { file, line: Number(found[1]), ...(found[2] === undefined ? {} : { column: Number(found[2]) }) };
  }
  return { file };
}
