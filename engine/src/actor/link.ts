/**
 * One edge of the graph as its two ends see it. Data goes down a {@link Link}, under the receiver's credit; cursors come back
 * to the origin by {@link OriginControl}. Within a host a link is the receiver's mailbox; between hosts a transport.
 */

import type { ConnectionStatus } from "../connection/connection-status.ts";
import type { Anchor } from "../frame/anchor.ts";
import type { Batch } from "../frame/batch.ts";
import type { Frame } from "../frame/frame.ts";
import type { Point } from "../frame/point.ts";
import type { Positions } from "../frame/positions.ts";
import { ALL_RULES, type ProtocolRules } from "../step/protocol-rules.ts";
import type { NextPath } from "./next-path.ts";

export interface Link {
  /** Address of the edge on a broker; absent for one that leads over none. */
  readonly subject?: string;
  /** The connection to that broker. */
  connection?(): ConnectionStatus | undefined;
  /** The receiver takes at least one more frame of this path. Empty frames need no credit. */
  hasCredit(path: number): boolean;
  /** Calls `wake` once when credit may have come back; a spurious call is harmless. */
  whenCredit(path: number, wake: () => void): void;
  /** Hands a frame over. Its `head.path` is already that of this edge. Calling without credit overruns by that one frame. */
  send(frame: Frame): void;
}

/** What receivers tell an origin. */
export interface OriginControl {
  /** Everything of this lane up to `cursor` is durable at the receiver. Lost calls are harmless: the highest wins (R21). */
  acknowledge(path: number, cursor: Point, anchor: Anchor): void;
  /** The receiver misses what follows `cursor`: send it again, as a new transmission (R7, R11). */
  resume(path: number, cursor: Point, anchor: Anchor): void;
}

/** A sender's side of one edge. */
export interface OutEdge {
  /** `from -> to` of the graph file. */
  readonly name: string;
  readonly link: Link;
  readonly nextPath: NextPath;
  /** Counters and samples of the edge; kept by the sender. */
  readonly meter: EdgeMeter;
}

/** Counts what crosses an edge and keeps the newest frame for peeking. */
export class EdgeMeter {
  messages = 0;
  frames = 0;
  watermark = Number.NEGATIVE_INFINITY;
  /** The newest messages, as far as they are known: for peeking. */
  newest: Batch | null = null;
  newestPositions: Positions | null = null;

  note(frame: Frame): void {
    this.frames++;
    this.messages += frame.n;
    this.watermark = frame.head.watermark;
    if (frame.n === 0) return;
    this.newest = frame.batch;
    this.newestPositions = frame.positions;
  }

  /** For an edge inside a fused chain, along which no frame travels; its positions are not kept. */
  sample(batch: Batch): void {
    if (batch.n === 0) return;
    this.newest = batch;
    this.newestPositions = null;
  }
}

/** Sends a frame down every edge that its path leads along. The dead letters of a branch go down the first (R23). */
export function sendAlong(edges: readonly OutEdge[], frame: Frame, rules: ProtocolRules = ALL_RULES): void {
  let carriesDead = true;
  for (const edge of edges) {
    const path = edge.nextPath.get(frame.head.path);
    if (path === undefined) continue;
    const onward = carriesDead || frame.dead.length === 0 ? frame : frame.carrying(frame.batch, frame.positions, []);
    if (rules.R23) carriesDead = false;
    const sent = onward.along(path);
    edge.meter.note(sent);
    edge.link.send(sent);
  }
}

/** An edge without credit, and the path for which it has none. */
export interface FullEdge {
  readonly link: Link;
  readonly path: number;
}

/** The first edge that has no credit for a frame of this path; `undefined` when all have. */
export function withoutCredit(edges: readonly OutEdge[], path: number): FullEdge | undefined {
  for (const { link, nextPath } of edges) {
    const next = nextPath.get(path);
    if (next !== undefined && !link.hasCredit(next)) return { link, path: next };
  }
  return undefined;
}
