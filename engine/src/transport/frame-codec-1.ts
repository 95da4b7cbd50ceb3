/** Frames as version 1 has them, msgpack as a whole: brokers that keep edges may still have some. */
import type { Frame, FrameHead } from "../frame/frame.ts";
import type { Point } from "../frame/point.ts";
import { unpackState } from "../log/packed-payload.ts";
import { type PackedBody, unpackBody } from "./frame-body-codec.ts";

const VERSION = 1;

/** @throws Error these bytes are no such frame */
export function decodeFrame1(bytes: Uint8Array, bornMs: number): Frame {
  const [version, head, ...body] = unpackState(bytes) as unknown as PackedFrame;
  if (version !== VERSION) throw new TypeError(`version ${String(version)} of frames is not known`);
  return unpackBody(unpackHead(head, bornMs), body);
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
type PackedFrame = readonly [version: number, head: PackedHead, ...body: PackedBody];

const unpackPoint = ([pos, ord]: PackedPoint): Point => ({ pos, ord });

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
