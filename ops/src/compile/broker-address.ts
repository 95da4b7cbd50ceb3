/** The address of a broker or database as it is when the connection is opened, its secrets put in. */
import type { Place } from "@millrace/engine";
import { opsError } from "../errors.ts";
import type { CompileContext } from "./compile-context.ts";
import { withSecrets } from "./secrets.ts";

type Fault = { readonly fault: string };

/** What is wrong would quote the secret. */
const SPOILT =
  "a secret makes it another address than the graph says; in a secret, write characters such as `@ : / ? # %` with percent signs, `%40` for `@`";

/** @throws HOST-CONNECTOR with its secrets the text is no such address, or a secret does not exist */
export function addressOf<A extends object, S extends string>(
  text: string,
  parse: (text: string, side: S) => A | Fault,
  side: S,
  context: CompileContext,
  place: Place,
): Exclude<A, Fault> {
  const whole = withSecrets(text, context, place);
  const parsed = parse(whole, side);
  if ("fault" in parsed)
    throw opsError("HOST-CONNECTOR", `the address cannot be used: ${whole === text ? parsed.fault : SPOILT}`, {
      place,
    });
  return parsed as Exclude<A, Fault>;
}
