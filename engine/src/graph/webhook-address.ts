/**
 * Where a sink posts to: `https://host:port,host:port/path`. Several hosts are one service, in order of preference, as in the address
 * of a broker. No URL library reads that form, so it is taken apart into one address for each host.
 */

/** Scheme, user information, hosts, all else. */
const FORM = /^(https?:)\/\/((?:[^/?#]*@)?)([^/?#]*)(.*)$/is;

/** `undefined`: one of them is no address. Secrets must have been put in. */
export function webhookUrls(address: string): readonly string[] | undefined {
  const [, scheme = "", user = "", hosts = "", rest = ""] = FORM.exec(address) ?? [];
  const names = hosts.split(",");
  if (names.length === 1) return URL.canParse(address) ? [address] : undefined;
  // The URL library would take the first part of the path for a host that is missing.
  if (names.includes("")) return undefined;
  const urls = names.map((host) => `${scheme}//${user}${host}${rest}`);
  return urls.every((url) => URL.canParse(url)) ? urls : undefined;
}
