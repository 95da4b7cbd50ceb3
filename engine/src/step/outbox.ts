/**
 * One output port of a committed node as an origin: emits frames with dense sequence numbers, keeps them until every lane has
 * durably passed them, and sends them again when a receiver asks (step-protocol §2, §6).
 *
 * A commit needs no credit: what was committed waits here while edges are full, and the node's intake stops meanwhile (R25).
 */
import { type OriginControl, type OutEdge, sendAlong, withoutCredit } from "../actor/link.ts";
import { type Scheduler, Turnable } from "../actor/scheduler.ts";
import { engineError } from "../errors.ts";
import type { Anchor } from "../frame/anchor.ts";
import { type Batch, EMPTY_BATCH } from "../frame/batch.ts";
import { Frame, type FrameHead, type LateMark, type Trace } from "../frame/frame.ts";
import { comparePoints, type Point, START, wholly } from "../frame/point.ts";
import { Positions } from "../frame/positions.ts";
import { FrameHolds, type PayloadHolds } from "../payload/frame-holds.ts";
import type { Timer } from "../time/clock.ts";
import { LaneAcks } from "./lane-acks.ts";
import { ALL_RULES, type ProtocolRules } from "./protocol-rules.ts";

/** What one step emitted on one port. */
export interface Output {
  readonly firstSeq: number;
  readonly batch: Batch;
  /** As its step says, by sequence number. */
  readonly late: readonly LateMark[];
  /** Of the node after the step. */
  readonly watermark: number;
  readonly idle: boolean;
  /** False when the same step emitted more behind it: only at the end of that is the watermark reached (R19). */
  readonly exact: boolean;
}

export interface OutboxOptions {
  /** `node.port`, for errors. */
  readonly name: string;
  readonly scheduler: Scheduler;
  /** Path of frames before their first edge. */
  readonly rootPath: number;
  readonly edges: readonly OutEdge[];
  /** Paths of the lanes that start here. */
  readonly lanes: readonly number[];
  readonly revision: number;
  readonly epoch: number;
  /** Unsent messages at which the node stops its intake. Default 16384. */
  readonly backlogMax?: number;
  /** Holds the payloads that frames name; absent: there are none. */
  readonly payloads?: PayloadHolds | undefined;
  /** Bytes of payloads in frames that are not durably consumed, at which the node stops its intake. Default 128 MiB. */
  readonly payloadBytesMax?: number;
  /** Silence after which unacknowledged output is probed for a lost tail (R10), in ms. Default 1000. */
  readonly probeAfterMs?: number;
  /** Default: all kept; simulations switch single ones off. */
  readonly rules?: ProtocolRules;
  /** Called when room came back. */
  readonly drained: () => void;
  /** Called when every lane has acknowledged all that was emitted: the graph may be done. */
  readonly progressed?: () => void;
  readonly failed: (error: unknown) => void;
}

const FRAMES_PER_TURN = 16;
const PROBE_AFTER_MS = 1000;
const PAYLOAD_BYTES_MAX = 128 * 1024 * 1024;

export class Outbox extends Turnable implements OriginControl {
  readonly #options: OutboxOptions;
  readonly #acks: LaneAcks;
  readonly #rules: ProtocolRules;
  /** In sequence order; before `#next` sent, from it on unsent. */
  #kept: Frame[] = [];
  readonly #holds: FrameHolds;
  #next = 0;
  #unsent = 0;
  /** Everything at or below is pruned. */
  #pruned: Point = START;
  #last: Point = START;
  #generation = 0;
  #watermark = Number.NEGATIVE_INFINITY;
  #idle = false;
  #marks = 0;
  #markWaiting = false;
  #probe: Timer | undefined;
  #stopped = false;
  #started = false;

  constructor(options: OutboxOptions) {
    super();
    this.#options = options;
    this.#rules = options.rules ?? ALL_RULES;
    this.#acks = new LaneAcks(options.lanes);
    this.#holds = new FrameHolds(options.payloads);
  }

  get isConnected(): boolean {
    return this.#acks.size > 0;
  }

  /** False when the node should take no more input until some output has left. */
  get hasRoom(): boolean {
    const { backlogMax = 16_384, payloadBytesMax = PAYLOAD_BYTES_MAX } = this.#options;
    return this.#unsent < backlogMax && this.#holds.bytes < payloadBytesMax;
  }

  /** All that was emitted is durably consumed by every lane. */
  get isDrained(): boolean {
    return !this.#markWaiting && this.#next === this.#kept.length && this.#acks.confirm(this.#last, this.#watermark);
  }

  /** The last sequence number that was emitted, and the watermark there. */
  get end(): Anchor {
    return { pos: this.#last.pos, watermark: this.#watermark };
  }

  /** Where the lanes stood when the host started; called before {@link restore} and {@link start}. */
  seed(path: number, cursor: Point, anchor: Anchor): void {
    this.#acks.note(path, cursor, anchor);
  }

  /** The least cursor of the lanes: output above it must be restored from the log. */
  get neededFrom(): Point | undefined {
    return this.#acks.least;
  }

  /** Puts back committed output that some lane has not passed, oldest first, and the watermark as of the last step. */
  restore(output: readonly Output[], nextSeq: number, watermark: number, idle: boolean): void {
    this.#watermark = watermark;
    this.#idle = idle;
    const first = output[0];
    this.#pruned = wholly((first?.firstSeq ?? nextSeq) - 1);
    this.#last = wholly(nextSeq - 1);
    for (const one of output) this.#keep(one, null);
  }

  /** Lets frames leave. The first thing sent is a mark, so that receivers learn the watermark and notice what they miss. */
  start(): void {
    this.#started = true;
    this.#markWaiting = this.isConnected && (this.#watermark > Number.NEGATIVE_INFINITY || this.#idle);
    this.#wake();
  }

  stop(): void {
    this.#stopped = true;
    this.#probe?.cancel();
    // What the log names stays in the archive.
    this.#holds.releaseAll(true);
  }

  /** Committed output leaves as soon as its edges have credit. */
  emit(output: Output, trace: Trace): void {
    if (!this.isConnected) return;
    if (output.exact) {
      this.#watermark = output.watermark;
      this.#idle = output.idle;
    }
    this.#keep(output, trace);
    this.#wake();
  }

  /** The node's output watermark or idleness changed without output (R15). */
  progress(watermark: number, idle: boolean): void {
    if (!this.isConnected || (watermark === this.#watermark && idle === this.#idle)) return;
    this.#watermark = watermark;
    this.#idle = idle;
    this.#markWaiting = true;
    this.#wake();
  }

  acknowledge(path: number, cursor: Point, anchor: Anchor): void {
    if (!this.#acks.note(path, cursor, anchor)) return;
    this.#prune();
    if (this.isDrained) this.#options.progressed?.();
  }

  resume(path: number, asked: Point, _anchor: Anchor): void {
    if (this.#stopped) return;
    // A request that was overtaken by an acknowledgement asks for what the lane has durably passed since.
    const acked = this.#acks.cursorOf(path);
    const cursor = comparePoints(asked, acked) < 0 ? acked : asked;
    if (comparePoints(cursor, this.#pruned) < 0) {
      const details = { path, after: cursor, through: this.#pruned };
      this.#options.failed(
        engineError("EDGE-GAP", `${this.#options.name}: a receiver needs a range that was pruned`, { details }),
      );
      return;
    }
    if (this.#rules.R11) this.#generation++;
    const first = this.#kept.findIndex((frame) => comparePoints(frame.head.to, cursor) > 0);
    const resent = first < 0 ? this.#kept.length : first;
    if (resent < this.#next) {
      for (let i = resent; i < this.#next; i++) this.#unsent += (this.#kept[i] as Frame).n;
      this.#next = resent;
    }
    this.#markWaiting = true;
    this.#wake();
  }

  turn(nowMs: number): number {
    if (this.#stopped || !this.#started) return nowMs;
    for (let k = 0; k < FRAMES_PER_TURN && this.#next < this.#kept.length; k++) {
      if (this.#isBlocked()) return nowMs;
      const frame = this.#kept[this.#next++] as Frame;
      this.#unsent -= frame.n;
      this.#send(frame);
    }
    if (this.#next < this.#kept.length) this.#wake();
    else if (this.#markWaiting) this.#sendMark();
    if (this.hasRoom) this.#options.drained();
    this.#armProbe();
    return this.#options.scheduler.env.clock.monotonic();
  }

  readonly #wake = (): void => {
    if (!this.#stopped && this.#started) this.#options.scheduler.ready(this);
  };

  #isBlocked(): boolean {
    const full = withoutCredit(this.#options.edges, this.#options.rootPath);
    if (full === undefined) return false;
    full.link.whenCredit(full.path, this.#wake);
    return true;
  }

  #keep({ firstSeq, batch, late, watermark, idle, exact }: Output, trace: Trace | null): void {
    const to = wholly(firstSeq + batch.n - 1);
    const head = { ...this.#head(wholly(firstSeq - 1), to, watermark, trace), idle: idle && exact, exact };
    const frame = new Frame(head, batch, Positions.dense(firstSeq, batch.n), [], late);
    this.#kept.push(frame);
    this.#holds.hold(frame);
    this.#unsent += batch.n;
    this.#last = to;
  }

  #head(from: Point, to: Point, watermark: number, trace: Trace | null): FrameHead {
    const { rootPath, epoch, revision, scheduler } = this.#options;
    const bornMs = scheduler.env.clock.monotonic();
    return {
      path: rootPath,
      generation: this.#generation,
      epoch,
      revision,
      from,
      to,
      watermark,
      exact: true,
      idle: this.#idle,
      mark: null,
      shed: 0,
      trace,
      bornMs,
    };
  }

  #send(frame: Frame): void {
    const generation = this.#generation;
    sendAlong(this.#options.edges, frame.head.generation === generation ? frame : frame.again(generation));
  }

  #sendMark(): void {
    this.#markWaiting = false;
    this.#marks++;
    this.#repeatMark();
  }

  #repeatMark(): void {
    const mark = this.#marks === 0 ? null : { epoch: this.#options.epoch, n: this.#marks };
    const head = { ...this.#head(this.#last, this.#last, this.#watermark, null), mark };
    sendAlong(this.#options.edges, new Frame(head, EMPTY_BATCH, Positions.NONE));
  }

  #prune(): void {
    const least = (this.#rules.R21 ? this.#acks.least : this.#acks.greatest) as Point;
    let passed = 0;
    while (passed < this.#next && comparePoints((this.#kept[passed] as Frame).head.to, least) <= 0) passed++;
    if (passed === 0) return;
    this.#pruned = (this.#kept[passed - 1] as Frame).head.to;
    this.#kept = this.#kept.slice(passed);
    this.#next -= passed;
    if (this.#holds.bytes === 0) return;
    const wasFull = !this.hasRoom;
    this.#holds.releaseThrough(this.#pruned);
    if (wasFull && this.hasRoom) this.#options.drained();
  }

  /** R10: while the tail is unconfirmed and nothing moves, an empty frame at the end reveals it to a receiver that is behind. */
  #armProbe(): void {
    if (this.#probe !== undefined || this.isDrained || !this.#rules.R10) return;
    const before = this.#acks.least;
    this.#probe = this.#options.scheduler.env.timers.after(this.#options.probeAfterMs ?? PROBE_AFTER_MS, () => {
      this.#probe = undefined;
      if (this.#stopped || this.isDrained) return;
      const stuck = before !== undefined && comparePoints(this.#acks.least as Point, before) === 0;
      if (stuck && this.#next === this.#kept.length) this.#repeatMark();
      this.#armProbe();
    });
  }
}
