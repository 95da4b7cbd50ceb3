/** The shape of compiled row closures, shared by what compiles expressions and what compiles the macros inside them. */
import type { Json } from "../frame/json.ts";
import type { Scope } from "./syntax.ts";
import type { CelValue } from "./values.ts";

/** One (sub)expression over one message. Throws `Failed` when the message gives it no value. */
export type Row = (event: Json) => CelValue;

/** Where a compilation stands: loop variables in scope, and the slots that hold their current values. */
export interface RowContext {
  readonly scope: Scope;
  /** Shared by all closures of one expression: evaluation is synchronous and never re-enters itself. */
  readonly slots: CelValue[];
}
