/** Where a `grpc+listen:` source listens. */
import { isFile, isSecureOptions, needlessOfTls, type OptionCheck, optionFault } from "./address-options.ts";
import { type BrokerAddress, parseBrokerAddress } from "./broker-address.ts";

export interface GrpcListenAddress extends BrokerAddress {
  readonly kind: "listen";
}

const OPTIONS: Readonly<Record<string, OptionCheck>> = { ...isSecureOptions, cert: isFile, key: isFile };
const OF_TLS = ["ca", "cert", "key"];
const LOOPBACK = /^(?:127(?:\.\d{1,3}){3}|localhost|\[::1\]):\d+$/;

export function parseGrpcListenAddress(address: string): GrpcListenAddress | { readonly fault: string } {
  const parsed = parseBrokerAddress(address, 0);
  if ("fault" in parsed) return { fault: `${parsed.fault}, as in grpc+listen://127.0.0.1:50061` };
  const { endpoints, path, user, options } = parsed;
  const [endpoint = "", ...more] = endpoints;
  if (more.length > 0 || /:0$/.test(endpoint)) return { fault: "expected one address with a port to listen on" };
  if (path.length > 0) return { fault: "expected no path; what is served is millrace.v1.Intake/Publish" };
  if (user !== undefined) return { fault: "who may send is told by certificates, with `tls=true` and `ca`" };
  const fault = optionFault(options, OPTIONS) ?? tlsFault(options, endpoint);
  return fault === undefined ? { ...parsed, kind: "listen" } : { fault };
}

function tlsFault(options: ReadonlyMap<string, string>, endpoint: string): string | undefined {
  const needless = needlessOfTls(options, OF_TLS);
  if (needless !== undefined) return needless;
  const isSecure = options.get("tls") === "true";
  if (isSecure && !(options.has("cert") && options.has("key"))) return "`tls=true` needs `cert` and `key`";
  if (LOOPBACK.test(endpoint) || options.has("ca")) return undefined;
  return "beyond this machine it listens only to clients with a certificate: `tls=true`, `cert`, `key` and `ca`";
}
