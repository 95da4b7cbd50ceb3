/** Node behaviors. Every export is listed by name. */
export { type CalculatorOptions, calculator } from "./calculator/calculator.ts";
export type { CalculatorContext } from "./calculator/calculator-module.ts";
export type { CalculatorLimits } from "./calculator/calculator-worker-host.ts";
export { type EnrichOptions, enrich } from "./enrich.ts";
export { actorError } from "./errors.ts";
export { eventTimeOf } from "./event-time.ts";
export type { Expression } from "./expression.ts";
export { field } from "./field.ts";
export { type FilterOptions, filter } from "./filter.ts";
export { type MapOptions, map } from "./map.ts";
export { merge } from "./merge.ts";
export { connectorSink, discardSink, type ProjectionSinkOptions, projectionSink } from "./sink.ts";
export { type SwitchCase, type SwitchOptions, switchTo } from "./switch.ts";
export type { Aggregate, AggregateFunction } from "./window/aggregate.ts";
export { type WindowOptions, window } from "./window/window.ts";
