/** The engine's public entry. Every export is listed by name. */

export { fuse, type Stage } from "./actor/fuse.ts";
export type { Link, OriginControl, OutEdge } from "./actor/link.ts";
export { EdgeMeter } from "./actor/link.ts";
export { ActorMeter } from "./actor/meter.ts";
export { PureActor, type PureActorOptions } from "./actor/pure-actor.ts";
export { Scheduler, type SchedulerOptions, Turnable } from "./actor/scheduler.ts";
export type {
  CommittedBehavior,
  CommittedContext,
  Draft,
  InputSlice,
  LateEmit,
  StateEvent,
  StateTable,
} from "./behavior/committed-behavior.ts";
export {
  CELL_FOLDS,
  type CellFold,
  type CellSpec,
  type GroupArrays,
  type GroupFrame,
  type GroupKernel,
  type GroupKernels,
  type NumericInput,
} from "./behavior/group-kernel.ts";
export {
  type MessageFailure,
  type PureBehavior,
  type PureOutput,
  type PureResult,
  pureResult,
} from "./behavior/pure-behavior.ts";
export { Message, rxBehavior, rxEach, rxError } from "./behavior/rx-behavior.ts";
export { type CloudEvent, isCloudEvent, readCloudEvent } from "./cloudevents/cloud-event.ts";
export {
  type BinaryCloudEvent,
  cloudEventFromEnvelope,
  cloudEventFromHeaders,
  cloudEventToHeaders,
  cloudEventToParts,
  hasCloudEventHeaders,
  percentEncoded,
} from "./cloudevents/cloud-event-headers.ts";
export { cloudEventError } from "./cloudevents/errors.ts";
export { Circuit, type CircuitOptions, type CircuitState } from "./connection/circuit.ts";
export type { ConnectionState, ConnectionStatus } from "./connection/connection-status.ts";
export type {
  CompareAndSet,
  Coordination,
  CoordinationEntry,
  Member,
  Membership,
} from "./coordination/coordination.ts";
export { coordinationError } from "./coordination/coordination-errors.ts";
export { checkCoordinationKey } from "./coordination/coordination-key.ts";
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
export { AGGREGATES, type AggregateCall, type AggregateFunction, parseAggregate } from "./expression/aggregate.ts";
export { type Computed, compileExpression, type Expression, type Selected } from "./expression/expression.ts";
export { expressionError } from "./expression/expression-errors.ts";
export { didYouMean } from "./expression/nearest.ts";
export { COMPARISONS, type PreparedCondition, type SelectionKernel } from "./expression/selection-kernel.ts";
export type { Anchor } from "./frame/anchor.ts";
export { approximateBytes } from "./frame/approximate-bytes.ts";
export { base64Bytes } from "./frame/base64.ts";
export { type Batch, ColumnBatch, EMPTY_BATCH, RowBatch } from "./frame/batch.ts";
export { decodeBatch, encodeBatch } from "./frame/batch-codec.ts";
export {
  type BooleanColumn,
  type Column,
  cell,
  cells,
  Dictionary,
  type DictionaryColumn,
  type JsonColumn,
  type NumberColumn,
  type TimeColumn,
} from "./frame/column.ts";
export { fieldOf, setField } from "./frame/field.ts";
export { type DeadItem, Frame, type FrameHead, type LateMark, type Mark, type Trace } from "./frame/frame.ts";
export { isJsonObject, isoTime, type Json, type JsonObject } from "./frame/json.ts";
export { comparePoints, END, formatPoint, leastPoint, type Point, START, wholly } from "./frame/point.ts";
export { Positions } from "./frame/positions.ts";
export { type ActivemqAddress, parseActivemqAddress } from "./graph/activemq-address.ts";
export { type Amqp10Address, parseAmqp10Address } from "./graph/amqp10-address.ts";
export { type BrokerAddress, parseBrokerAddress } from "./graph/broker-address.ts";
export { type GraphBuilder, type GraphOptions, graph, type NodeOutput } from "./graph/builder.ts";
export type { CheckOptions } from "./graph/check.ts";
export { isModulePath, isServiceAddress } from "./graph/connectors-check.ts";
export { type CustomAddress, parseCustomAddress } from "./graph/custom-address.ts";
export { canonicalJson, definitionHash } from "./graph/definition-hash.ts";
export { durationMs, formatDuration, parseDuration } from "./graph/duration.ts";
export { type FormatOptions, formatGraph } from "./graph/format.ts";
export { graphError } from "./graph/graph-errors.ts";
export { type GrpcAddress, parseGrpcAddress } from "./graph/grpc-address.ts";
export { type GrpcListenAddress, parseGrpcListenAddress } from "./graph/grpc-listen-address.ts";
export { type HttpKind, httpKindOf, webAddress } from "./graph/http-check.ts";
export { type JmsAddress, parseJmsAddress } from "./graph/jms-address.ts";
export { type KafkaAddress, kafkaEdgesFault, parseKafkaAddress } from "./graph/kafka-address.ts";
export { type MemAddress, parseMemAddress } from "./graph/mem-address.ts";
export { type MemredisAddress, parseMemredisAddress } from "./graph/memredis-address.ts";
export type { AnyNodeModel, EdgeModel, GraphModel, NodeModel, SourcePlaces } from "./graph/model.ts";
export { type MqttAddress, parseMqttAddress } from "./graph/mqtt-address.ts";
export { type NatsAddress, type NatsKind, natsEdgesFault, parseNatsAddress } from "./graph/nats-address.ts";
export { type ParsedGraph, type ParseOptions, parseGraph, resolveGraph } from "./graph/parse.ts";
export { formatProblem, type Problem } from "./graph/problem.ts";
export { graphSchema } from "./graph/published-schema.ts";
export { parseRabbitmqAddress, type RabbitmqAddress, type RabbitmqKind } from "./graph/rabbitmq-address.ts";
export { parseRedisAddress, type RedisAddress, type RedisKind } from "./graph/redis-address.ts";
export { parseS3Address, type S3Address, type S3Credentials } from "./graph/s3-address.ts";
export type { EdgeDefinition, GraphDefinition, GraphTestDefinition, SupervisionDefinition } from "./graph/schema.ts";
export type { SinkGrpcDefinition, SourceGrpcDefinition } from "./graph/schema-grpc.ts";
export type { JmsDefinition } from "./graph/schema-jms.ts";
export type {
  CalculatorDefinition,
  EnrichDefinition,
  FilterDefinition,
  MailboxDefinition,
  MapDefinition,
  MergeDefinition,
  NodeDefinition,
  NodeKind,
  SinkDefinition,
  SourceDefinition,
  SwitchDefinition,
  WindowDefinition,
} from "./graph/schema-node.ts";
export type {
  RestDefinition,
  SinkHttpDefinition,
  SinkRegistryDefinition,
  SourceHttpDefinition,
  SourceRegistryDefinition,
} from "./graph/schema-web.ts";
export { parseMysqlAddress, parsePostgresAddress, type SqlAddress, type SqlKind } from "./graph/sql-address.ts";
export { parseSqliteAddress, type SqliteAddress } from "./graph/sqlite-address.ts";
export { type Environment, secretsOf } from "./graph/substitution.ts";
export { extensionOf, parseTarget, type Target } from "./graph/target.ts";
export { webhookUrls } from "./graph/webhook-address.ts";
export type { HostProbe, HostSample } from "./host/host-probe.ts";
export { type CredentialErrors, type Credentials, credentialsOf, type HttpAuth } from "./http/credentials.ts";
export type { HttpAnswer, HttpClient, HttpRequest } from "./http/http-client.ts";
export { httpClientError } from "./http/http-client-errors.ts";
export { retryAfterMs } from "./http/retry-after.ts";
export { breaksCondition, conditionBroken, mayBreak, ownAppendAt, repeatedResult } from "./log/append-condition.ts";
export { CLIENT_SCHEMA, clientMetadata, METASTREAM } from "./log/client-event.ts";
export { copiedEvent } from "./log/copied-event.ts";
export { eventFilter, listFilter } from "./log/event-filter.ts";
export { categoryOf, type EventList, type EventLists } from "./log/event-list.ts";
export type {
  AppendCondition,
  AppendResult,
  CarriedStream,
  EventContext,
  EventFilter,
  EventInput,
  EventLog,
  ExpectedRevision,
  PrunedEnd,
  ReadOptions,
  RecordedEvent,
  StreamAppend,
  SubscribeOptions,
  SubscriptionBatch,
} from "./log/event-log.ts";
export { defineEventSchema, EventSchema, type EventSchemaDefinition, type Upcaster } from "./log/event-schema.ts";
export { tagsOf } from "./log/event-tags.ts";
export { type KeptLog, newestFirst, oldestFirst } from "./log/kept-events.ts";
export { logError } from "./log/log-errors.ts";
export { packState, unpackState } from "./log/packed-payload.ts";
export {
  type LiveStoredLog,
  type PrunedLeaves,
  STORED_PLACE_WORDS,
  type StoredBatch,
  type StoredLog,
  type StoredRecord,
  type StoredRecords,
  storedRecords,
} from "./log/stored-log.ts";
export { type Discipline, deadline, fair, fifo, lifo, priority } from "./mailbox/discipline.ts";
export { Mailbox, type MailboxOptions, type Overflow } from "./mailbox/mailbox.ts";
export { CopiedLease } from "./payload/copied-lease.ts";
export { hashesIn } from "./payload/named-payloads.ts";
export { type ForgottenPayloads, PayloadArchive, type PayloadArchiveOptions } from "./payload/payload-archive.ts";
export type { PayloadCounters } from "./payload/payload-counts.ts";
export { payloadError } from "./payload/payload-errors.ts";
export { type LentPayload, PayloadExchange, type PayloadExchangeOptions } from "./payload/payload-exchange.ts";
export { PayloadIntake, type PayloadTerms } from "./payload/payload-intake.ts";
export { PayloadScope } from "./payload/payload-scope.ts";
export type {
  LocatedPayload,
  PayloadFormat,
  PayloadLease,
  PayloadPlace,
  PayloadStore,
  PayloadStoreStats,
  PayloadToken,
} from "./payload/payload-store.ts";
export {
  hasPayload,
  type InlinePayload,
  inlineValue,
  isFormat,
  mapPayloads,
  PAYLOAD_KEY,
  type PayloadReference,
  payloadOf,
  referencesIn,
  referenceValue,
} from "./payload/payload-value.ts";
export { personalError } from "./personal/personal-errors.ts";
export { type PersonalFields, PersonalIntake } from "./personal/personal-intake.ts";
export type { Revelation } from "./personal/revelations.ts";
export { erasedMarker, isSealed, type KnownKey, revealValues, type SealedValue } from "./personal/sealed-value.ts";
export { SubjectKeys, type SubjectKeysOptions, type SubjectState } from "./personal/subject-keys.ts";
export {
  WORKER_SOCKET,
  type WorkerCommand,
  type WorkerEnd,
  type WorkerLauncher,
  type WorkerListener,
  type WorkerProcess,
  type WorkerUsage,
} from "./process/worker-process.ts";
export {
  carryEvents,
  carryNode,
  type NodeCarry,
  type NodeCarryOptions,
  type StreamCarry,
} from "./retention/carry-stream.ts";
export { type NeededOutput, type NeededOutputOptions, neededOutput } from "./retention/needed-output.ts";
export { GraphRuntime, type LifecycleEvent, type RuntimePorts } from "./runtime/graph-runtime.ts";
export type { Carriers } from "./runtime/graph-wiring.ts";
export { LocalLink } from "./runtime/local-link.ts";
export {
  edgeName,
  type Plan,
  type PlanEdge,
  type PlanLane,
  type PlanNode,
  type PlanOrigin,
  planError,
  planGraph,
  type Role,
} from "./runtime/plan.ts";
export type { CommittedNode, GraphProgram, ProgramEdge, ProgramNode, PureNode, SourceNode } from "./runtime/program.ts";
export type { CutPoint, CutTarget } from "./runtime/revision-cut.ts";
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
export { streamOf } from "./runtime/stream-of.ts";
export type { PartitionKernel } from "./sink/partition-kernel.ts";
export type { SinkConnector } from "./sink/sink-connector.ts";
export type { SinkGuarantee } from "./sink/sink-guarantee.ts";
export type { Feed, FeedCapabilities, FeedGroup, FeedIntake, FeedItem, FeedReceipt } from "./source/feed.ts";
export {
  HORIZON,
  horizonOf,
  SOURCE_IDENTIFIED,
  SOURCE_MARKED,
  sourceIdentityOf,
  sourceMarkOf,
} from "./source/send-horizon.ts";
export type {
  RejectedInput,
  SourceBatch,
  SourceCapabilities,
  SourceConnector,
  SourceMark,
  SourceReader,
} from "./source/source-connector.ts";
export {
  CELL,
  type CellTable,
  type CellType,
  FRESH_WORDS,
  type RecordKernel,
  type TextKernels,
} from "./source/text-kernels.ts";
export { type EventTimeOptions, WatermarkGenerator } from "./source/watermark-generator.ts";
export { type HeardLane, heardLanesOf, LANES_HEARD } from "./step/heard-cursors.ts";
export { takeOver } from "./step/recovery.ts";
export { SnapshotStore } from "./step/snapshot-store.ts";
export type { StepChain } from "./step/step-chain.ts";
export {
  type DeadLettered,
  type Dropped,
  type Emitted,
  encodeOwned,
  encodeStep,
  type LaneOpened,
  OWNED,
  type OwnedRecord,
  ownedOf,
  STEP,
  STEP_SCHEMA,
  type StepInput,
  type StepRecord,
  stepOf,
} from "./step/step-record.ts";
export { StreamFold, type StreamFoldOptions } from "./step/stream-fold.ts";
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
export {
  backoffDelayMs,
  DEFAULT_RESTART_POLICY,
  type Restart,
  type RestartPolicy,
  type Strategy,
} from "./supervision/restart-policy.ts";
export {
  type Child,
  type ChildState,
  type ChildStatus,
  Supervisor,
  type SupervisorEvents,
} from "./supervision/supervisor.ts";
export { type Clock, type Env, type Random, sleep, type Timer, type Timers, type Turns } from "./time/clock.ts";
export { msOfIsoText } from "./time/iso-text.ts";
export { systemEnv } from "./time/system-env.ts";
export { type EdgeCarriersOptions, edgeCarriers } from "./transport/edge-carriers.ts";
export { decodeFrame, encodeFrame } from "./transport/frame-codec.ts";
export type {
  Delivery,
  Subscription,
  SubscriptionOptions,
  Transport,
  TransportMessage,
} from "./transport/transport.ts";
export { transportError } from "./transport/transport-errors.ts";
export { type WebhookHeaders, WebhookKeys, type WebhookVerdict } from "./webhook/webhook-keys.ts";
