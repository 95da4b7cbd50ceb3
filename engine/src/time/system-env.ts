/** The machine's own clock, timers, turns and randomness. The only module of the engine that touches these globals. */
import { randomFillSync } from "node:crypto";
import type { Env } from "./clock.ts";

const POOL_BYTES = 4096;
/** A longer delay Node takes for one of 1 ms. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/** The production {@link Env}. Timers never keep the process alive longer than the work they belong to needs. */
export function systemEnv(): Env {
  const pool = new Uint8Array(POOL_BYTES);
  let used = POOL_BYTES;
  const take = (length: number): Uint8Array => {
    if (length > POOL_BYTES) return randomFillSync(new Uint8Array(length));
    if (used + length > POOL_BYTES) {
      randomFillSync(pool);
      used = 0;
    }
    used += length;
    return pool.slice(used - length, used);
  };
  return {
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    timers: {
      after(delayMs, fire) {
        const dueMs = performance.now() + delayMs;
        let handle: NodeJS.Timeout;
        const wait = (leftMs: number): void => {
          handle = setTimeout(look, Math.min(Math.ceil(leftMs), TIMEOUT_MS_MAX));
        };
        // Node's timers count whole milliseconds and may fire up to one too early.
        const look = (): void => {
          const leftMs = dueMs - performance.now();
          if (leftMs > 0) wait(leftMs);
          else fire();
        };
        wait(delayMs);
        return { cancel: () => clearTimeout(handle) };
      },
    },
    turns: { soon: (run) => queueMicrotask(run), yieldToIo: (run) => void setImmediate(run) },
    random: {
      u32: () => new DataView(take(4).buffer).getUint32(0),
      bytes: take,
    },
  };
}
