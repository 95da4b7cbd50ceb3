/**
 * Neighbouring row functions as one loop. A hop between actors is cheap, but the objects that live from one frame to the next
 * cost garbage collection; one loop over all functions comes as close to calling them by hand as JavaScript allows
 * (performance.md §8). To metrics, peeking and dead letters every stage stays a node of its own.
 */
import type { MessageFailure, PureBehavior, PureOutput, PureResult } from "../behavior/pure-behavior.ts";
import { MillraceError } from "../errors.ts";
import { type Batch, RowBatch } from "../frame/batch.ts";
import type { Json } from "../frame/json.ts";
import type { EdgeMeter } from "./link.ts";
import type { ActorMeter } from "./meter.ts";

export interface Stage {
  readonly node: string;
  readonly behavior: PureBehavior;
  readonly meter: ActorMeter;
  /** Edge to the next stage; `undefined` after the last one, whose edges carry frames. */
  readonly edge: EdgeMeter | undefined;
}

/** How often the stages are run one by one although they need not be, in frames. */
const SAMPLE_FRAMES = 256;

/** True when a behavior can be a stage: one port, never more outputs than inputs, and a function of one row. */
export function isFusible(behavior: PureBehavior): boolean {
  return behavior.row !== undefined && behavior.ports.length === 1 && behavior.expands !== true;
}

/** One behavior that does what `stages` do, in order. All must be {@link isFusible}. */
export function fuse(stages: readonly Stage[]): PureBehavior {
  const loop = compileLoop(stages.map((stage) => stage.behavior.row as RowFunction));
  const dropped = new Float64Array(stages.length);
  let frames = 0;
  const transform = (batch: Batch): PureResult => {
    if (batch.kind !== "rows" || frames++ % SAMPLE_FRAMES === 0) return staged(stages, batch);
    dropped.fill(0);
    const out = new Array<Json>(batch.n);
    const sources = new Uint32Array(batch.n);
    let kept: number;
    try {
      kept = loop(batch.rows(), batch.n, out, sources, dropped);
    } catch {
      return staged(stages, batch);
    }
    meterStages(stages, batch.n, dropped);
    if (kept === batch.n) return { outputs: [{ batch: new RowBatch(out), sources: null }], failures: [] };
    out.length = kept;
    return { outputs: [{ batch: new RowBatch(out), sources: sources.subarray(0, kept) }], failures: [] };
  };
  return { kind: "pure", ports: ["out"], transform };
}

type RowFunction = (row: Json) => Json | undefined;
type Loop = (rows: readonly Json[], n: number, out: Json[], sources: Uint32Array, dropped: Float64Array) => number;

/**
 * A loop with a call site of its own for each function, so that V8 inlines them; its text holds nothing but indices. Where code
 * generation is switched off, a loop over the functions does the same, more slowly.
 */
function compileLoop(functions: readonly RowFunction[]): Loop {
  const names = functions.map((_, i) => `f${i}`);
  const calls = names
    .map((name, i) => `v = ${name}(v); if (v === undefined) { dropped[${i}]++; continue; }`)
    .join("\n");
  const body = `return (rows, n, out, sources, dropped) => {
    let k = 0;
    for (let i = 0; i < n; i++) {
      let v = rows[i];
      ${calls}
      out[k] = v;
      sources[k++] = i;
    }
    return k;
  };`;
  try {
    // Only generated names and indices are compiled, never text of a user.
    return new Function(...names, body)(...functions) as Loop;
  } catch {
    return interpretedLoop(functions);
  }
}

function interpretedLoop(functions: readonly RowFunction[]): Loop {
  const apply = (row: Json, dropped: Float64Array): Json | undefined => {
    let value: Json | undefined = row;
    for (let f = 0; f < functions.length; f++) {
      value = (functions[f] as RowFunction)(value as Json);
      if (value !== undefined) continue;
      dropped[f] = (dropped[f] as number) + 1;
      return undefined;
    }
    return value;
  };
  return (rows, n, out, sources, dropped) => {
    let k = 0;
    for (let i = 0; i < n; i++) {
      const value = apply(rows[i] as Json, dropped);
      if (value === undefined) continue;
      out[k] = value;
      sources[k++] = i;
    }
    return k;
  };
}

function meterStages(stages: readonly Stage[], n: number, dropped: Float64Array): void {
  let left = n;
  for (let i = 0; i < stages.length; i++) {
    const after = left - (dropped[i] as number);
    meterStage(stages[i] as Stage, left, after);
    left = after;
  }
}

function meterStage({ meter, edge }: Stage, entered: number, left: number): void {
  meter.in += entered;
  meter.out += left;
  if (edge === undefined) return;
  edge.messages += left;
  edge.frames++;
}

/**
 * The stages one after another: for columns, which have no per-row cost to save, for failures, and for samples. Meters move only
 * when all stages are through, so that a batch that throws and is tried again in halves is counted once.
 */
function staged(stages: readonly Stage[], input: Batch): PureResult {
  const failures: MessageFailure[] = [];
  const passed: { readonly entered: number; readonly output: Batch; readonly dead: number }[] = [];
  let batch = input;
  let sources: Uint32Array | null = null;
  for (const stage of stages) {
    const result = attempt(stage.node, stage.behavior, batch, input.n);
    const output = result.outputs[0] as PureOutput;
    for (const failure of result.failures)
      failures.push({
        node: stage.node,
        ...failure,
        index: sources === null ? failure.index : (sources[failure.index] as number),
      });
    passed.push({ entered: batch.n, output: output.batch, dead: result.failures.length });
    sources = composed(sources, output.sources);
    batch = output.batch;
  }
  passed.forEach(({ entered, output, dead }, i) => {
    const stage = stages[i] as Stage;
    meterStage(stage, entered, output.n);
    stage.meter.dead += dead;
    stage.edge?.sample(output);
  });
  return { outputs: [{ batch, sources }], failures: failures.sort((a, b) => a.index - b.index) };
}

/** A stage that throws on a single message names itself; on more, the actor bisects first. */
function attempt(node: string, behavior: PureBehavior, batch: Batch, inputs: number): PureResult {
  try {
    return behavior.transform(batch);
  } catch (error) {
    if (inputs > 1 || batch.n !== 1 || !isPoison(error)) throw error;
    return {
      outputs: [{ batch: new RowBatch([]), sources: new Uint32Array(0) }],
      failures: [{ index: 0, error, node }],
    };
  }
}

/** A transient failure or a bug says nothing of the message (R24). */
function isPoison(error: unknown): boolean {
  return !(error instanceof MillraceError) || (error.kind !== "transient" && error.kind !== "programmer");
}

function composed(outer: Uint32Array | null, inner: Uint32Array | null): Uint32Array | null {
  if (outer === null) return inner;
  if (inner === null) return outer;
  return inner.map((i) => outer[i] as number);
}
