/** Redis: streams, channels and keys. Every export is listed by name. */
export { redisError } from "./errors.ts";
export {
  type RedisFeedOptions,
  type RedisSinkOptions,
  type RedisSourceOptions,
  redisFeed,
  redisSink,
  redisSource,
} from "./redis-connectors.ts";
