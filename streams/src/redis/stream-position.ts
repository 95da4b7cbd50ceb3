/**
 * Ids of stream entries as positions: `<ms since 1970>-<n>` becomes `(ms - EPOCH) * 4096 + n`, which keeps their order and lies
 * below 2^53 until 2089. A server gives `n` above 0 only to entries of the same millisecond.
 */
import { redisError } from "./errors.ts";

/** 2020-01-01T00:00Z. */
const EPOCH_MS = 1_577_836_800_000;
const PER_MS = 4096;

/** @throws REDIS-ID */
export function positionOf(id: string, key: string): number {
  const [ms = Number.NaN, n = Number.NaN] = id.split("-").map(Number);
  const position = (ms - EPOCH_MS) * PER_MS + n;
  if (n < PER_MS && position >= 0 && Number.isSafeInteger(position)) return position;
  throw redisError("REDIS-ID", `entry ${id} of stream ${key} is no position`, { place: { stream: key } });
}

/** The id at a position; `0-0`, which is before all, for what was never read. */
export function idAt(position: number): string {
  if (position < 0) return "0-0";
  return `${EPOCH_MS + Math.floor(position / PER_MS)}-${position % PER_MS}`;
}

/** Below 0, 0 or above 0, as the one id is older than the other, the same or newer. Ids of any size. */
export function compareIds(one: string, other: string): number {
  const [[ms, n], [otherMs, otherN]] = [partsOf(one), partsOf(other)];
  return ms === otherMs ? Number(n - otherN) : ms < otherMs ? -1 : 1;
}

function partsOf(id: string): readonly [ms: bigint, n: bigint] {
  const [ms = "0", n = "0"] = id.split("-");
  return [BigInt(ms), BigInt(n)];
}
