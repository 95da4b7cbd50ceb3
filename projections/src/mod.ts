/** Projections: folds of the log into rows that can be asked, now or as of any position. */
export { auditWitnesses, type SignedCheckpoint } from "./audit/audit-directory.ts";
export { auditError } from "./audit/audit-errors.ts";
export { type AuditFile, type AuditFiles, auditFiles } from "./audit/audit-files.ts";
export type { AuditFinding } from "./audit/audit-finding.ts";
export {
  type AuditProofs,
  auditVerifierKey,
  cosignersOf,
  openAuditProofs,
  openCosignedProofs,
} from "./audit/audit-proofs.ts";
export { type AuditStatus, type AuditTree, openAuditTree } from "./audit/audit-tree.ts";
export { type AuditReport, verifyAudit } from "./audit/audit-verification.ts";
export { parseWitnessKey, type WitnessKey } from "./audit/cosignature.ts";
export { type Cosigning, startCosigning, type WitnessStatus } from "./audit/cosigning.ts";
export { entryOf, leafOfEntry } from "./audit/leaf-hash.ts";
export { openSignedLeaves, type SignedLeaves } from "./audit/signed-leaves.ts";
export { parseVerifierKey, type VerifierKey } from "./audit/signed-note.ts";
export { formatInclusion } from "./audit/tlog-proof.ts";
export { inlineTreeHasher, type TreeHasher } from "./audit/tree-hasher.ts";
export type { AskedWitness } from "./audit/witness-call.ts";
export type { WantedWitnesses } from "./audit/witness-testimony.ts";
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
export type { CarriedProjections, FoldRefusal } from "./carried-rows.ts";
export { projectionError } from "./errors.ts";
export { type PassingOptions, passingEvents } from "./passing-events.ts";
export { type Moment, positionAfter } from "./past.ts";
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
export type {
  ScriptBatch,
  ScriptEffect,
  ScriptEvent,
  ScriptLimits,
  ScriptSource,
  ScriptStates,
} from "./script/projection-script.ts";
export { openProjectionScript, type ScriptThread, type ScriptThreadOptions } from "./script/script-thread.ts";
