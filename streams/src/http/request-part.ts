/** What goes into one request of a sink: rows, and where they come from. */
import { createHash } from "node:crypto";
import type { InputSlice, Json } from "@millrace/engine";

interface Point {
  readonly pos: number;
  readonly ord: number;
}

/** Neighbours of one lane. */
interface PartRange {
  readonly lane: string;
  readonly from: Point;
  readonly to: Point;
  readonly rows: readonly Json[];
}

export interface RequestPart {
  readonly rows: readonly Json[];
  readonly ranges: readonly PartRange[];
}

/** Parts of at most `rowsMax` rows, in order; only the last has fewer. */
export function cutSlices(slices: readonly InputSlice[], rowsMax: number): readonly RequestPart[] {
  const parts: RequestPart[] = [];
  let ranges: PartRange[] = [];
  let n = 0;
  const end = (): void => {
    if (n > 0) parts.push({ rows: ranges.flatMap(({ rows }) => rows), ranges });
    ranges = [];
    n = 0;
  };
  for (const slice of slices) {
    for (let at = 0; at < slice.batch.n; ) {
      const count = Math.min(rowsMax - n, slice.batch.n - at);
      ranges.push(rangeOf(slice, at, count));
      at += count;
      n += count;
      if (n === rowsMax) end();
    }
  }
  end();
  return parts;
}

function rangeOf({ lane, batch, positions }: InputSlice, at: number, count: number): PartRange {
  const point = (i: number): Point => ({ pos: positions.pos(i), ord: positions.ord(i) });
  const rows = Array.from({ length: count }, (_, i) => batch.row(at + i));
  return { lane, from: point(at), to: point(at + count - 1), rows };
}

/** The same for the same messages of the same sink, and for no others. */
export function idOf(sink: string, { ranges }: RequestPart): string {
  const what = ranges.map(({ lane, from, to, rows }) => [lane, from.pos, from.ord, to.pos, to.ord, rows.length]);
  return `msg_${createHash("sha256")
    .update(JSON.stringify([sink, what]))
    .digest("base64url")}`;
}
