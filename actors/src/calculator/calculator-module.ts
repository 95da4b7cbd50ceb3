/**
 * What a calculator module may look like:
 *
 * - `export default (row, context) => row | row[] | undefined`, or
 * - `export default { calculate(row, context), init?(config), details?(), pure? }`, or
 * - the same names as exports of their own.
 *
 * `undefined` drops the message, an array emits several. `pure: true` promises that the result depends on the row alone. A module
 * with `snapshot()` and `restore(state)` keeps state between rows; it needs a process of its own. `restore(null)` begins anew.
 */

import type { Json, PayloadFormat } from "@millrace/engine";
import { actorError } from "../errors.ts";
import type { PayloadResult } from "./calculator-result.ts";

/** A payload that a row names, while its row is calculated. */
export interface OpenedPayload {
  /** Where they are, not a copy. Detached when the row is done: copy what must outlive it. */
  readonly bytes: Uint8Array;
  readonly format: PayloadFormat;
}

/** Where a payload lies that is pinned there: in a file that is mapped or read until the row's result is returned. */
export interface PlacedPayload {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
  readonly format: string;
}

/** What a calculator outside of this thread may do with payloads. */
export interface PayloadContext {
  /** Opens the payload that a field of the row is. @throws PAYLOAD-VALUE it is none */
  open(value: Json): Promise<OpenedPayload>;
  /**
   * Bytes for a result, with their format; plain byte arrays in a result are `raw`. What it is given leaves with the result, without a
   * copy where the buffer holds nothing else; plain arrays are copied.
   *
   * @throws PAYLOAD-VALUE they are no bytes, or went away with an earlier result
   */
  payload(bytes: Uint8Array, format?: PayloadFormat): PayloadResult;
  /** For compiled code, which maps by itself: the places of the batch's payloads, by their SHA-256. */
  places(): Readonly<Record<string, PlacedPayload>>;
  /** How many it opened there. */
  opened(n: number): void;
}

export interface CalculatorContext extends Partial<PayloadContext> {
  /** The time of the step in ms since 1970: the same again in a replay, unlike the machine's clock. */
  readonly at: number;
  readonly graph: string;
  readonly node: string;
}

/** A module's parts, found wherever it put them. */
export interface CalculatorModule {
  readonly calculate: (row: unknown, context?: CalculatorContext) => unknown;
  readonly init: ((config: unknown) => unknown) | undefined;
  readonly details: (() => unknown) | undefined;
  readonly snapshot: (() => unknown) | undefined;
  readonly restore: ((state: unknown) => unknown) | undefined;
  readonly isPure: boolean;
}

/** @throws CALC-LOAD when there is no function to call */
export function calculatorOf(namespace: unknown, url: string, name: string | null = null): CalculatorModule {
  const exports = name === null ? fieldsOf(namespace) : { default: fieldsOf(namespace)[name] };
  const main = exports.default;
  const parts = typeof main === "object" && main !== null ? { ...exports, ...fieldsOf(main) } : exports;
  const calculate = typeof main === "function" ? main : parts.calculate;
  if (typeof calculate !== "function") {
    const what =
      name === null
        ? "the module exports neither a default function nor calculate(row)"
        : `the module's export \`${name}\` is no calculator`;
    throw actorError("CALC-LOAD", what, { place: { file: pathOf(url) } });
  }
  const owner = typeof main === "object" ? main : undefined;
  const bound = <T>(part: unknown): T | undefined => (typeof part === "function" ? (part.bind(owner) as T) : undefined);
  return {
    calculate: calculate.bind(owner) as CalculatorModule["calculate"],
    init: bound(parts.init),
    details: bound(parts.details),
    snapshot: bound(parts.snapshot),
    restore: bound(parts.restore),
    isPure: parts.pure === true || fieldsOf(main).pure === true,
  };
}

/** @throws CALC-LOAD a module with state, which only a process of its own can keep together with the log */
export function withoutState(module: CalculatorModule, url: string): CalculatorModule {
  if (module.snapshot === undefined) return module;
  throw actorError("CALC-LOAD", "the module keeps state (it has snapshot()): run it with `isolation: process`", {
    place: { file: pathOf(url) },
  });
}

/** The file of a `file:` URL as people know it, without what was added to load it afresh. */
export function pathOf(url: string): string {
  return url.startsWith("file:") ? decodeURIComponent(new URL(url).pathname) : url;
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  if ((typeof value !== "object" || value === null) && typeof value !== "function") return {};
  return value as Readonly<Record<string, unknown>>;
}
