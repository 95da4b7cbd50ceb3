/** What connectors make of an address, each in the same way. */
import { type BrokerAddress, durationMs } from "@millrace/engine";
import type { ResiliencePolicy } from "./policy.ts";

/** Encryption of a connection. */
export interface Tls {
  /** Certificates that are trusted instead of the system's, as PEM. */
  readonly ca?: string;
}

/** Host and port of `host:port` and `[address]:port`. */
export function hostAndPort(endpoint: string): { readonly host: string; readonly port: number } {
  const [, host = "", port = ""] = /^\[?(.*?)\]?:(\d+)$/.exec(endpoint) ?? [];
  return { host, port: Number(port) };
}

/** What an address says of its connection. */
export function policyOf({ options }: Pick<BrokerAddress, "options">): Partial<ResiliencePolicy> {
  const probe = options.get("probe");
  const suspend = options.get("suspend");
  return {
    ...(probe === undefined ? {} : { probeEveryMs: durationMs(probe) }),
    ...(suspend === undefined ? {} : { suspendMs: durationMs(suspend) }),
  };
}
