/** The address of a log that is not in the data directory. Only its servers are ever shown: the rest may hold a password. */
import { opsError } from "../errors.ts";

export interface LogAddress {
  /** What clients of EventStoreDB connect with. */
  readonly connectionString: string;
  /** `host:port` of each server, separated by commas. */
  readonly servers: string;
}

const ADDRESS = /^esdb(?:\+discover)?:\/\/(?:[^/?]*@)?([^@/?]+)/;

/** @throws CLI-USAGE it is no address of EventStoreDB */
export function logAddress(text: string): LogAddress {
  const servers = ADDRESS.exec(text)?.[1];
  if (servers !== undefined) return { connectionString: text, servers };
  throw opsError("CLI-USAGE", "the address of a log begins with esdb:// or esdb+discover:// and names a server");
}
