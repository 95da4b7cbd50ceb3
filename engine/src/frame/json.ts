/** The values that messages carry: what JSON can say. Times are ISO 8601 strings in UTC, wherever they are seen. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

export interface JsonObject {
  readonly [key: string]: Json;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const isoCache = new Map<number, string>();
const ISO_CACHE_MAX = 512;

/**
 * ISO 8601 in UTC for milliseconds since 1970. Windows repeat the same few times in thousands of rows, hence the cache.
 * A time that `Date` cannot represent is `null`, as `JSON.stringify` would say it.
 */
export function isoTime(ms: number): string | null {
  const hit = isoCache.get(ms);
  if (hit !== undefined) return hit;
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return null;
  const text = date.toISOString();
  if (isoCache.size >= ISO_CACHE_MAX) isoCache.clear();
  isoCache.set(ms, text);
  return text;
}
