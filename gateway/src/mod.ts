/** The gateway's public entry. */
export type { GatewayDeps } from "./deps.ts";
export { gatewayError } from "./errors.ts";
export { describeBytes, type EventDocument, type EventHead } from "./event-json.ts";
export { type CarriedGroups, carryGroups } from "./eventstore/carried-groups.ts";
export {
  type EventStoreEndpoint,
  type EventStoreEndpointOptions,
  eventStoreEndpoint,
} from "./eventstore/endpoint.ts";
export { eventStoreError } from "./eventstore/errors.ts";
export { isGroupState } from "./eventstore/groups.ts";
export { buildGateway } from "./gateway.ts";
export type { GuardOptions } from "./guard.ts";
export type { Bottleneck, LiveEdge, LiveGraph, LiveGraphDetail, LiveNode, Snapshot } from "./live/live-status.ts";
export type {
  DeadLetterFilter,
  DeadLetterPage,
  DeadLetterReader,
  DescribeEvent,
  HealthCheck,
  HealthReport,
  LaneState,
  Moment,
  NodeState,
  NodeStateDiff,
  NodeStateReader,
  ProjectionInfo,
  ProjectionPage,
  ProjectionQuery,
  ProjectionReader,
  RowChange,
  StateChange,
  StateChanges,
} from "./ports.ts";
