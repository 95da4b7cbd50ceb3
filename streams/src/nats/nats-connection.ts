/** A resilient connection to a NATS server. The client's own reconnecting is off: it would hide what the layer must know. */
import { type Env, messageOf } from "@millrace/engine";
import { connect, type NatsConnection } from "nats";
import { Connection, type ConnectionDriver } from "../resilience/connection.ts";
import type { Tls } from "../resilience/endpoint.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";

export interface NatsServers {
  /** `host:port`, in order of preference. */
  readonly endpoints: readonly string[];
  /** Without a password it is a token. */
  readonly user?: string;
  readonly password?: string;
  /** Absent: the connection is not encrypted. */
  readonly tls?: Tls | undefined;
  readonly policy?: Partial<ResiliencePolicy>;
}

export function natsConnection(servers: NatsServers, env: Env): Connection<NatsConnection> {
  const { endpoints, policy } = servers;
  const name = `nats://${endpoints.join(",")}`;
  const driver = natsDriver(servers);
  return new Connection({ name, endpoints, driver, env, ...(policy === undefined ? {} : { policy }) });
}

/** How long the client itself waits for a connection; the layer's own time is up before. */
const CLIENT_TIMEOUT_MS = 60_000;

function natsDriver({ user, password, tls }: NatsServers): ConnectionDriver<NatsConnection> {
  const auth = user === undefined ? {} : password === undefined ? { token: user } : { user, pass: password };
  return {
    connect: (endpoint) =>
      connect({
        servers: endpoint,
        name: "millrace",
        reconnect: false,
        ignoreClusterUpdates: true,
        timeout: CLIENT_TIMEOUT_MS,
        ...auth,
        ...(tls === undefined ? {} : { tls }),
      }),
    probe: (connection) => connection.flush(),
    ended: (connection) => connection.closed().then((error) => error ?? undefined, messageOf),
    disconnect: (connection) => connection.close(),
  };
}
