/** A resilient connection to a Redis server. The client's own retries and queues are off: they would hide what the layer must know. */
import type { Env } from "@millrace/engine";
import { Redis } from "ioredis";
import { Connection, type ConnectionDriver } from "../resilience/connection.ts";
import { hostAndPort, type Tls } from "../resilience/endpoint.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";

export interface RedisServers {
  /** `host:port`, in order of preference. */
  readonly endpoints: readonly string[];
  /** Without a password it is the password, as `requirepass` wants it. */
  readonly user?: string;
  readonly password?: string;
  /** Absent: the connection is not encrypted. */
  readonly tls?: Tls | undefined;
  /** Number of the database. Default 0. */
  readonly db?: number;
  readonly policy?: Partial<ResiliencePolicy>;
}

export function redisConnection(servers: RedisServers, env: Env): Connection<Redis> {
  const { endpoints, policy } = servers;
  const name = `redis://${endpoints.join(",")}`;
  const driver = redisDriver(servers);
  return new Connection({ name, endpoints, driver, env, ...(policy === undefined ? {} : { policy }) });
}

function redisDriver({ user, password, db, tls }: RedisServers): ConnectionDriver<Redis> {
  const auth = user === undefined ? {} : password === undefined ? { password: user } : { username: user, password };
  return {
    async connect(endpoint) {
      const { host, port } = hostAndPort(endpoint);
      const redis = new Redis({
        host,
        port,
        ...auth,
        ...(tls === undefined ? {} : { tls }),
        db: db ?? 0,
        lazyConnect: true,
        enableOfflineQueue: false,
        maxRetriesPerRequest: 0,
        autoResubscribe: false,
        autoResendUnfulfilledCommands: false,
        retryStrategy: () => null,
      });
      // The reason of the end; without a listener the client writes it to the console.
      redis.on("error", (error) => errors.set(redis, error));
      try {
        await redis.connect();
      } catch (error) {
        redis.disconnect();
        // What the client says of a failed connection is only that it is closed.
        throw errors.get(redis) ?? error;
      }
      return redis;
    },
    probe: async (redis) => void (await redis.ping()),
    ended: (redis) => new Promise((resolve) => redis.once("end", () => resolve(errors.get(redis)))),
    disconnect: async (redis) => redis.disconnect(),
  };
}

const errors = new WeakMap<Redis, unknown>();
