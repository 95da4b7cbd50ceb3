/** A resilient connection to a Redis server. The client's own retries and queues are off: they would hide what the layer must know. */
import type { Env } from "@millrace/engine";
import { Redis } from "ioredis";
import { Connection, type ConnectionDriver } from "../resilience/connection.ts";
import { hostAndPort, type Tls } from "../resilience/endpoint.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";
import { ServerClient } from "./server-client.ts";

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
  return connectionBy(redisDriver(servers), servers, env);
}

/** For streams and channels. */
export function serverConnection(servers: RedisServers, env: Env): Connection<ServerClient> {
  return connectionBy(clientDriver(redisDriver(servers)), servers, env);
}

/** Two that are one connection: who has subscribed to something cannot ask for anything else. */
export interface RedisPair {
  readonly commands: Redis;
  readonly notices: Redis;
}

export function redisPair(servers: RedisServers, env: Env): Connection<RedisPair> {
  return connectionBy(pairDriver(redisDriver(servers)), servers, env);
}

function connectionBy<C>(driver: ConnectionDriver<C>, { endpoints, policy }: RedisServers, env: Env): Connection<C> {
  const name = `redis://${endpoints.join(",")}`;
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

function clientDriver(one: ConnectionDriver<Redis>): ConnectionDriver<ServerClient> {
  return {
    async connect(endpoint, signal) {
      const redis = await one.connect(endpoint, signal);
      return new ServerClient(redis, one.ended(redis));
    },
    probe: ({ redis }) => one.probe(redis),
    ended: ({ ended }) => ended,
    disconnect: ({ redis }) => one.disconnect(redis),
  };
}

function pairDriver(one: ConnectionDriver<Redis>): ConnectionDriver<RedisPair> {
  return {
    async connect(endpoint, signal) {
      const commands = await one.connect(endpoint, signal);
      try {
        return { commands, notices: await one.connect(endpoint, signal) };
      } catch (error) {
        await one.disconnect(commands);
        throw error;
      }
    },
    async probe({ commands, notices }) {
      await Promise.all([one.probe(commands), one.probe(notices)]);
    },
    ended: ({ commands, notices }) => Promise.race([one.ended(commands), one.ended(notices)]),
    async disconnect({ commands, notices }) {
      await one.disconnect(commands);
      await one.disconnect(notices);
    },
  };
}

const errors = new WeakMap<Redis, unknown>();
