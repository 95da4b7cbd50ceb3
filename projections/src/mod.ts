/** Projections: folds of the log into rows that can be asked, now or as of any position. */
export {
  DEAD_LETTER_COUNTS,
  DEAD_LETTERS,
  DEAD_LETTERS_SETTLED,
  type DeadLetterFact,
  deadLetterCountProjection,
  deadLetterFact,
  deadLetterOf,
  deadLetterProjection,
} from "./builtin/dead-letter-projections.ts";
export { GRAPHS, type GraphFact, type GraphNode, graphFact, graphProjection } from "./builtin/graph-projection.ts";
export { rowsOfStep, type TableProjectionOptions, tableProjection } from "./builtin/table-projection.ts";
export { projectionError } from "./errors.ts";
export { defineProjection, type Projection } from "./projection.ts";
export type { Page, PageQuery } from "./query.ts";
export type { Rows } from "./row/rows.ts";
export {
  type ProjectionPage,
  type ProjectionQuery,
  type ProjectionRunner,
  type ProjectionRunnerOptions,
  type ProjectionStatus,
  projectionRunner,
} from "./runner.ts";
