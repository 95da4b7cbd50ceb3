/**
 * The engine's public entry for code that runs beside a host, in a thread or process of its own, or as a command that asks a server:
 * errors, payload values, the clock. The main entry has them too, and loads everything else with them, which a command would wait for
 * and a calculator keep in memory.
 */
export {
  defineErrors,
  errorEntry,
  invariant,
  MillraceError,
  messageOf,
  reportOf,
} from "../errors.ts";
export { isJsonObject } from "../frame/json.ts";
export { CopiedLease } from "../payload/copied-lease.ts";
export { payloadError } from "../payload/payload-errors.ts";
export { inlineValue, isFormat, PAYLOAD_KEY, payloadOf } from "../payload/payload-value.ts";
export { WORKER_SOCKET } from "../process/worker-process.ts";
export { systemEnv } from "../time/system-env.ts";
