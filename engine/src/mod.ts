/** The engine's public entry. Every export is listed by name. */
export type {
  CommittedBehavior,
  CommittedContext,
  Draft,
  InputSlice,
  StateEvent,
} from "./behavior/committed-behavior.ts";
export {
  type MessageFailure,
  type PureBehavior,
  type PureOutput,
  type PureResult,
  pureResult,
} from "./behavior/pure-behavior.ts";
export {
  type Disk,
  DiskError,
  type DiskFile,
  errnoOf,
  type FileStat,
  type LockKind,
  type OpenOptions,
} from "./disk/disk.ts";
export {
  defineErrors,
  type ErrorEntry,
  type ErrorKind,
  type ErrorOptions,
  type ErrorReport,
  engineError,
  errorCodes,
  errorEntry,
  InvariantViolation,
  invariant,
  MillraceError,
  messageOf,
  type Place,
  reportOf,
} from "./errors.ts";
export { type Batch, ColumnBatch, EMPTY_BATCH, RowBatch } from "./frame/batch.ts";
export { decodeBatch, encodeBatch } from "./frame/batch-codec.ts";
export {
  type BooleanColumn,
  type Column,
  cell,
  Dictionary,
  type DictionaryColumn,
  type JsonColumn,
  type NumberColumn,
  type TimeColumn,
} from "./frame/column.ts";
export { type DeadItem, Frame, type FrameHead, type LateMark, type Mark, type Trace } from "./frame/frame.ts";
export { isJsonObject, isoTime, type Json, type JsonObject } from "./frame/json.ts";
export { comparePoints, END, formatPoint, leastPoint, type Point, START, wholly } from "./frame/point.ts";
export { Positions } from "./frame/positions.ts";
export { eventFilter } from "./log/event-filter.ts";
export type {
  AppendResult,
  EventContext,
  EventFilter,
  EventInput,
  EventLog,
  ExpectedRevision,
  ReadOptions,
  RecordedEvent,
  StreamAppend,
  SubscribeOptions,
  SubscriptionBatch,
} from "./log/event-log.ts";
export { logError } from "./log/log-errors.ts";
export type {
  DeadLetter,
  EdgeStatus,
  GraphHost,
  GraphState,
  GraphStatus,
  Mutation,
  NodeState,
  NodeStatus,
  PeekedMessage,
  Pressure,
} from "./runtime/status.ts";
export type { SinkConnector, SinkGuarantee } from "./sink/sink-connector.ts";
export type {
  RejectedInput,
  SourceBatch,
  SourceCapabilities,
  SourceConnector,
  SourceReader,
} from "./source/source-connector.ts";
export {
  type Entry,
  KEY_BYTES_MAX,
  type Key,
  type OrderedReader,
  type OrderedStore,
  type OrderedWriter,
  type RangeOptions,
} from "./store/ordered-store.ts";
export { storeError } from "./store/store-errors.ts";
export { type Clock, type Env, type Random, sleep, type Timer, type Timers, type Turns } from "./time/clock.ts";
export { systemEnv } from "./time/system-env.ts";
