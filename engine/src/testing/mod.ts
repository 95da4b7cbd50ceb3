export { PAYLOAD_RULE_IDS, type PayloadRuleId, payloadRulesWithout } from "../payload/payload-rules.ts";
export { RULE_IDS, type RuleId } from "../step/protocol-rules.ts";
export type { CursorFeedHarness, FeedHarness } from "./connector/feed-harness.ts";
export { type CoordinationHarness, coordinationContract, type MakeCoordination } from "./coordination-contract.ts";
export type { EventLogHarness, MakeEventLog } from "./event-log/harness.ts";
export { type ModelAppend, type ModelEvent, ModelLog, sliceFrom } from "./event-log/model-log.ts";
export { eventLogContract } from "./event-log-contract.ts";
export { cursorFeedContract, feedContract } from "./feed-contract.ts";
export type { MakeOrderedStore, OrderedStoreHarness } from "./ordered-store/harness.ts";
export { orderedStoreContract } from "./ordered-store-contract.ts";
export { type MakePayloadStore, type PayloadStoreHarness, payloadStoreContract } from "./payload-store-contract.ts";
export { type EventOverrides, gather, sampleEvent, sampleEvents, tagged, to, uniqueId } from "./sample-events.ts";
export { SeededRandom } from "./seeded-random.ts";
export {
  type DiskFaultCounts,
  type DiskOperation,
  SimulatedDisk,
  type SimulatedDiskOptions,
} from "./simulated-disk.ts";
export { PAGE_BYTES, SECTOR_BYTES } from "./simulated-file.ts";
export { SimulatedMount } from "./simulated-mount.ts";
export { SimulatedPayloadStore } from "./simulated-payload-store.ts";
export type { Scenario } from "./simulation/scenario.ts";
export { SCENARIOS } from "./simulation/scenarios.ts";
export { type SimulationOptions, type SimulationResult, simulate } from "./simulation/simulate.ts";
export {
  type Acknowledged,
  type LogFaults,
  SimulatedLog,
  type SimulatedLogOptions,
} from "./simulation/simulated-log.ts";
export { type SinkHarness, sinkContract } from "./sink-contract.ts";
export { type SourceHarness, type SourceMaker, sourceContract } from "./source-contract.ts";
export { type StoredParts, storedPositions } from "./stored-positions.ts";
export { type MakeTransport, type TransportHarness, transportContract } from "./transport-contract.ts";
export { type VirtualEnv, type VirtualEnvOptions, type VirtualProcess, virtualEnv } from "./virtual-env.ts";
