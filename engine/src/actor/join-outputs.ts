import type { PureOutput, PureResult } from "../behavior/pure-behavior.ts";
import { RowBatch } from "../frame/batch.ts";

/** The result of two halves of one batch, in order. Indices already count in the whole batch. */
export function joinOutputs(left: PureResult, right: PureResult): PureResult {
  return {
    outputs: left.outputs.map((output, port) => joined(output, right.outputs[port] as PureOutput)),
    failures: [...left.failures, ...right.failures],
  };
}

function joined(a: PureOutput, b: PureOutput): PureOutput {
  if (a.batch.n === 0) return b;
  if (b.batch.n === 0) return a;
  const sources = new Uint32Array(a.batch.n + b.batch.n);
  sources.set(a.sources as Uint32Array, 0);
  sources.set(b.sources as Uint32Array, a.batch.n);
  return { batch: new RowBatch([...a.batch.rows(), ...b.batch.rows()]), sources };
}
