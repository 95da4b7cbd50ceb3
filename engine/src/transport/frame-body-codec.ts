/** What a frame has beside its head, as a value for msgpack. */
import type { StateEvent } from "../behavior/committed-behavior.ts";
import type { ErrorReport } from "../errors.ts";
import { decodeBatch, encodeBatch } from "../frame/batch-codec.ts";
import { type DeadItem, Frame, type FrameHead, type LateMark } from "../frame/frame.ts";
import type { Json } from "../frame/json.ts";
import { Positions } from "../frame/positions.ts";

/** A dense run by its start; else the bytes of `pos` and, where not all are 0, of `ord`. */
type PackedPositions =
  | readonly [n: number, first: number]
  | readonly [n: number, pos: Uint8Array, ord: Uint8Array | null];
type PackedDead = readonly [
  pos: number,
  ord: number,
  node: string,
  attempts: number,
  error: ErrorReport,
  input: readonly Json[],
];
export type PackedBody = readonly [
  batch: StateEvent,
  positions: PackedPositions,
  dead: readonly PackedDead[],
  late: readonly (readonly [pos: number, watermark: number])[],
];

export function packBody({ batch, positions, dead, late }: Frame): PackedBody {
  return [encodeBatch(batch), packPositions(positions), dead.map(packDead), late.map(packLate)];
}

/** @throws TypeError */
export function unpackBody(head: FrameHead, [batch, positions, dead, late]: PackedBody): Frame {
  return new Frame(
    head,
    decodeBatch(batch),
    unpackPositions(positions),
    dead.map(unpackDead),
    late.map(([pos, watermark]): LateMark => ({ pos, watermark })),
  );
}

const packLate = ({ pos, watermark }: LateMark) => [pos, watermark] as const;

/** Of the one or more positions each follows on the one before. */
export function isDense(positions: Positions): boolean {
  const { n } = positions;
  const first = positions.pos(0);
  if (!positions.oneToOne || positions.pos(n - 1) - first !== n - 1) return false;
  for (let i = 0; i < n; i++) if (positions.pos(i) !== first + i) return false;
  return true;
}

function packPositions(positions: Positions): PackedPositions {
  const { n } = positions;
  if (n === 0) return [0, 0];
  if (isDense(positions)) return [n, positions.pos(0)];
  const pos = new Float64Array(n);
  for (let i = 0; i < n; i++) pos[i] = positions.pos(i);
  return [n, new Uint8Array(pos.buffer), positions.oneToOne ? null : packOrds(positions)];
}

function packOrds(positions: Positions): Uint8Array {
  const ord = new Uint32Array(positions.n);
  for (let i = 0; i < ord.length; i++) ord[i] = positions.ord(i);
  return new Uint8Array(ord.buffer);
}

function unpackPositions(packed: PackedPositions): Positions {
  const [n, pos] = packed;
  if (typeof pos === "number") return Positions.dense(pos, n);
  const ord = packed[2] ?? null;
  // A decoder's bytes begin anywhere; typed arrays need them at a multiple of their width.
  return Positions.of(
    new Float64Array(new Uint8Array(pos).buffer),
    ord === null ? null : new Uint32Array(new Uint8Array(ord).buffer),
  );
}

function packDead({ pos, ord, node, attempts, error, input }: DeadItem): PackedDead {
  return [pos, ord, node, attempts, error, input === undefined ? [] : [input]];
}

function unpackDead([pos, ord, node, attempts, error, input]: PackedDead): DeadItem {
  return { pos, ord, node, attempts, error, input: input[0] };
}
