/**
 * The engine's public entry for code that runs beside a host, in a thread or process of its own, or as a command that asks a server:
 * errors and their texts, payload values, the clock, what is said of events and of stores. The main entry has them too, and loads everything else with
 * them, which a command would wait for, the index of a busy log with it, and a calculator keep in memory.
 */
export { CELL_FOLDS } from "../behavior/group-kernel.ts";
export { errnoOf } from "../disk/disk.ts";
export {
  defineErrors,
  errorEntry,
  invariant,
  MillraceError,
  messageOf,
  reportOf,
} from "../errors.ts";
export { COMPARISONS } from "../expression/selection-kernel.ts";
export { fieldOf, setField } from "../frame/field.ts";
export { isJsonObject } from "../frame/json.ts";
export { formatProblem } from "../graph/problem.ts";
export { CLIENT_SCHEMA } from "../log/client-event.ts";
export { categoryOf } from "../log/event-list.ts";
export { tagsOf } from "../log/event-tags.ts";
export { CopiedLease } from "../payload/copied-lease.ts";
export { payloadError } from "../payload/payload-errors.ts";
export { inlineValue, isFormat, PAYLOAD_KEY, payloadOf } from "../payload/payload-value.ts";
export { WORKER_SOCKET } from "../process/worker-process.ts";
export { KEY_BYTES_MAX } from "../store/ordered-store.ts";
export { storeError } from "../store/store-errors.ts";
export { systemEnv } from "../time/system-env.ts";
