/**
 * What a source has sent down its lanes: frames, marks and their numbers, and the repetition of the end that shows a receiver
 * what it lost (step-protocol §5, §6). It sends at once; whether there is credit is the caller's concern.
 */
import { type OutEdge, sendAlong } from "../actor/link.ts";
import type { ActorMeter } from "../actor/meter.ts";
import { type Anchor, START_ANCHOR } from "../frame/anchor.ts";
import { type Batch, EMPTY_BATCH } from "../frame/batch.ts";
import { type DeadItem, Frame, type FrameHead, type LateMark } from "../frame/frame.ts";
import { type Point, wholly } from "../frame/point.ts";
import { Positions } from "../frame/positions.ts";
import type { FrameHolds } from "../payload/frame-holds.ts";
import type { LaneAcks } from "../step/lane-acks.ts";
import type { ProtocolRules } from "../step/protocol-rules.ts";
import type { Env, Timer } from "../time/clock.ts";
import { type EventTimeOptions, WatermarkGenerator } from "./watermark-generator.ts";

/** How far an origin's transmissions are numbered. */
export interface Transmission {
  readonly generation: number;
  readonly marks: number;
  /** Everything up to here was counted by the meter. */
  readonly counted: number;
}

export interface SourceTransmitterOptions {
  readonly env: Env;
  readonly rootPath: number;
  readonly edges: readonly OutEdge[];
  readonly revision: number;
  readonly epoch: number;
  readonly after: Transmission | undefined;
  readonly meter: ActorMeter;
  readonly rules: ProtocolRules;
  readonly eventTime: EventTimeOptions | undefined;
  readonly probeAfterMs: number;
  readonly acks: LaneAcks;
  readonly holds: FrameHolds;
  /** False while the source goes back: then what was sent last says nothing. */
  readonly isCurrent: () => boolean;
}

/** A part of what was read, ready to become a frame. */
export interface Sendable {
  readonly batch: Batch;
  readonly positions: Positions;
  /** The frame covers the source up to this offset. */
  readonly through: number;
  readonly dead: readonly DeadItem[];
  readonly late: readonly LateMark[];
}

export class SourceTransmitter {
  readonly #options: SourceTransmitterOptions;
  #generator: WatermarkGenerator | undefined;
  #sent: Point = wholly(START_ANCHOR.pos);
  #sentMost = START_ANCHOR.pos;
  #generation: number;
  #marks: number;
  #counted: number;
  #idle = false;
  #ended = false;
  #probe: Timer | undefined;
  #stopped = false;

  constructor(options: SourceTransmitterOptions) {
    this.#options = options;
    this.#generation = options.after?.generation ?? 0;
    this.#marks = options.after?.marks ?? 0;
    this.#counted = options.after?.counted ?? START_ANCHOR.pos;
  }

  /** Everything up to here was read and sent. */
  get sent(): Point {
    return this.#sent;
  }

  /** The last position that was ever sent, going back or not. */
  get sentMost(): number {
    return this.#sentMost;
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  get watermark(): number {
    return this.#ended ? Number.POSITIVE_INFINITY : (this.#generator?.watermark ?? Number.NEGATIVE_INFINITY);
  }

  /** Gives messages their event times; `undefined`: they have none. */
  get generator(): WatermarkGenerator | undefined {
    return this.#generator;
  }

  get transmission(): Transmission {
    return { generation: this.#generation, marks: this.#marks, counted: this.#counted };
  }

  /** What comes next follows this point, not what was sent. */
  restart(at: Anchor): void {
    const { rules, eventTime } = this.#options;
    if (rules.R11) this.#generation++;
    this.#ended = false;
    this.#idle = false;
    this.#sent = wholly(at.pos);
    const from = rules.R19 ? at.watermark : Number.NEGATIVE_INFINITY;
    this.#generator = eventTime === undefined ? undefined : new WatermarkGenerator(eventTime, from);
  }

  stop(): void {
    this.#stopped = true;
    this.#probe?.cancel();
  }

  send(part: Sendable): void {
    this.#idle = false;
    const from = this.#sent;
    this.#sent = wholly(part.through);
    this.#sentMost = Math.max(this.#sentMost, part.through);
    this.#count(part);
    const frame = new Frame(this.#head(from, this.#sent), part.batch, part.positions, part.dead, part.late);
    this.#options.holds.hold(frame);
    sendAlong(this.#options.edges, frame);
    this.#armProbe();
  }

  /** The source was polled and has nothing: its lanes must not hold others' watermarks back (R15). */
  sendIdle(): void {
    if (this.#idle) return;
    this.#idle = true;
    this.#sendMark();
  }

  /** Nothing will follow: every window may close. */
  sendEnd(): void {
    this.#ended = true;
    this.#idle = false;
    this.#sendMark();
  }

  /** What is sent again was counted before. */
  #count({ positions, dead, through }: Sendable): void {
    const { meter } = this.#options;
    const fresh = positions.n - positions.countThrough(wholly(this.#counted));
    const freshDead = dead.filter(({ pos }) => pos > this.#counted).length;
    meter.in += fresh + freshDead;
    meter.out += fresh;
    meter.dead += freshDead;
    this.#counted = Math.max(this.#counted, through);
  }

  #sendMark(): void {
    this.#marks++;
    this.#repeatMark();
    this.#armProbe();
  }

  #repeatMark(): void {
    const mark = this.#marks === 0 ? null : { epoch: this.#options.epoch, n: this.#marks };
    const head = { ...this.#head(this.#sent, this.#sent), idle: this.#idle, mark };
    sendAlong(this.#options.edges, new Frame(head, EMPTY_BATCH, Positions.NONE));
  }

  #head(from: Point, to: Point): FrameHead {
    const { rootPath, epoch, revision, env } = this.#options;
    return {
      path: rootPath,
      generation: this.#generation,
      epoch,
      revision,
      from,
      to,
      watermark: this.watermark,
      exact: true,
      idle: false,
      mark: null,
      shed: 0,
      trace: null,
      bornMs: env.clock.monotonic(),
    };
  }

  /** R10: an empty frame at the end shows a receiver that it lost the tail, or the last mark. */
  #armProbe(): void {
    const { env, probeAfterMs, rules, acks, isCurrent } = this.#options;
    if (!rules.R10) return;
    this.#probe ??= env.timers.after(probeAfterMs, () => {
      this.#probe = undefined;
      if (this.#stopped || (!this.#idle && acks.confirm(this.#sent, this.watermark))) return;
      if (isCurrent()) this.#repeatMark();
      this.#armProbe();
    });
  }
}
