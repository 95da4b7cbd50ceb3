/**
 * A CEL expression over one message, compiled once. The row form is the authority; the columnar form computes what it is sure
 * of in typed loops and leaves every other message to the row form, so that both agree by construction.
 */
import type { ParseError } from "@marcbachmann/cel-js";
import type { MessageFailure } from "../behavior/pure-behavior.ts";
import { type MillraceError, messageOf, type Place } from "../errors.ts";
import { type Batch, ColumnBatch } from "../frame/batch.ts";
import { type Column, cell } from "../frame/column.ts";
import { setField } from "../frame/field.ts";
import type { Json } from "../frame/json.ts";
import { type CelNode, cel } from "./cel.ts";
import { type ColumnForm, columnForm, columnOfValues, type Drafted } from "./column-result.ts";
import type { MaskForm, SelectionForm } from "./columnar.ts";
import { expressionError } from "./expression-errors.ts";
import { Failed, Hopeless } from "./failed.ts";
import { IndexArena } from "./index-arena.ts";
import { UNSURE } from "./lift.ts";
import { maskForm } from "./mask-form.ts";
import { didYouMean } from "./nearest.ts";
import { notBool } from "./operators.ts";
import { compileRow } from "./row.ts";
import type { Row } from "./row-context.ts";
import { selectionForm } from "./selection-form.ts";
import type { SelectionKernel } from "./selection-kernel.ts";
import { NO_SCOPE, pathOf, readsOf } from "./syntax.ts";
import { type CelValue, toJson } from "./values.ts";

export interface Selected {
  /** Indices of the messages for which the predicate is true, ascending. */
  readonly selected: Uint32Array;
  /** Errors `EXPR-FAILED`, ascending by index; disjoint from `selected`. */
  readonly failures: readonly MessageFailure[];
}

export interface Computed {
  /** Physically indexed as the batch's own columns are, so that `batch.with` takes it. Cells of failed messages are unspecified. */
  readonly column: Column;
  /** Errors `EXPR-FAILED`, ascending by index. */
  readonly failures: readonly MessageFailure[];
}

export interface Expression {
  readonly source: string;
  /** Where the expression is written, if known; failures carry it. */
  readonly place: Place | undefined;
  /** The type that checking found: `bool`, `int`, `double`, `string`, `list`, `map` …, or `dyn` when only a message can tell. */
  readonly type: string;
  /** Top-level fields of the message that are read, sorted. */
  readonly fields: readonly string[];
  /** True when the message is also used other than by named fields. */
  readonly wholeEvent: boolean;
  /** The result for one message. Throws `EXPR-FAILED`. */
  row(event: Json): Json;
  /** Which messages the expression is true for. A result that is not a bool is a failure. Never throws for a message. */
  predicate(batch: Batch): Selected;
  /** The result for every message. Never throws for a message. */
  column(batch: Batch): Computed;
}

/**
 * Parses, checks and compiles `source`. Throws `EXPR-INVALID` when it is not valid CEL, when its types can never fit, or when a
 * constant in it is wrong (a duration, timestamp or regular expression); `details.at` is the offset of the fault.
 *
 * @param place where the source is written; failures at run time carry it
 * @param kernel what picks the messages of large frames that a predicate is true for; by default TypeScript
 */
export function compileExpression(source: string, place?: Place, kernel?: SelectionKernel): Expression {
  const { node, type } = parse(source, place);
  try {
    return new CompiledExpression(source, place, type, node, kernel);
  } catch (thrown) {
    if (!(thrown instanceof Hopeless)) throw thrown;
    throw invalid(source, thrown.failure.message, thrown.failure.at, place);
  }
}

function parse(source: string, place: Place | undefined): { node: CelNode; type: string } {
  try {
    const parsed = cel.parse(source);
    const checked = parsed.check();
    if (checked.error !== undefined) throw checked.error;
    return { node: parsed.ast, type: checked.type ?? "dyn" };
  } catch (thrown) {
    const { summary, range } = thrown as Partial<ParseError>;
    throw invalid(source, readable(summary ?? messageOf(thrown)), range?.start ?? 0, place);
  }
}

/** The parser's words for a person who knows the message but not the parser. */
function readable(message: string): string {
  const unknown = /^Unknown variable: (.*)$/.exec(message)?.[1];
  if (unknown === undefined) return message.replace(/\b(?:token: )?EOF\b/, "end of the expression");
  return `${message}${didYouMean(unknown, ["event"]) || `; a field of the message is written \`event.${unknown}\``}`;
}

/** Without the library's error as cause: it says the same again, and drags the whole syntax tree along. */
function invalid(source: string, message: string, at: number, place: Place | undefined): MillraceError {
  return expressionError("EXPR-INVALID", message, { place, details: { expression: source, at } });
}

const NO_FAILURES: readonly MessageFailure[] = [];

class CompiledExpression implements Expression {
  readonly source: string;
  readonly place: Place | undefined;
  readonly type: string;
  readonly fields: readonly string[];
  readonly wholeEvent: boolean;
  readonly #indices: IndexArena;
  readonly #node: CelNode;
  readonly #row: Row;
  readonly #toJson: (value: CelValue) => Json;
  #selection: SelectionForm | undefined;
  #mask: MaskForm | undefined;
  #column: ColumnForm | undefined;

  constructor(
    source: string,
    place: Place | undefined,
    type: string,
    node: CelNode,
    kernel: SelectionKernel | undefined,
  ) {
    this.#indices = new IndexArena(kernel);
    const reads = readsOf(node, NO_SCOPE);
    this.source = source;
    this.place = place;
    this.type = type;
    this.fields = [...reads.fields].sort();
    this.wholeEvent = reads.whole;
    this.#node = node;
    this.#row = compileRow(node);
    // What a path or a bool yields is JSON already.
    const plain = type === "bool" || type === "string" || pathOf(node, NO_SCOPE) !== undefined;
    this.#toJson = plain ? (value) => value as Json : (value) => toJson(value, node.pos);
  }

  row(event: Json): Json {
    try {
      return this.#toJson(this.#row(event));
    } catch (thrown) {
      if (!(thrown instanceof Failed)) throw thrown;
      throw this.#error(thrown);
    }
  }

  predicate(batch: Batch): Selected {
    const columns = batch instanceof ColumnBatch ? batch : undefined;
    const passing = columns === undefined ? null : this.#selectionForm()(columns, this.#indices);
    if (passing !== null) return { selected: passing, failures: NO_FAILURES };
    const mask = columns === undefined ? null : this.#maskForm()(columns);
    const sure = mask === null ? null : this.#indices.ofMask(mask, batch.n);
    if (sure !== null) return { selected: sure, failures: NO_FAILURES };
    const failures: MessageFailure[] = [];
    const selected = this.#indices.where(batch.n, (i) => {
      const known = mask === null ? UNSURE : (mask.bytes[i] as number);
      return known === 1 || (known === UNSURE && this.#test(batch, i, failures));
    });
    return { selected, failures };
  }

  column(batch: Batch): Computed {
    const columns = batch instanceof ColumnBatch ? batch : undefined;
    const drafted = columns === undefined ? null : this.#columnForm()(columns);
    return drafted === null ? this.#byRows(batch, columns) : this.#settled(batch as ColumnBatch, drafted);
  }

  #selectionForm(): SelectionForm {
    this.#selection ??= selectionForm(this.#node);
    return this.#selection;
  }

  #maskForm(): MaskForm {
    this.#mask ??= maskForm(this.#node);
    return this.#mask;
  }

  #columnForm(): ColumnForm {
    this.#column ??= columnForm(this.#node, this.type);
    return this.#column;
  }

  #test(batch: Batch, i: number, failures: MessageFailure[]): boolean {
    const result = this.#attempt(batch, i, failures, (value) => {
      if (typeof value !== "boolean") throw notBool(value, this.#node.pos);
      return value;
    });
    return result === true;
  }

  #value(batch: Batch, i: number, failures: MessageFailure[]): Json | undefined {
    return this.#attempt(batch, i, failures, this.#toJson);
  }

  #attempt<T>(batch: Batch, i: number, failures: MessageFailure[], convert: (value: CelValue) => T): T | undefined {
    try {
      return convert(this.#row(this.#event(batch, i)));
    } catch (thrown) {
      if (!(thrown instanceof Failed)) throw thrown;
      failures.push({ index: i, error: this.#error(thrown) });
      return undefined;
    }
  }

  /** The message, or as much of it as the expression reads: columns do not make whole rows for it. */
  #event(batch: Batch, i: number): Json {
    if (this.wholeEvent || !(batch instanceof ColumnBatch)) return batch.row(i);
    const event: Record<string, Json> = {};
    for (const field of this.fields) {
      const column = batch.columns.get(field);
      if (column !== undefined) setField(event, field, cell(column, batch.at(i)));
    }
    return event;
  }

  #byRows(batch: Batch, columns: ColumnBatch | undefined): Computed {
    const failures: MessageFailure[] = [];
    const values = new Array<Json>(batch.n);
    for (let i = 0; i < batch.n; i++) values[i] = this.#value(batch, i, failures) ?? null;
    return { column: columnOfValues(values, columns, batch.n), failures };
  }

  /** Fills the open cells by the row form; falls back to plain JSON cells when a result does not fit the drafted type. */
  #settled(batch: ColumnBatch, { column, open }: Drafted): Computed {
    if (open === null || !open.includes(1)) return { column, failures: [] };
    const failures: MessageFailure[] = [];
    const values = new Array<Json>(batch.n);
    for (let i = 0; i < batch.n; i++) {
      values[i] = open[i] === 1 ? (this.#value(batch, i, failures) ?? null) : cell(column, batch.at(i));
    }
    return { column: columnOfValues(values, batch, batch.n), failures };
  }

  #error(failed: Failed): MillraceError {
    const details = { expression: this.source, at: failed.at };
    return expressionError("EXPR-FAILED", `${failed.message} in \`${this.source}\``, { place: this.place, details });
  }
}
