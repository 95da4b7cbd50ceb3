/** A resilient connection to a Kafka cluster. */
import type { Env } from "@millrace/engine";
import type { Zstd } from "../compression/zstd.ts";
import { Connection } from "../resilience/connection.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";
import type { KafkaClient, KafkaDriver } from "./driver.ts";
import { type KafkaSecurity, kafkajsDriver } from "./kafkajs-driver.ts";

export interface KafkaServers {
  /** `host:port` of brokers to begin with, in order of preference; the others are learnt from them. */
  readonly endpoints: readonly string[];
  readonly user?: string;
  readonly password?: string;
  /** Default: none. */
  readonly tls?: boolean;
  /** Certificate authorities as PEM. Default: the system's. */
  readonly ca?: string;
  /** Default `plain`, if there is a user. */
  readonly sasl?: "plain" | "scram-sha-256" | "scram-sha-512";
  readonly policy?: Partial<ResiliencePolicy>;
}

/** `zstd`: one that is faster than WebAssembly. */
export function kafkaConnection(servers: KafkaServers, env: Env, zstd?: Zstd): Connection<KafkaClient> {
  const { endpoints, policy } = servers;
  const name = `kafka://${endpoints.join(",")}`;
  const driver: KafkaDriver = kafkajsDriver(securityOf(servers), env, zstd) as KafkaDriver;
  return new Connection({ name, endpoints, driver, env, ...(policy === undefined ? {} : { policy }) });
}

function securityOf({ user, password = "", tls = false, ca, sasl = "plain" }: KafkaServers): KafkaSecurity {
  return {
    tls,
    ...(ca === undefined ? {} : { ca }),
    ...(user === undefined ? {} : { sasl: { mechanism: sasl, username: user, password } }),
  };
}
