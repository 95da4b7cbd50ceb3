/** Groups of windows as arrays. */
import type { Json } from "@millrace/engine";

/** Groups with the values of their keys and cells. */
export interface Groups {
  readonly n: number;
  readonly starts: Float64Array;
  readonly keys: readonly (readonly Json[])[];
  /** Values by group, one array per cell of the plan. */
  readonly cells: readonly Float64Array[];
}

export function sliceGroups({ starts, keys, cells }: Groups, from: number, to: number): Groups {
  return {
    n: to - from,
    starts: starts.subarray(from, to),
    keys: keys.slice(from, to),
    cells: cells.map((cell) => cell.subarray(from, to)),
  };
}

/** @param width number of cells of a group */
export function joinGroups(parts: readonly Groups[], width: number): Groups {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  const n = parts.reduce((sum, part) => sum + part.n, 0);
  const joined = (of: (part: Groups) => Float64Array): Float64Array => {
    const all = new Float64Array(n);
    let at = 0;
    for (const part of parts) {
      all.set(of(part), at);
      at += part.n;
    }
    return all;
  };
  return {
    n,
    starts: joined((part) => part.starts),
    keys: parts.flatMap((part) => part.keys),
    cells: Array.from({ length: width }, (_, c) => joined((part) => part.cells[c] as Float64Array)),
  };
}

/** Those for whose window start `test` holds; often all, which are not copied. */
export function groupsWhere(groups: Groups, test: (start: number) => boolean): Groups {
  if (groups.starts.every(test)) return groups;
  const { starts, keys, cells } = groups;
  const kept = [...starts.keys()].filter((i) => test(starts[i] as number));
  const picked = (from: Float64Array): Float64Array => Float64Array.from(kept.map((i) => from[i] as number));
  return {
    n: kept.length,
    starts: picked(starts),
    keys: kept.map((i) => keys[i] as readonly Json[]),
    cells: cells.map(picked),
  };
}
