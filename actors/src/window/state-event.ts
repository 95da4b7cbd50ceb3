/**
 * Groups as a state event or snapshot: absolute values in columns, so that folding is overwriting. Windows as runs
 * (`start, count, …`), keys by value, each cell as little-endian bytes of the narrowest kind that holds it exactly.
 */
import type { Json, StateEvent } from "@millrace/engine";
import type { Groups } from "./groups.ts";

/** Bytes per value of a packed cell; a cell that is 0 everywhere has none. */
const INT32 = 4;

export function encodeGroups({ starts, keys, cells }: Groups, keyFields: number): StateEvent {
  const runs: number[] = [];
  let run = Number.NaN;
  for (const start of starts) {
    if (start !== run) runs.push(start, 0);
    run = start;
    (runs[runs.length - 1] as number)++;
  }
  const columns = Array.from({ length: keyFields }, (_, field) => keys.map((key) => key[field] as Json));
  return { w: runs, k: columns, c: cells.map(pack) };
}

export function decodeGroups(event: StateEvent): Groups {
  const { w: runs, k: columns, c: cells } = event as unknown as GroupsEvent;
  const n = runs.reduce((sum, value, i) => sum + (i % 2 === 1 ? value : 0), 0);
  const starts = new Float64Array(n);
  let i = 0;
  for (let r = 0; r < runs.length; r += 2) {
    starts.fill(runs[r] as number, i, i + (runs[r + 1] as number));
    i += runs[r + 1] as number;
  }
  const keys = Array.from({ length: n }, (_, at) => columns.map((column) => column[at] as Json));
  return { n, starts, keys, cells: cells.map((packed) => unpack(packed, n)) };
}

/** What {@link encodeGroups} made, read back from the log. */
interface GroupsEvent {
  readonly w: readonly number[];
  readonly k: readonly (readonly Json[])[];
  readonly c: readonly (readonly [width: number, bytes: Uint8Array] | null)[];
}

function pack(cell: Float64Array): StateEvent {
  const ints = new Int32Array(cell.length);
  let any = 0;
  let exact = true;
  for (let i = 0; i < ints.length && exact; i++) {
    const value = cell[i] as number;
    ints[i] = value;
    any |= ints[i] as number;
    exact = Object.is(ints[i], value);
  }
  if (!exact) return [Float64Array.BYTES_PER_ELEMENT, bytesOf(cell.slice())];
  return any === 0 ? null : [INT32, bytesOf(ints)];
}

function unpack(packed: GroupsEvent["c"][number], count: number): Float64Array {
  if (packed === null) return new Float64Array(count);
  const [width, bytes] = packed;
  // Bytes out of a decoder are a view at any offset, so they are copied to an aligned buffer.
  const { buffer } = Uint8Array.from(bytes);
  return width === INT32 ? Float64Array.from(new Int32Array(buffer)) : new Float64Array(buffer);
}

function bytesOf(values: Float64Array | Int32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
