/** Which messages of a batch are left when some have failed. */
import { type Batch, type MessageFailure, type PureResult, pureResult } from "@millrace/engine";

/** Indices below `n` without a failure, ascending; `null` when nothing failed, so that nothing needs to be copied. */
export function survivorsOf(n: number, failures: readonly MessageFailure[]): Uint32Array | null {
  if (failures.length === 0) return null;
  const failed = new Uint8Array(n);
  for (const failure of failures) failed[failure.index] = 1;
  const left = new Uint32Array(n);
  let kept = 0;
  for (let i = 0; i < n; i++) if (failed[i] === 0) left[kept++] = i;
  return left.slice(0, kept);
}

/** One failure per message, in message order; the first one reported for a message stands. */
export function distinctFailures(failures: readonly MessageFailure[]): readonly MessageFailure[] {
  if (failures.length < 2) return failures;
  const first = new Map<number, MessageFailure>();
  for (const failure of failures) if (!first.has(failure.index)) first.set(failure.index, failure);
  return [...first.values()].sort((a, b) => a.index - b.index);
}

/** The result of a one-to-one behavior: `batch` has one message per input message, of which the failed ones are taken out. */
export function withoutFailed(batch: Batch, found: readonly MessageFailure[]): PureResult {
  const failures = distinctFailures(found);
  const left = survivorsOf(batch.n, failures);
  return pureResult(left === null ? batch : batch.select(left), left, failures);
}
