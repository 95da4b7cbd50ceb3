/** What a `sqlite:` address names: a table of a database in a file, `./shop.db?table=orders`. */
import { type OptionCheck, oneOf, optionFault } from "./address-options.ts";

export interface SqliteAddress {
  readonly kind: "table";
  readonly path: string;
  /** Name of the table, as it is, without quotes. */
  readonly target: string;
  readonly options: ReadonlyMap<string, string>;
}

type Side = "source" | "sink";

const EXAMPLE = "sqlite:./shop.db?table=orders";
const isFilled: OptionCheck = (value) => (value === "" ? "expected a name" : undefined);
const CHECKS: Readonly<Record<Side, Readonly<Record<string, OptionCheck>>>> = {
  source: { table: isFilled, cursor: isFilled, until: oneOf("now") },
  sink: { table: isFilled },
};

export function parseSqliteAddress(address: string, side: Side): SqliteAddress | { readonly fault: string } {
  const at = address.lastIndexOf("?");
  const path = at < 0 ? address : address.slice(0, at);
  if (path === "" || path.startsWith("//")) return { fault: `expected the path of a file, as in ${EXAMPLE}` };
  const options = new Map(new URLSearchParams(at < 0 ? "" : address.slice(at + 1)));
  const fault = optionFault(options, CHECKS[side]);
  if (fault !== undefined) return { fault };
  const target = options.get("table");
  if (target === undefined) return { fault: `which table is not said: add \`?table=<name>\`, as in ${EXAMPLE}` };
  if (side === "source" && !options.has("cursor"))
    return { fault: "a table is read in the order of a column that only grows: add `cursor=<column>`" };
  return { kind: "table", path, target, options };
}
