/**
 * A calculator node: runs a TypeScript or JavaScript module over messages. One that is declared pure runs inline and is
 * logged by nobody; any other runs in a worker thread under limits and is committed: its results are in the log (R13).
 */
import {
  type CommittedBehavior,
  type CommittedContext,
  type Draft,
  type Env,
  errorEntry,
  type InputSlice,
  isJsonObject,
  type Json,
  type MessageFailure,
  MillraceError,
  type PureBehavior,
  RowBatch,
  type StateEvent,
} from "@millrace/engine";
import { didNotLoad } from "./calculator-error.ts";
import type { CalculatorHost, Outcome } from "./calculator-host.ts";
import { calculatorOf, withoutState } from "./calculator-module.ts";
import { type CalculatorPayloads, INLINE_PAYLOADS } from "./calculator-payloads.ts";
import { messagesOf } from "./calculator-result.ts";
import { type CalculatorLimits, CalculatorWorkerHost } from "./calculator-worker-host.ts";
import { allowTypeScript } from "./module-hooks.ts";
import { pureCalculator } from "./pure-calculator.ts";
import { StepPayloads } from "./step-payloads.ts";

export interface CalculatorOptions extends CalculatorLimits {
  /** `file:` URL of the module: `.ts`, `.mts`, `.js` or `.mjs`. */
  readonly url: string;
  /** Overrides what the module says of itself. */
  readonly pure?: boolean;
  /** The module's export that is the calculator. Default: its default export, or the module itself. */
  readonly export?: string;
  /** Given to the module's `init`. Default null. */
  readonly config?: Json;
  /** Absent: all bytes travel inline. */
  readonly payloads?: CalculatorPayloads | undefined;
}

/**
 * Loads the module and makes the behavior that fits it.
 *
 * @throws CALC-LOAD with file, line and column where the module does not load
 */
export async function calculator(options: CalculatorOptions, env: Env): Promise<PureBehavior | CommittedBehavior> {
  if (options.pure === true) return loadPure(options);
  const host = new CalculatorWorkerHost({ ...options, reader: options.payloads?.reader }, env);
  const { isPure } = await host.start();
  if (options.pure === undefined && isPure) {
    await host.close();
    return loadPure(options);
  }
  return committedCalculator(host, options.payloads);
}

async function loadPure({ url, config, export: name }: CalculatorOptions): Promise<PureBehavior> {
  try {
    allowTypeScript();
    const module = withoutState(calculatorOf(await import(/* @vite-ignore */ url), url, name), url);
    await module.init?.(config ?? null);
    return pureCalculator(module, url, messagesOf(await module.details?.())[0] ?? null);
  } catch (thrown) {
    throw didNotLoad(thrown, url);
  }
}

/** A worker's batch at most: one row's failure makes its neighbours be calculated again. */
const STEP_MESSAGES_MAX = 512;

/** A row's result as the log keeps it. */
type Logged =
  | { readonly o: readonly Json[] }
  | { readonly e: { readonly code: string; readonly message: string; readonly place: Json }; readonly n: number };

/** A step's results as the log keeps them; with what they did to the calculator's state, if it may have one. */
type LoggedRun = readonly Logged[] | { readonly results: readonly Logged[]; readonly state: Json };

/** The behavior of a node whose code runs somewhere else. */
export function committedCalculator(host: CalculatorHost, payloads?: CalculatorPayloads): CommittedBehavior {
  const stepPayloads = payloads && new StepPayloads(payloads);
  let context: CommittedContext | undefined;
  let slices: InputSlice[] = [];
  const { state } = host;
  const run = async (draft: Draft, rows: readonly Json[]): Promise<LoggedRun> => {
    const where = { at: draft.at, graph: context?.graph ?? "", node: context?.node ?? "" };
    const outcomes =
      stepPayloads === undefined
        ? await host.run(rows, where, INLINE_PAYLOADS)
        : await stepPayloads.run(rows, (able, batch) => host.run(able, where, batch));
    const results = outcomes.map(logged) as unknown as readonly Logged[];
    return state === undefined ? results : { results, state: state.patch as Json };
  };
  return {
    kind: "committed",
    ports: ["out"],
    stepMessagesMax: STEP_MESSAGES_MAX,
    async open(opened) {
      await host.open?.();
      context = opened;
    },
    take(_, slice) {
      if (slice.batch.n > 0) slices.push(slice);
    },
    async finish(draft) {
      if (slices.length === 0) return;
      const rows = slices.flatMap((slice) => slice.batch.rows());
      let isReplay = true;
      // What the log has of a run is what `run` made of it.
      const done = (await draft.recordAsync<Json>(async () => {
        isReplay = false;
        return (await run(draft, rows)) as unknown as Json;
      })) as unknown as LoggedRun;
      const { results, state: patch } = "results" in done ? done : { results: done, state: null };
      if (isReplay && patch !== null) state?.fold(patch);
      if (patch !== null) draft.change(patch);
      conclude(draft, slices, results);
    },
    seal() {
      slices = [];
      stepPayloads?.end();
      state?.seal();
    },
    discard() {
      slices = [];
      stepPayloads?.end();
      state?.discard();
    },
    fold: (patch) => state?.fold(patch),
    ...(state === undefined
      ? {}
      : { snapshot: () => state.snapshot(), restore: (snapshot: StateEvent) => state.restore(snapshot) }),
    describe: () => withPayloads(host.describe(), payloads?.intake.describe()),
    close: () => host.close(),
  };
}

/** How many payloads left inline and how many by reference, and why; nothing where there were none. */
function withPayloads(described: Json, payloads: Json | undefined): Json {
  return payloads === undefined || !isJsonObject(described) ? described : { ...described, payloads };
}

/** Emits what the rows of all slices gave, and rejects those that failed. */
function conclude(draft: Draft, slices: readonly InputSlice[], results: readonly Logged[]): void {
  let at = 0;
  const out: Json[] = [];
  for (const slice of slices) {
    const own = results.slice(at, at + slice.batch.n);
    at += slice.batch.n;
    const failures = new Map<number, MessageFailure[]>();
    for (const [index, result] of own.entries()) {
      if ("o" in result) out.push(...result.o);
      else failures.set(result.n, [...(failures.get(result.n) ?? []), { index, error: errorOf(result.e) }]);
    }
    for (const [attempts, failed] of failures) draft.reject(slice, failed, attempts);
  }
  if (out.length > 0) draft.emit("out", new RowBatch(out));
}

function logged(outcome: Outcome): Json {
  if ("out" in outcome) return { o: outcome.out };
  const { error, attempts } = outcome;
  return { e: { code: error.code, message: error.message, place: (error.place ?? null) as Json }, n: attempts };
}

function errorOf({ code, message, place }: Extract<Logged, { e: unknown }>["e"]): MillraceError {
  // Codes of payloads are the engine's.
  return new MillraceError(code, errorEntry(code)?.kind ?? "terminal", message, {
    ...(place === null ? {} : { place: place as object }),
  });
}
