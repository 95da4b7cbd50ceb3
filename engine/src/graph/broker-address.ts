/**
 * Addresses of brokers and databases: `//user:password@host:port,host:port/path/parts?option=value`. Several hosts are one
 * service, in order of preference. No URL library reads that form.
 */

export interface BrokerAddress {
  /** `host:port`, in order of preference. */
  readonly endpoints: readonly string[];
  /** A user without a password is a token where the service has such. */
  readonly user?: string;
  readonly password?: string;
  /** Decoded parts of the path. */
  readonly path: readonly string[];
  readonly options: ReadonlyMap<string, string>;
}

const FORM = /^\/\/(?:([^/?#@]*)@)?([^/?#@]*)([^?#]*)(?:\?([^#]*))?$/;
const HOST = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?$/;
const PORT_MAX = 65_535;

/**
 * @param address what follows the scheme's colon; secrets must have been put in, or are taken for plain text
 * @param port of hosts that say none
 * @param tlsPort the same where the options say `tls=true`
 */
export function parseBrokerAddress(
  address: string,
  port: number,
  tlsPort = port,
): BrokerAddress | { readonly fault: string } {
  const [, userInfo, hosts = "", path = "", query = ""] = FORM.exec(address) ?? [];
  if (FORM.exec(address) === null || hosts === "") return { fault: "expected //host:port/…" };
  const given = new URLSearchParams(query);
  const options = new Map(given);
  const twice = [...options.keys()].find((name) => given.getAll(name).length > 1);
  if (twice !== undefined) return { fault: `option \`${twice}\` is given twice` };
  const defaultPort = options.get("tls") === "true" ? tlsPort : port;
  const endpoints = hosts.split(",").map((host) => endpointOf(host, defaultPort));
  const bad = endpoints.indexOf(undefined);
  if (bad >= 0) return { fault: `\`${hosts.split(",")[bad]}\` is no host and port` };
  const parts = decodedAll(path.split("/").filter((part) => part !== ""));
  const credentials = decodedAll((userInfo ?? "").split(/:(.*)/s).slice(0, 2));
  if (parts === undefined || credentials === undefined)
    return { fault: "a percent sign must be followed by two hex digits" };
  const [user, password] = credentials;
  return {
    endpoints: endpoints as string[],
    ...(userInfo === undefined || user === undefined ? {} : { user }),
    ...(userInfo === undefined || password === undefined ? {} : { password }),
    path: parts,
    options,
  };
}

function endpointOf(host: string, defaultPort: number): string | undefined {
  const match = HOST.exec(host);
  const port = Number(match?.[1] ?? 1);
  if (match === null || port < 1 || port > PORT_MAX) return undefined;
  return match[1] === undefined ? `${host}:${defaultPort}` : host;
}

function decodedAll(parts: readonly string[]): readonly string[] | undefined {
  try {
    return parts.map(decodeURIComponent);
  } catch {
    return undefined;
  }
}
