/** Fields of rows, by names that come from elsewhere. */
import type { Json } from "@millrace/engine";
import { ValueFault } from "./errors.ts";

/** A field of the row that nothing would be written of is no detail: it would be lost without a word. @throws ValueFault */
export function refuseOthers(value: Readonly<Record<string, Json>>, names: ReadonlySet<string>): void {
  for (const name of Object.keys(value))
    if (!names.has(name)) throw new ValueFault("the schema has no such field", [name]);
}
