/** What a `grpc:` address names: a method of a service, and where that is. */
import {
  isFile,
  isSecureOptions,
  isShortText,
  needlessOfTls,
  type OptionCheck,
  oneOf,
  optionFault,
} from "./address-options.ts";
import { type BrokerAddress, parseBrokerAddress } from "./broker-address.ts";

export interface GrpcAddress extends BrokerAddress {
  readonly kind: "method";
  /** Full name of the service, its package included. */
  readonly service: string;
  readonly method: string;
}

/** There is none that everybody uses but those of the web. */
const PORT = 80;
const TLS_PORT = 443;

const SHARED: Readonly<Record<string, OptionCheck>> = {
  ...isSecureOptions,
  cert: isFile,
  key: isFile,
  server: isShortText,
};
const OPTIONS: Readonly<Record<"source" | "sink", Readonly<Record<string, OptionCheck>>>> = {
  source: { until: oneOf("end"), ...SHARED },
  sink: SHARED,
};
/** What makes sense with an encrypted connection only. */
const OF_TLS = ["ca", "cert", "key", "server"];

export function parseGrpcAddress(address: string, side: "source" | "sink"): GrpcAddress | { readonly fault: string } {
  const parsed = parseBrokerAddress(address, PORT, TLS_PORT);
  if ("fault" in parsed) return { fault: `${parsed.fault}, as in grpc://127.0.0.1:50051/shop.v1.Orders/Follow` };
  const [service = "", method = "", ...rest] = parsed.path;
  if (!/^\w+(?:\.\w+)*$/.test(service) || !/^\w+$/.test(method) || rest.length > 0)
    return { fault: "expected a path /<package.Service>/<Method>" };
  if (parsed.user !== undefined)
    return { fault: "credentials belong under `grpc.metadata`, or into files that `cert` and `key` name" };
  const fault = optionFault(parsed.options, OPTIONS[side]) ?? tlsFault(parsed.options);
  return fault === undefined ? { ...parsed, kind: "method", service, method } : { fault };
}

function tlsFault(options: ReadonlyMap<string, string>): string | undefined {
  const needless = needlessOfTls(options, OF_TLS);
  if (needless !== undefined) return needless;
  return options.has("cert") === options.has("key") ? undefined : "options `cert` and `key` need each other";
}
