/** How a cluster is reached, by the address that names it. */
import { type BrokerAddress, durationMs } from "@millrace/engine";
import type { ResiliencePolicy } from "../resilience/policy.ts";
import type { KafkaServers } from "./kafka-connection.ts";

/** `ca`: certificate authorities as PEM; `policy` overrides what the address says of connections. */
export function kafkaServersOf(
  { endpoints, user, password, options }: BrokerAddress,
  ca?: string,
  policy: Partial<ResiliencePolicy> = {},
): KafkaServers {
  const probe = options.get("probe");
  const suspend = options.get("suspend");
  // The address was checked: it is one of them.
  const sasl = options.get("sasl") as KafkaServers["sasl"];
  return {
    endpoints,
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
    tls: options.get("tls") === "true",
    ...(ca === undefined ? {} : { ca }),
    ...(sasl === undefined ? {} : { sasl }),
    policy: {
      ...(probe === undefined ? {} : { probeEveryMs: durationMs(probe) }),
      ...(suspend === undefined ? {} : { suspendMs: durationMs(suspend) }),
      ...policy,
    },
  };
}
