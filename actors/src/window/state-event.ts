/**
 * Groups as a state event or snapshot: absolute values in columns, so that folding is overwriting. Windows as runs
 * (`start, count, …`), keys by value, each cell as little-endian bytes of the narrowest kind that holds it exactly.
 */
import type { Json, StateEvent } from "@millrace/engine";
import type { OpenWindows } from "./open-windows.ts";

/** Bytes per value of a packed cell; a cell that is 0 everywhere has none. */
const INT32 = 4;

export function encodeGroups(windows: OpenWindows, slots: readonly number[]): StateEvent {
  const runs: number[] = [];
  let run = Number.NaN;
  for (const slot of slots) {
    const start = windows.startOf(slot);
    if (start !== run) runs.push(start, 0);
    run = start;
    (runs[runs.length - 1] as number)++;
  }
  const keys = Array.from({ length: windows.keys.fields }, (_, field) =>
    slots.map((slot) => windows.keys.key(windows.keyOf(slot))[field] as Json),
  );
  return { w: runs, k: keys, c: windows.cells.map((cell) => pack(cell, slots)) };
}

export function foldGroups(windows: OpenWindows, event: StateEvent): void {
  const { w: runs, k: keys, c: cells } = event as unknown as GroupsEvent;
  const count = runs.reduce((sum, value, i) => sum + (i % 2 === 1 ? value : 0), 0);
  const values = cells.map((packed) => unpack(packed, count));
  let i = 0;
  for (let r = 0; r < runs.length; r += 2) {
    for (let left = runs[r + 1] as number; left > 0; left--, i++) {
      const slot = windows.slotFor(
        runs[r] as number,
        keys.map((column) => column[i] as Json),
      );
      for (const [c, cell] of windows.cells.entries()) cell[slot] = (values[c] as Values)[i] as number;
    }
  }
}

/** What {@link encodeGroups} made, read back from the log. */
interface GroupsEvent {
  readonly w: readonly number[];
  readonly k: readonly (readonly Json[])[];
  readonly c: readonly (readonly [width: number, bytes: Uint8Array] | null)[];
}

type Values = Float64Array | Int32Array;

function pack(cell: Float64Array, slots: readonly number[]): StateEvent {
  const ints = new Int32Array(slots.length);
  let any = 0;
  let exact = true;
  for (let i = 0; i < ints.length && exact; i++) {
    const value = cell[slots[i] as number] as number;
    ints[i] = value;
    any |= ints[i] as number;
    exact = Object.is(ints[i], value);
  }
  if (exact) return any === 0 ? null : [INT32, bytesOf(ints)];
  const doubles = new Float64Array(slots.length);
  for (let i = 0; i < doubles.length; i++) doubles[i] = cell[slots[i] as number] as number;
  return [Float64Array.BYTES_PER_ELEMENT, bytesOf(doubles)];
}

function unpack(packed: GroupsEvent["c"][number], count: number): Values {
  if (packed === null) return new Int32Array(count);
  const [width, bytes] = packed;
  // Bytes out of a decoder are a view at any offset, so they are copied to an aligned buffer.
  const { buffer } = Uint8Array.from(bytes);
  return width === INT32 ? new Int32Array(buffer) : new Float64Array(buffer);
}

function bytesOf(values: Values): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
