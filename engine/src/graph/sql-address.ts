/** What a `postgres:` or `mysql:` address names: mostly a table of a database, `//user:password@host:port/database/table/<name>`. */
import { type OptionCheck, oneOf, optionFault } from "./address-options.ts";
import { type BrokerAddress, parseBrokerAddress } from "./broker-address.ts";

export interface SqlAddress extends BrokerAddress {
  readonly kind: SqlKind;
  readonly database: string;
  /** Name of the table or publication, as it is, without quotes. */
  readonly target: string;
}

/** `outbox`: rows of a table, each of which is done with once it was read; `cdc`: the changes of a publication's tables. */
export type SqlKind = "table" | "outbox" | "cdc";

type Side = "source" | "sink";
type Checks = Readonly<Record<string, OptionCheck>>;

interface Dialect {
  readonly scheme: string;
  readonly port: number;
  readonly kinds: Readonly<Record<string, Readonly<Partial<Record<Side, Checks>>>>>;
}

const isFilled: OptionCheck = (value) => (value === "" ? "expected a name" : undefined);
const TLS: Checks = { tls: oneOf("off", "verify", "unverified"), ca: isFilled };
const TABLE_SOURCE: Checks = { cursor: isFilled, until: oneOf("now"), ...TLS };

/** As the server takes them. */
const isSlotName: OptionCheck = (value) =>
  /^[a-z0-9_]{1,63}$/.test(value) ? undefined : "expected 1 to 63 of the characters a-z, 0-9 and _";
const CDC: Checks = {
  slot: isSlotName,
  temporary: oneOf("true", "false"),
  gap: oneOf("stop", "record"),
  until: oneOf("now"),
  snapshot: oneOf("none", "initial"),
  ...TLS,
};

const POSTGRES: Dialect = {
  scheme: "postgres",
  port: 5432,
  kinds: {
    table: { source: { ...TABLE_SOURCE, schema: isFilled }, sink: { ...TLS, schema: isFilled } },
    outbox: { source: { key: isFilled, mark: isFilled, ...TLS, schema: isFilled } },
    cdc: { source: CDC },
  },
};

const MYSQL: Dialect = {
  scheme: "mysql",
  port: 3306,
  kinds: { table: { source: TABLE_SOURCE, sink: TLS } },
};

export function parseMysqlAddress(address: string, side: Side): SqlAddress | { readonly fault: string } {
  const parsed = parseSqlAddress(address, side, MYSQL);
  if ("fault" in parsed || parsed.options.get("tls") !== "verify") return parsed;
  // The client library compares no certificate with an address.
  const numeric = parsed.endpoints.find((endpoint) => /^(?:[\d.]+|\[.*\]):\d+$/.test(endpoint));
  return numeric === undefined ? parsed : { fault: `\`tls=verify\` needs names of hosts; ${numeric} is none` };
}

export function parsePostgresAddress(address: string, side: Side): SqlAddress | { readonly fault: string } {
  return parseSqlAddress(address, side, POSTGRES);
}

function parseSqlAddress(
  address: string,
  side: Side,
  { scheme, port, kinds }: Dialect,
): SqlAddress | { readonly fault: string } {
  const example = `${scheme}://user@127.0.0.1:${port}/shop/table/orders`;
  const parsed = parseBrokerAddress(address, port);
  if ("fault" in parsed) return { fault: `${parsed.fault}, as in ${example}` };
  const [database, kind = "", target, ...rest] = parsed.path;
  const checks = kinds[kind]?.[side];
  if (checks === undefined || database === undefined || target === undefined || rest.length > 0)
    return { fault: `expected a path ${pathForms(kinds, side)}, as in ${example}` };
  const fault = optionFault(parsed.options, checks) ?? missingOption(kind, side, parsed.options);
  return fault === undefined ? { ...parsed, kind: kind as SqlKind, database, target } : { fault };
}

function pathForms(kinds: Dialect["kinds"], side: Side): string {
  const forms = Object.entries(kinds).filter(([, sides]) => sides[side] !== undefined);
  return forms.map(([kind]) => `/<database>/${kind}/<name>`).join(" or ");
}

function missingOption(kind: string, side: Side, options: ReadonlyMap<string, string>): string | undefined {
  if (options.has("ca") && options.get("tls") !== "verify") return "option `ca` needs `tls=verify`";
  if (kind === "cdc") return slotFault(options);
  if (kind !== "table" || side !== "source" || options.has("cursor")) return undefined;
  return "a table is read in the order of a column that only grows: add `?cursor=<column>`";
}

function slotFault(options: ReadonlyMap<string, string>): string | undefined {
  if (!options.has("slot")) return "changes are kept for one reader by a replication slot: add `?slot=<name>`";
  if (options.get("temporary") !== "true") return undefined;
  if (options.get("snapshot") === "initial")
    return "rows are followed by changes without a gap only if the slot stays: leave out `temporary`";
  if (options.get("gap") === "record") return undefined;
  return "a temporary slot is gone with its connection, and so is what changes until the next one: add `gap=record`";
}
