/** A frame as bytes on the wire between hosts. Both ends run the same version; the first byte says which. */
import type { StateEvent } from "../behavior/committed-behavior.ts";
import type { ErrorReport } from "../errors.ts";
import { decodeBatch, encodeBatch } from "../frame/batch-codec.ts";
import { type DeadItem, Frame, type FrameHead, type LateMark } from "../frame/frame.ts";
import type { Json } from "../frame/json.ts";
import type { Point } from "../frame/point.ts";
import { Positions } from "../frame/positions.ts";
import { packState, unpackState } from "../log/packed-payload.ts";
import { transportError } from "./transport-errors.ts";

const VERSION = 1;
/** @throws MSG-SIZE a message is nested too deeply */
export function encodeFrame({ head, batch, positions, dead, late }: Frame): Uint8Array {
  const packed: PackedFrame = [
    VERSION,
    packHead(head),
    encodeBatch(batch),
    packPositions(positions),
    dead.map(packDead),
    late.map(packLate),
  ];
  // Error reports are made of what msgpack can say.
  return packState(packed as unknown as StateEvent);
}

/**
 * @param bornMs when the frame entered this host: the sender's clock means nothing here
 * @throws TRANSPORT-PROTOCOL
 */
export function decodeFrame(bytes: Uint8Array, bornMs: number): Frame {
  try {
    const [version, head, batch, positions, dead, late] = unpackState(bytes) as unknown as PackedFrame;
    if (version !== VERSION) throw new TypeError(`version ${String(version)} of frames is not ${VERSION}`);
    return new Frame(
      unpackHead(head, bornMs),
      decodeBatch(batch),
      unpackPositions(positions),
      dead.map(unpackDead),
      late.map(([pos, watermark]): LateMark => ({ pos, watermark })),
    );
  } catch (cause) {
    throw transportError("TRANSPORT-PROTOCOL", "a frame cannot be read", { cause });
  }
}

type PackedPoint = readonly [pos: number, ord: number];
type PackedHead = readonly [
  path: number,
  generation: number,
  epoch: number,
  revision: number,
  from: PackedPoint,
  to: PackedPoint,
  watermark: number,
  exact: boolean,
  idle: boolean,
  mark: readonly [epoch: number, n: number] | null,
  shed: number,
  trace: readonly [causation: Uint8Array, correlation: Uint8Array] | null,
];
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
type PackedFrame = readonly [
  version: number,
  head: PackedHead,
  batch: StateEvent,
  positions: PackedPositions,
  dead: readonly PackedDead[],
  late: readonly (readonly [pos: number, watermark: number])[],
];

const packPoint = ({ pos, ord }: Point): PackedPoint => [pos, ord];
const unpackPoint = ([pos, ord]: PackedPoint): Point => ({ pos, ord });
const packLate = ({ pos, watermark }: LateMark) => [pos, watermark] as const;

function packHead(head: FrameHead): PackedHead {
  const { path, generation, epoch, revision, from, to, watermark, exact, idle, mark, shed, trace } = head;
  return [
    path,
    generation,
    epoch,
    revision,
    packPoint(from),
    packPoint(to),
    watermark,
    exact,
    idle,
    mark === null ? null : [mark.epoch, mark.n],
    shed,
    trace === null ? null : [trace.causationId, trace.correlationId],
  ];
}

function unpackHead(packed: PackedHead, bornMs: number): FrameHead {
  const [path, generation, epoch, revision, from, to, watermark, exact, idle, mark, shed, trace] = packed;
  return {
    path,
    generation,
    epoch,
    revision,
    from: unpackPoint(from),
    to: unpackPoint(to),
    watermark,
    exact,
    idle,
    mark: mark === null ? null : { epoch: mark[0], n: mark[1] },
    shed,
    trace: trace === null ? null : { causationId: new Uint8Array(trace[0]), correlationId: new Uint8Array(trace[1]) },
    bornMs,
  };
}

function packPositions(positions: Positions): PackedPositions {
  const { n } = positions;
  if (n === 0) return [0, 0];
  const first = positions.pos(0);
  let isDense = positions.oneToOne && positions.pos(n - 1) - first === n - 1;
  for (let i = 0; isDense && i < n; i++) isDense = positions.pos(i) === first + i;
  if (isDense) return [n, first];
  const pos = Float64Array.from({ length: n }, (_, i) => positions.pos(i));
  const ord = positions.oneToOne ? null : Uint32Array.from({ length: n }, (_, i) => positions.ord(i));
  return [n, new Uint8Array(pos.buffer), ord === null ? null : new Uint8Array(ord.buffer)];
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
