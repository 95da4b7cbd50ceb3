/** An hour: what a server asks for beyond it is not waited for. */
const RETRY_AFTER_MS_MAX = 3_600_000;

/**
 * The wait in ms that an answer asks for (RFC 9110 §10.2.3): seconds, or a date, which is taken against the server's own clock, its
 * `Date`. At most an hour; `undefined` when it asks for none, or not in these words.
 */
export function retryAfterMs(value: unknown, date: unknown): number | undefined {
  if (typeof value !== "string") return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.parse(String(date));
  return Number.isFinite(ms) && ms >= 0 ? Math.min(ms, RETRY_AFTER_MS_MAX) : undefined;
}
