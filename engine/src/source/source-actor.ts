/**
 * Reads one partition of a source and sends frames down its lanes: an origin with the source's own offsets as positions. It
 * reads only while every edge has credit, goes back when a receiver misses something, and starts after a crash where its
 * slowest receiver stands (step-protocol §5, §6). It appends nothing.
 */
import { type OriginControl, type OutEdge, withoutCredit } from "../actor/link.ts";
import type { ActorMeter } from "../actor/meter.ts";
import { engineError, MillraceError, reportOf } from "../errors.ts";
import type { Anchor } from "../frame/anchor.ts";
import type { DeadItem } from "../frame/frame.ts";
import { comparePoints, type Point, wholly } from "../frame/point.ts";
import { FrameHolds, type PayloadHolds } from "../payload/frame-holds.ts";
import { LaneAcks } from "../step/lane-acks.ts";
import { ALL_RULES, type ProtocolRules } from "../step/protocol-rules.ts";
import { backoffDelayMs, DEFAULT_RESTART_POLICY } from "../supervision/restart-policy.ts";
import { type Env, sleep } from "../time/clock.ts";
import { ReplayPace } from "./replay-pace.ts";
import type { SendHorizon } from "./send-horizon.ts";
import type { RejectedInput, SourceBatch, SourceConnector, SourceReader } from "./source-connector.ts";
import { SourceTransmitter, type Transmission } from "./source-transmitter.ts";
import { timed } from "./timed-part.ts";
import type { EventTimeOptions } from "./watermark-generator.ts";

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
  readonly #transmitter: SourceTransmitter;
  readonly #pace: ReplayPace | undefined;
  readonly #stop = new AbortController();
  readonly #holds: FrameHolds;
  #reader: SourceReader | undefined;
  /** Where to go back to before the next read. */
  #rewind: Anchor | undefined;
  #wakeUp: (() => void) | undefined;
  #suspended: Promise<void> | undefined;
  #unsuspend: (() => void) | undefined;
  #running: Promise<void> | undefined;
  /** The old revision runs to here (R22). */
  #drainTo: number | undefined;
  #hasDrained = false;

  constructor(options: SourceActorOptions) {
    this.node = options.node;
    this.partition = options.partition;
    this.meter = options.meter;
    this.#options = options;
    const { env, speed, meter, rootPath, edges, revision, epoch, eventTime } = options;
    this.#acks = new LaneAcks(options.lanes);
    this.#holds = new FrameHolds(options.payloads);
    this.#pace = speed === undefined ? undefined : new ReplayPace(speed, env, options.lingerMs ?? LINGER_MS);
    this.#transmitter = new SourceTransmitter({
      env,
      rootPath,
      edges,
      revision,
      epoch,
      after: options.after,
      meter,
      rules: options.rules ?? ALL_RULES,
      eventTime,
      probeAfterMs: options.probeAfterMs ?? PROBE_AFTER_MS,
      acks: this.#acks,
      holds: this.#holds,
      isCurrent: () => this.#rewind === undefined,
    });
  }

  get watermark(): number {
    return this.#transmitter.watermark;
  }

  /** The end was read, and every lane has durably passed it. */
  get isFinished(): boolean {
    return this.hasEnded && this.#acks.confirm(this.#sent, Number.POSITIVE_INFINITY);
  }

  get transmission(): Transmission {
    return this.#transmitter.transmission;
  }

  /** How far this partition may have been sent by any incarnation. */
  get horizon(): number {
    return Math.max(this.#transmitter.sentMost, this.#options.horizon?.inherited ?? -1);
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
    return this.#transmitter.hasEnded;
  }

  get #sent(): Point {
    return this.#transmitter.sent;
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
    this.#transmitter.stop();
    this.#wakeUp?.();
    this.#unsuspend?.();
    await this.#closeReader();
    await this.#running;
    this.#holds.releaseAll(true);
    // Not settled, the horizon is further away than it need be, which is as safe.
    await this.#options.horizon?.settle(this.#transmitter.sentMost).catch(() => undefined);
  }

  /** Stops the intake until {@link unsuspend}; what was sent flows on. */
  suspend(): void {
    this.#suspended ??= new Promise((resolve) => {
      this.#unsuspend = resolve;
    });
  }

  unsuspend(): void {
    this.#pace?.restart();
    this.#unsuspend?.();
    this.#suspended = undefined;
    this.#unsuspend = undefined;
  }

  acknowledge(path: number, cursor: Point, anchor: Anchor): void {
    const hasMoved = this.#acks.note(path, cursor, anchor);
    if (hasMoved && this.#holds.bytes > 0) this.#release();
    if (hasMoved && (this.hasEnded || this.#hasDrained)) this.#options.progressed();
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
    void this.#closeReader();
    this.#wakeUp?.();
  }

  /** It is of no use any more; that it cannot be closed properly changes nothing. */
  async #closeReader(): Promise<void> {
    await this.#reader?.close().catch(() => undefined);
  }

  /** The incarnation ends, or goes back before it does anything else: there is nothing to wait for. */
  get #isInterrupted(): boolean {
    return this.#stop.signal.aborted || this.#rewind !== undefined;
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
    await this.#closeReader();
  }

  async #backOff(failures: number): Promise<void> {
    const { env } = this.#options;
    await this.#closeReader();
    this.#reader = undefined;
    // Reads fail only where nothing was sent, so what comes next still follows what was sent.
    this.#rewind ??= { pos: this.#sent.pos, watermark: this.watermark };
    await sleep(env, backoffDelayMs(DEFAULT_RESTART_POLICY, failures, env), this.#stop.signal).catch(() => undefined);
  }

  async #turn(): Promise<void> {
    if (this.#rewind !== undefined) await this.#reopen(this.#rewind);
    if (this.#drainTo !== undefined && (this.hasEnded || this.#sent.pos >= this.#drainTo)) this.#drained();
    if (this.#suspended !== undefined && this.#drainTo === undefined) await this.#suspended;
    if (this.#isInterrupted) return;
    if (this.hasEnded || this.#hasDrained) return this.#untilWoken();
    await this.#untilCredit();
    if (this.#isInterrupted) return;
    if (this.#suspended !== undefined && this.#drainTo === undefined) return;
    const read = await (this.#reader as SourceReader).read(this.#options.frameMessagesMax ?? FRAME_MESSAGES_MAX);
    if (this.#isInterrupted) return;
    const identity = this.#reader?.identity;
    if (identity !== undefined) await this.#options.horizon?.identify(identity);
    if (this.#isInterrupted) return;
    if (this.#drainTo !== undefined && typeof read === "string") this.#drained();
    else if (read === "idle") this.#transmitter.sendIdle();
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
    if (read.marks !== undefined) await horizon?.mark(read.marks);
    await horizon?.cover(read.through, (read.through - this.#sent.pos) * HORIZON_FRAMES);
    if (this.#isInterrupted) return;
    await this.#sendBatch(read);
    if (read.batch.n < frameMessagesMax) await sleep(env, lingerMs, this.#stop.signal).catch(() => undefined);
  }

  async #reopen(at: Anchor): Promise<void> {
    await this.#closeReader();
    // What was sent is read again, and may be logged by a receiver that has it already.
    this.#holds.releaseAll(true);
    const { connector, partition, horizon } = this.#options;
    this.#reader = await connector.open(partition, at.pos, await horizon?.marksBehind(at.pos));
    this.#rewind = undefined;
    this.#hasDrained = false;
    this.#pace?.restart();
    this.#transmitter.restart(at);
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
      if (this.#isInterrupted) return;
    }
    while (!this.#hasPayloadRoom && !this.#isInterrupted) await this.#untilWoken();
  }

  #untilWoken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wakeUp = resolve;
    });
  }

  #sendEnd(): void {
    this.#transmitter.sendEnd();
    this.#options.progressed();
  }

  async #sendBatch({ batch, positions, through, rejected }: SourceBatch): Promise<void> {
    const generator = this.#transmitter.generator;
    if (generator === undefined || batch.n === 0) {
      this.#transmitter.send({ batch, positions, through, dead: this.#deadFrom(rejected), late: [] });
      return;
    }
    const times = generator.times(batch);
    let start = 0;
    while (start < batch.n) {
      const end = (await this.#pace?.due(times, start, this.#stop.signal)) ?? batch.n;
      if (this.#isInterrupted) return;
      const last = end === batch.n;
      const part = last && start === 0 ? batch : batch.slice(start, end);
      const partPositions = positions.slice(start, end);
      const upTo = last ? through : partPositions.pos(end - start - 1);
      const dead = this.#deadFrom(rejected.filter((r) => r.pos > this.#sent.pos && (last || r.pos <= upTo)));
      const sendable = { batch: part, positions: partPositions, through: upTo, dead };
      this.#transmitter.send(timed(this.node, sendable, times.subarray(start, end), generator));
      start = end;
      if (!last) await this.#untilCredit();
    }
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
}

/** The part of a read that lies at or below `pos`. */
function upTo(read: SourceBatch, pos: number): SourceBatch {
  if (read.through <= pos) return read;
  const n = read.positions.countThrough(wholly(pos));
  const rejected = read.rejected.filter((r) => r.pos <= pos);
  const batch = { batch: read.batch.slice(0, n), positions: read.positions.slice(0, n), through: pos, rejected };
  return read.marks === undefined ? batch : { ...batch, marks: read.marks.filter(({ from }) => from <= pos) };
}
