/** A resilient connection to a PostgreSQL server: one session each, so that what is locked and read belongs to one transaction. */
import { type Env, invariant } from "@millrace/engine";
import { Client, type ClientConfig } from "pg";
import type { Connection, ConnectionDriver } from "../resilience/connection.ts";
import { hostAndPort } from "../resilience/endpoint.ts";
import { isBusy } from "../sql/busy-sessions.ts";
import { type SqlServers, sqlConnection } from "../sql/sql-servers.ts";
import { tlsOptions } from "../sql/tls.ts";

/** Values come out of the server as text in one form, whatever its defaults; an answered commit is on its disk. */
const SESSION = `set timezone to 'UTC'; set datestyle to 'ISO'; set intervalstyle to 'iso_8601';
select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'`;

export function postgresConnection(servers: SqlServers, env: Env): Connection<Client> {
  return sqlConnection("postgres", servers, postgresDriver(servers), env);
}

function postgresDriver(servers: SqlServers): ConnectionDriver<Client> {
  return {
    async connect(endpoint) {
      const config = configOf(servers, endpoint);
      const client = new Client(config);
      configs.set(client, config);
      // The reason of the end; without a listener the process would end.
      client.on("error", (error) => failures.set(client, error));
      try {
        await client.connect();
        await client.query(SESSION);
      } catch (error) {
        discard(client);
        throw error;
      }
      return client;
    },
    async probe(client) {
      if (!isBusy(client)) return void (await client.query("select 1"));
      await probeBusy(client, sessionConfig(client));
    },
    ended: (client) => new Promise((resolve) => client.once("end", () => resolve(failures.get(client)))),
    disconnect: async (client) => discard(client),
  };
}

const failures = new WeakMap<Client, unknown>();
const configs = new WeakMap<Client, ClientConfig>();

/** How a session was made, for another one to the same server. */
export function sessionConfig(client: Client): ClientConfig {
  const config = configs.get(client);
  invariant(config !== undefined, "a session was made here");
  return config;
}

/** A session that has waited for a while for its client has answered, and the answer did not arrive. */
const WORKING = `select 1 from pg_stat_activity
where pid = $1 and (state = 'active' or state_change > clock_timestamp() - interval '1 second')`;

async function probeBusy(client: Client, config: ClientConfig): Promise<void> {
  const other = new Client(config);
  other.on("error", () => undefined);
  try {
    await other.connect();
    const { processID } = client as Client & { readonly processID: number };
    const { rowCount } = await other.query(WORKING, [processID]);
    if (rowCount !== 1) throw new Error("the server does not work for the session any more");
  } finally {
    discard(other);
  }
}

/** A link that is cut would never answer the farewell, so nobody waits for it. */
function discard(client: Client): void {
  client.end().catch(() => undefined);
}

function configOf({ user, password, database, tls }: SqlServers, endpoint: string): ClientConfig {
  const { host, port } = hostAndPort(endpoint);
  return {
    host,
    port,
    // The library would take what is missing from the environment of the process.
    user: user ?? "postgres",
    password: password ?? "",
    database,
    ssl: tlsOptions(tls, host) ?? false,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    application_name: "millrace",
  };
}
