/**
 * The engine's public entry for code in a thread or process of its own, beside a host: errors, payload values, the clock. The main
 * entry has them too, and loads everything else with them, which a calculator would wait for and keep in memory.
 */
export {
  defineErrors,
  errorEntry,
  invariant,
  MillraceError,
  messageOf,
} from "../errors.ts";
export { CopiedLease } from "../payload/copied-lease.ts";
export { payloadError } from "../payload/payload-errors.ts";
export { inlineValue, isFormat, PAYLOAD_KEY, payloadOf } from "../payload/payload-value.ts";
export { WORKER_SOCKET } from "../process/worker-process.ts";
export { systemEnv } from "../time/system-env.ts";
