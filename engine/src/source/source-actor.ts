/**
 * Reads one partition of a source and sends frames down its lanes: an origin with the source's own offsets as positions. It
 * reads only while every edge has credit, goes back when a receiver misses something, and starts after a crash where its
 * slowest receiver stands (step-protocol §5, §6). It appends nothing.
 */
import { type OriginControl, type OutEdge, sendAlong, withoutCredit } from "../actor/link.ts";
import type { ActorMeter } from "../actor/meter.ts";
import { engineError, MillraceError, reportOf } from "../errors.ts";
import { type Anchor, START_ANCHOR } from "../frame/anchor.ts";
import { type Batch, EMPTY_BATCH } from "../frame/batch.ts";
import { type DeadItem, Frame, type FrameHead, type LateMark } from "../frame/frame.ts";
import { comparePoints, type Point, wholly } from "../frame/point.ts";
import { Positions } from "../frame/positions.ts";
import { FrameHolds, type PayloadHolds } from "../payload/frame-holds.ts";
import { LaneAcks } from "../step/lane-acks.ts";
import { ALL_RULES, type ProtocolRules } from "../step/protocol-rules.ts";
import { backoffDelayMs, DEFAULT_RESTART_POLICY } from "../supervision/restart-policy.ts";
import { type Env, sleep, type Timer } from "../time/clock.ts";
import type { SendHorizon } from "./send-horizon.ts";
import type { RejectedInput, SourceBatch, SourceConnector, SourceReader } from "./source-connector.ts";
import { type EventTimeOptions, WatermarkGenerator } from "./watermark-generator.ts";

/** How far an origin's transmissions are numbered. */
export interface Transmission {
  readonly generation: number;
  readonly marks: number;
  /** Everything up to here was counted by the meter. */
  readonly counted: number;
}

export interface SourceActorOptions {
  readonly node: string;
  readonly partition: string;
  readonly connector: SourceConnector;
  readonly env: Env;
  readonly rootPath: number;
  readonly edges: readonly OutEdge[];
  /** Paths of the lanes that start here. */
  readonly lanes: readonly number[];
  readonly revision: number;
  /** Grows with every start of the host, so that receivers can tell an old incarnation's frames. */
  readonly epoch: number;
  /** The incarnation before, in this process: generations and marks go on growing. */
  readonly after?: Transmission | undefined;
  /** Outlives the incarnation. */
  readonly meter: ActorMeter;
  /** Default: all kept; simulations switch single ones off. */
  readonly rules?: ProtocolRules;
  readonly eventTime?: EventTimeOptions;
  /** Replays at this multiple of event-time speed; absent: as fast as credit allows. Needs `eventTime`. */
  readonly speed?: number;
  /** Asked before anything is sent that was not sent before; absent: revisions of this graph are never changed. */
  readonly horizon?: SendHorizon;
  /** Most messages in a frame. Default 4096. */
  readonly frameMessagesMax?: number;
  /** Wait after a frame that is not full, in ms, so that a live source does not send rows one by one. Default 2. */
  readonly lingerMs?: number;
  readonly probeAfterMs?: number;
  /** Holds the payloads that frames name; absent: there are none. */
  readonly payloads?: PayloadHolds | undefined;
  /** Bytes of payloads in frames that are not durably consumed, at which the source stops reading. Default 128 MiB. */
  readonly payloadBytesMax?: number;
  /** A failure that waiting does not cure. */
  readonly failed: (error: unknown) => void;
  /** Tells why the source makes no progress; `undefined` when it does again. */
  readonly waiting: (error: unknown) => void;
  /** Called when the end was reached, and whenever lanes acknowledge after that. */
  readonly progressed: () => void;
}

const FRAME_MESSAGES_MAX = 4096;
const LINGER_MS = 2;
const PROBE_AFTER_MS = 1000;
/** How many frames may be sent before the horizon is moved again. */
const HORIZON_FRAMES = 64;
const PAYLOAD_BYTES_MAX = 128 * 1024 * 1024;

export class SourceActor implements OriginControl {
  readonly node: string;
  readonly partition: string;
  readonly meter: ActorMeter;
  readonly #options: SourceActorOptions;
  readonly #acks: LaneAcks;
  readonly #rules: ProtocolRules;
  readonly #stop = new AbortController();
  readonly #holds: FrameHolds;
  #reader: SourceReader | undefined;
  #watermarks: WatermarkGenerator | undefined;
  /** Everything up to here was read and sent. */
  #sent: Point;
  #generation: number;
  #marks: number;
  #counted: number;
  #idle = false;
  #ended = false;
  /** Where to go back to before the next read. */
  #rewind: Anchor | undefined;
  #wakeUp: (() => void) | undefined;
  #probe: Timer | undefined;
  #suspended: Promise<void> | undefined;
  #unsuspend: (() => void) | undefined;
  #pace: { readonly atMs: number; readonly eventMs: number } | undefined;
  #running: Promise<void> | undefined;
  /** The old revision runs to here (R22). */
  #drainTo: number | undefined;
  #hasDrained = false;
  /** The last position that this incarnation ever sent. */
  #sentMost = START_ANCHOR.pos;

  constructor(options: SourceActorOptions) {
    this.node = options.node;
    this.partition = options.partition;
    this.meter = options.meter;
    this.#options = options;
    this.#rules = options.rules ?? ALL_RULES;
    this.#generation = options.after?.generation ?? 0;
    this.#marks = options.after?.marks ?? 0;
    this.#counted = options.after?.counted ?? START_ANCHOR.pos;
    this.#acks = new LaneAcks(options.lanes);
    this.#holds = new FrameHolds(options.payloads);
    this.#sent = wholly(START_ANCHOR.pos);
  }

  get watermark(): number {
    return this.#ended ? Number.POSITIVE_INFINITY : (this.#watermarks?.watermark ?? Number.NEGATIVE_INFINITY);
  }

  /** The end was read, and every lane has durably passed it. */
  get isFinished(): boolean {
    return this.#ended && this.#acks.confirm(this.#sent, Number.POSITIVE_INFINITY);
  }

  get transmission(): Transmission {
    return { generation: this.#generation, marks: this.#marks, counted: this.#counted };
  }

  /** How far this partition may have been sent by any incarnation. */
  get horizon(): number {
    return Math.max(this.#sentMost, this.#options.horizon?.inherited ?? -1);
  }

  /** Reads on to `pos`, or to where the source has nothing more, and stops there without saying that it ended (R22). */
  drainTo(pos: number): void {
    this.#drainTo = pos;
    this.#unsuspend?.();
    this.#wakeUp?.();
  }

  /** Everything up to the point of {@link drainTo} was sent, and every lane has durably passed it. */
  get isDrained(): boolean {
    return this.#hasDrained && this.#rewind === undefined && this.#acks.confirm(this.#sent, Number.NEGATIVE_INFINITY);
  }

  /** Where the partition stands; meaningful once it is drained. */
  get end(): Anchor {
    return { pos: this.#sent.pos, watermark: this.watermark };
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  /** Where a lane stands as the host starts; called before {@link start}. */
  seed(path: number, cursor: Point, anchor: Anchor): void {
    this.#acks.note(path, cursor, anchor);
  }

  start(): void {
    this.#rewind = this.#acks.leastAnchor;
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort(engineError("SOURCE-FAILED", `source ${this.node} was stopped`));
    this.#probe?.cancel();
    this.#wakeUp?.();
    this.#unsuspend?.();
    await this.#reader?.close();
    await this.#running;
    this.#holds.releaseAll(true);
    // Not settled, the horizon is further away than it need be, which is as safe.
    await this.#options.horizon?.settle(this.#sentMost).catch(() => undefined);
  }

  /** Stops the intake until {@link unsuspend}; what was sent flows on. */
  suspend(): void {
    this.#suspended ??= new Promise((resolve) => {
      this.#unsuspend = resolve;
    });
  }

  unsuspend(): void {
    this.#pace = undefined;
    this.#unsuspend?.();
    this.#suspended = undefined;
    this.#unsuspend = undefined;
  }

  acknowledge(path: number, cursor: Point, anchor: Anchor): void {
    const hasMoved = this.#acks.note(path, cursor, anchor);
    if (hasMoved && this.#holds.bytes > 0) this.#release();
    if (hasMoved && (this.#ended || this.#hasDrained)) this.#options.progressed();
  }

  /** What every lane has durably passed needs its payloads no more. */
  #release(): void {
    this.#holds.releaseThrough(this.#acks.least ?? this.#sent);
    if (this.#hasPayloadRoom) this.#wakeUp?.();
  }

  get #hasPayloadRoom(): boolean {
    return this.#holds.bytes < (this.#options.payloadBytesMax ?? PAYLOAD_BYTES_MAX);
  }

  resume(_path: number, cursor: Point, anchor: Anchor): void {
    if (comparePoints(cursor, this.#sent) >= 0 && this.#rewind === undefined) return;
    if (this.#rewind === undefined || anchor.pos < this.#rewind.pos) this.#rewind = anchor;
    void this.#reader?.close();
    this.#wakeUp?.();
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#stop.signal.aborted) {
      try {
        await this.#turn();
        if (failures > 0) this.#options.waiting(undefined);
        failures = 0;
      } catch (error) {
        if (this.#stop.signal.aborted) break;
        if (!(error instanceof MillraceError) || error.kind !== "transient") {
          this.#options.failed(error);
          break;
        }
        this.#options.waiting(error);
        await this.#backOff(++failures);
      }
    }
    await this.#reader?.close();
  }

  async #backOff(failures: number): Promise<void> {
    const { env } = this.#options;
    await this.#reader?.close();
    this.#reader = undefined;
    // Reads fail only where nothing was sent, so what comes next still follows what was sent.
    this.#rewind ??= { pos: this.#sent.pos, watermark: this.watermark };
    await sleep(env, backoffDelayMs(DEFAULT_RESTART_POLICY, failures, env), this.#stop.signal).catch(() => undefined);
  }

  async #turn(): Promise<void> {
    if (this.#rewind !== undefined) await this.#reopen(this.#rewind);
    if (this.#drainTo !== undefined && (this.#ended || this.#sent.pos >= this.#drainTo)) this.#drained();
    if (this.#suspended !== undefined && this.#drainTo === undefined) await this.#suspended;
    if (this.#ended || this.#hasDrained) return this.#untilWoken();
    await this.#untilCredit();
    if (this.#rewind !== undefined || this.#stop.signal.aborted) return;
    if (this.#suspended !== undefined && this.#drainTo === undefined) return;
    const read = await (this.#reader as SourceReader).read(this.#options.frameMessagesMax ?? FRAME_MESSAGES_MAX);
    if (this.#rewind !== undefined || this.#stop.signal.aborted) return;
    const identity = this.#reader?.identity;
    if (identity !== undefined) await this.#options.horizon?.identify(identity);
    if (this.#rewind !== undefined || this.#stop.signal.aborted) return;
    if (this.#drainTo !== undefined && typeof read === "string") this.#drained();
    else if (read === "idle") this.#sendIdle();
    else if (read === "end") this.#sendEnd();
    else await this.#sendAndLinger(read);
  }

  #drained(): void {
    this.#hasDrained = true;
    this.#options.progressed();
  }

  async #sendAndLinger(whole: SourceBatch): Promise<void> {
    const { env, lingerMs = LINGER_MS, frameMessagesMax = FRAME_MESSAGES_MAX, horizon } = this.#options;
    const read = this.#drainTo === undefined ? whole : upTo(whole, this.#drainTo);
    await horizon?.cover(read.through, (read.through - this.#sent.pos) * HORIZON_FRAMES);
    if (this.#rewind !== undefined || this.#stop.signal.aborted) return;
    await this.#sendBatch(read);
    if (read.batch.n < frameMessagesMax) await sleep(env, lingerMs, this.#stop.signal).catch(() => undefined);
  }

  async #reopen(at: Anchor): Promise<void> {
    await this.#reader?.close();
    // What was sent is read again, and may be logged by a receiver that has it already.
    this.#holds.releaseAll(true);
    this.#reader = await this.#options.connector.open(this.#options.partition, at.pos);
    this.#rewind = undefined;
    if (this.#rules.R11) this.#generation++;
    this.#ended = false;
    this.#hasDrained = false;
    this.#idle = false;
    this.#pace = undefined;
    this.#sent = wholly(at.pos);
    const { eventTime } = this.#options;
    const from = this.#rules.R19 ? at.watermark : Number.NEGATIVE_INFINITY;
    this.#watermarks = eventTime === undefined ? undefined : new WatermarkGenerator(eventTime, from);
  }

  async #untilCredit(): Promise<void> {
    const { edges, rootPath } = this.#options;
    for (let full = withoutCredit(edges, rootPath); full !== undefined; full = withoutCredit(edges, rootPath)) {
      const { link, path } = full;
      const since = this.#options.env.clock.monotonic();
      await new Promise<void>((resolve) => {
        this.#wakeUp = resolve;
        link.whenCredit(path, resolve);
      });
      this.meter.blockedMs += this.#options.env.clock.monotonic() - since;
      if (this.#stop.signal.aborted || this.#rewind !== undefined) return;
    }
    while (!this.#hasPayloadRoom && !this.#stop.signal.aborted && this.#rewind === undefined) await this.#untilWoken();
  }

  #untilWoken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wakeUp = resolve;
    });
  }

  async #sendBatch(read: SourceBatch): Promise<void> {
    const { batch, positions, through, rejected } = read;
    const generator = this.#watermarks;
    if (generator === undefined) {
      this.#send(batch, positions, through, this.#deadFrom(rejected), []);
      return;
    }
    const times = generator.times(batch);
    let start = 0;
    while (start < batch.n) {
      const end = await this.#due(times, start);
      if (this.#rewind !== undefined || this.#stop.signal.aborted) return;
      const last = end === batch.n;
      const part = last && start === 0 ? batch : batch.slice(start, end);
      const partPositions = positions.slice(start, end);
      const upTo = last ? through : partPositions.pos(end - start - 1);
      const dead = this.#deadFrom(rejected.filter((r) => r.pos > this.#sent.pos && (last || r.pos <= upTo)));
      this.#sendTimed(part, partPositions, times.subarray(start, end), upTo, dead, generator);
      start = end;
      if (!last) await this.#untilCredit();
    }
    if (batch.n === 0) this.#send(batch, positions, through, this.#deadFrom(rejected), []);
  }

  #sendTimed(
    batch: Batch,
    positions: Positions,
    times: Float64Array,
    through: number,
    dead: DeadItem[],
    generator: WatermarkGenerator,
  ): void {
    const { late, untimed } = generator.pass(times, positions);
    if (untimed.length === 0) {
      this.#send(batch, positions, through, dead, late);
      return;
    }
    const bad = new Map(untimed.map((u) => [u.index, u.error]));
    const good = Uint32Array.from(Array.from({ length: batch.n }, (_, i) => i).filter((i) => !bad.has(i)));
    for (const [index, error] of bad) {
      dead.push({
        pos: positions.pos(index),
        ord: positions.ord(index),
        node: this.node,
        attempts: 1,
        error: reportOf(error),
        input: batch.row(index),
      });
    }
    this.#send(batch.select(good), positions.select(good), through, dead.sort(comparePoints), late);
  }

  /** End of the messages that are due at the replay speed, at least one; waits for the first. */
  async #due(times: Float64Array, start: number): Promise<number> {
    const { speed, env } = this.#options;
    if (speed === undefined) return times.length;
    const first = times[start] as number;
    this.#pace ??= paceFrom(times.subarray(start), env.clock.monotonic());
    if (this.#pace === undefined) return times.length;
    const dueMs = (first - this.#pace.eventMs) / speed - (env.clock.monotonic() - this.#pace.atMs);
    if (dueMs > 0)
      await sleep(env, Math.max(dueMs, this.#options.lingerMs ?? LINGER_MS), this.#stop.signal).catch(() => undefined);
    const now = this.#pace.eventMs + (env.clock.monotonic() - this.#pace.atMs) * speed;
    let end = start + 1;
    while (end < times.length && !((times[end] as number) > now)) end++;
    return end;
  }

  #deadFrom(rejected: readonly RejectedInput[]): DeadItem[] {
    return rejected.map(({ pos, error, input }) => ({
      pos,
      ord: 0,
      node: this.node,
      attempts: 1,
      error: reportOf(error),
      input,
    }));
  }

  #send(
    batch: Batch,
    positions: Positions,
    through: number,
    dead: readonly DeadItem[],
    late: readonly LateMark[],
  ): void {
    this.#idle = false;
    const from = this.#sent;
    this.#sent = wholly(through);
    this.#sentMost = Math.max(this.#sentMost, through);
    this.#count(positions, dead, through);
    const frame = new Frame(this.#head(from, this.#sent), batch, positions, dead, late);
    this.#holds.hold(frame);
    sendAlong(this.#options.edges, frame);
    this.#armProbe();
  }

  /** What is sent again was counted before. */
  #count(positions: Positions, dead: readonly DeadItem[], through: number): void {
    const fresh = positions.n - positions.countThrough(wholly(this.#counted));
    const freshDead = dead.filter(({ pos }) => pos > this.#counted).length;
    this.meter.in += fresh + freshDead;
    this.meter.out += fresh;
    this.meter.dead += freshDead;
    this.#counted = Math.max(this.#counted, through);
  }

  /** The source was polled and has nothing: its lanes must not hold others' watermarks back (R15). */
  #sendIdle(): void {
    if (this.#idle) return;
    this.#idle = true;
    this.#sendMark();
  }

  /** Nothing will follow: every window may close. */
  #sendEnd(): void {
    this.#ended = true;
    this.#idle = false;
    this.#sendMark();
    this.#options.progressed();
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
    const bornMs = env.clock.monotonic();
    const watermark = this.watermark;
    return {
      path: rootPath,
      generation: this.#generation,
      epoch,
      revision,
      from,
      to,
      watermark,
      exact: true,
      idle: false,
      mark: null,
      shed: 0,
      trace: null,
      bornMs,
    };
  }

  /** R10: an empty frame at the end shows a receiver that it lost the tail, or the last mark. */
  #armProbe(): void {
    const { env, probeAfterMs = PROBE_AFTER_MS } = this.#options;
    if (!this.#rules.R10) return;
    this.#probe ??= env.timers.after(probeAfterMs, () => {
      this.#probe = undefined;
      if (this.#stop.signal.aborted || (!this.#idle && this.#acks.confirm(this.#sent, this.watermark))) return;
      if (this.#rewind === undefined) this.#repeatMark();
      this.#armProbe();
    });
  }
}

/** Replay begins with the first message that has a time; those without one are due with their neighbours. */
function paceFrom(times: Float64Array, atMs: number): { readonly atMs: number; readonly eventMs: number } | undefined {
  const eventMs = times.find((time) => !Number.isNaN(time));
  return eventMs === undefined ? undefined : { atMs, eventMs };
}

/** The part of a read that lies at or below `pos`. */
function upTo(read: SourceBatch, pos: number): SourceBatch {
  if (read.through <= pos) return read;
  const n = read.positions.countThrough(wholly(pos));
  const rejected = read.rejected.filter((r) => r.pos <= pos);
  return { batch: read.batch.slice(0, n), positions: read.positions.slice(0, n), through: pos, rejected };
}
