/** The address of a log that is not in the data directory. Only its servers are ever shown: the rest may hold a password. */
import { opsError } from "../errors.ts";

export interface LogAddress {
  /** What clients of EventStoreDB connect with. */
  readonly connectionString: string;
  /** `host:port` of each server, separated by commas. */
  readonly servers: string;
}

// Strict, so that no part of a password is ever taken for a host: one with an unescaped `/` or `?` is no address.
const HOST = "(?:[\\w.-]+|\\[[0-9a-fA-F:]+\\])(?::\\d+)?";
const ADDRESS = new RegExp(`^esdb(?:\\+discover)?://(?:[^/?@]*@)?(${HOST}(?:,${HOST})*)/?(?:$|\\?[^=@]*(?:=|$))`);

/** @throws CLI-USAGE it is no address of EventStoreDB */
export function logAddress(text: string): LogAddress {
  const servers = ADDRESS.exec(text)?.[1];
  if (servers !== undefined) return { connectionString: text, servers };
  throw opsError(
    "CLI-USAGE",
    "the address of a log is esdb://host:port or esdb+discover://host:port; special characters of a password are escaped, / as %2F",
  );
}
