/** Redis: streams and channels. Every export is listed by name. */
export { redisError } from "./errors.ts";
export { type RedisSourceOptions, redisFeed, redisSink, redisSource } from "./redis-connectors.ts";
