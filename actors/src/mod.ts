/** Node behaviors. Every export is listed by name. */

export { type CalculatorOptions, calculator } from "./calculator/calculator.ts";
export { reported } from "./calculator/calculator-error.ts";
export { calculatorFold } from "./calculator/calculator-fold.ts";
export type { Outcome } from "./calculator/calculator-host.ts";
export type { CalculatorContext, PlacedPayload } from "./calculator/calculator-module.ts";
export type { CalculatorPayloads, ReaderModule } from "./calculator/calculator-payloads.ts";
export type { CalculatorLimits } from "./calculator/calculator-worker-host.ts";
export { stripTypes } from "./calculator/module-hooks.ts";
export {
  type LooseCalculator,
  loadProcessCalculator,
  nodeWorkerArgs,
  openCalculator,
  type ProcessCalculatorOptions,
  processCalculator,
} from "./calculator/process/process-calculator.ts";
export { openRestCalculator, type RestOptions, restCalculator } from "./calculator/rest/rest-calculator.ts";
export {
  type CloudEventAttributes,
  cloudEventFeed,
  cloudEventItem,
  cloudEventSink,
  cloudEventSource,
} from "./cloud-events.ts";
export { type EnrichOptions, enrich } from "./enrich.ts";
export { actorError } from "./errors.ts";
export { eventTimeOf } from "./event-time.ts";
export type { Expression } from "./expression.ts";
export { type FeedSourceOptions, feedSource } from "./feed-source.ts";
export { field } from "./field.ts";
export { type FilterOptions, filter } from "./filter.ts";
export { type AcceptOptions, type HttpPush, type HttpPushOptions, httpPush } from "./http-push.ts";
export { type MapOptions, map } from "./map.ts";
export { merge } from "./merge.ts";
export { type MetronomeOptions, metronome } from "./metronome.ts";
export { type PayloadSourceOptions, payloadSource } from "./payload-source.ts";
export { personalFeed, personalSource } from "./personal-source.ts";
export { revealedSink } from "./revealed-sink.ts";
export { connectorSink, discardSink, type ProjectionSinkOptions, projectionSink } from "./sink.ts";
export type { SinkPayloads } from "./sink-payloads.ts";
export { type StateModeOptions, stateMode } from "./state-mode.ts";
export { type SwitchCase, type SwitchOptions, switchTo } from "./switch.ts";
export type { TakenTimeOptions } from "./taken-items.ts";
export { type TelemetryOptions, telemetry } from "./telemetry.ts";
export type { Aggregate, AggregateFunction } from "./window/aggregate.ts";
export { type WindowOptions, window } from "./window/window.ts";
