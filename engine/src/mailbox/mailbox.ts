/**
 * A bounded mailbox of frames, drained in batches. Credit is per lane (R25), so one full lane never holds another back; an
 * empty frame needs none, because it joins the empty frame that waits there. Within a lane order is FIFO always; a
 * {@link Discipline} acts between lanes only (R6).
 *
 * The bound is in messages and in bytes. A sender that has any credit may overrun it by one frame; memory is therefore
 * bounded by capacity plus one frame per lane.
 */
// All of RxJS would be two hundred files more to load at each start.
import { Observable } from "rxjs/internal/Observable";
import { approximateBytes } from "../frame/approximate-bytes.ts";
import type { Frame } from "../frame/frame.ts";
import type { Json } from "../frame/json.ts";
import { ALL_RULES, type ProtocolRules } from "../step/protocol-rules.ts";
import { type Discipline, fifo } from "./discipline.ts";
import { joinedEmpty } from "./empty-frames.ts";
import { LaneQueue } from "./lane-queue.ts";

/**
 * What happens to messages that find the lane full. All but `block` count what they shed, and shed messages, never ranges (R3).
 * `conflate` keeps the newest message of each key and, where that is still too much, drops the oldest. The last message of a
 * lane is never shed, however large.
 */
export type Overflow = "block" | "drop-oldest" | "drop-newest" | "conflate";

/** True for frames that may be taken now. */
export type FrameFilter = (frame: Frame) => boolean;

export interface MailboxOptions {
  /** Messages per lane, dead ones included. Default 8192. */
  readonly capacity?: number;
  /** Estimated bytes per lane. Default 64 MiB. */
  readonly bytesMax?: number;
  /** Default `block`: lossless. */
  readonly overflow?: Overflow;
  /** Default {@link fifo}. */
  readonly discipline?: Discipline;
  /** For `conflate`: only the newest message of each key is kept. Default: one key. */
  readonly conflateBy?: (message: Json) => Json;
}

const CAPACITY_DEFAULT = 8192;
const BYTES_DEFAULT = 64 * 1024 * 1024;
const ONE_KEY = (): Json => null;

/** What only some mailboxes need, or only once something has arrived, is made then: most of ten thousand may stand idle. */
export class Mailbox {
  readonly capacity: number;
  readonly bytesMax: number;
  readonly overflow: Overflow;
  readonly #discipline: Discipline;
  readonly #conflateBy: (message: Json) => Json;
  readonly #lanes: LaneQueue[] = [];
  #byPath: Map<number, LaneQueue> | undefined;
  #wake: () => void;
  #observers: Set<(frame: Frame) => void> | undefined;
  readonly #rules: ProtocolRules;
  /** The lane that {@link peek} promised. */
  #chosen: LaneQueue | undefined;
  #arrivals = 0;
  /** Messages that lossy overflow removed. */
  shed = 0;

  /** `wake` is called when a frame arrives. */
  constructor(options: MailboxOptions, wake: () => void, rules: ProtocolRules = ALL_RULES) {
    this.#rules = rules;
    this.capacity = options.capacity ?? CAPACITY_DEFAULT;
    this.bytesMax = options.bytesMax ?? BYTES_DEFAULT;
    this.overflow = options.overflow ?? "block";
    this.#discipline = options.discipline ?? fifo;
    this.#conflateBy = options.conflateBy ?? ONE_KEY;
    this.#wake = wake;
  }

  /** Has another one called when a frame arrives. */
  onArrival(wake: () => void): void {
    this.#wake = wake;
  }

  /** Batches as they arrive, for RxJS: hot, read-only, unbuffered; a subscriber sees each frame once and holds nothing up. */
  get frames$(): Observable<Frame> {
    return new Observable((subscriber) => {
      const see = (frame: Frame): void => subscriber.next(frame);
      this.#observers ??= new Set();
      const observers = this.#observers.add(see);
      return () => observers.delete(see);
    });
  }

  /** Messages waiting, over all lanes. */
  get depth(): number {
    let depth = 0;
    for (const lane of this.#lanes) depth += lane.messages;
    return depth;
  }

  get isEmpty(): boolean {
    for (const lane of this.#lanes) if (lane.length > 0) return false;
    return true;
  }

  /** Monotonic ms at which the oldest waiting message entered the host; `undefined` when empty. */
  get oldestBornMs(): number | undefined {
    let oldest: number | undefined;
    for (const lane of this.#lanes) {
      const head = lane.head();
      if (head !== undefined && (oldest === undefined || head.head.bornMs < oldest)) oldest = head.head.bornMs;
    }
    return oldest;
  }

  depthOf(path: number): number {
    return this.#byPath?.get(path)?.messages ?? 0;
  }

  hasCredit(path: number): boolean {
    if (this.overflow !== "block") return true;
    if (!this.#rules.R25) return this.depth < this.capacity;
    const lane = this.#byPath?.get(path);
    return lane === undefined || (lane.messages < this.capacity && lane.bytes < this.bytesMax);
  }

  /**
   * Calls `wake` once when the lane is at most half full again, so that sender and receiver do not trade single frames; once, too,
   * if it is passed several times until then.
   */
  whenCredit(path: number, wake: () => void): void {
    this.#lane(path).await(wake);
  }

  push(frame: Frame): void {
    const lane = this.#lane(frame.head.path);
    if (!this.#joined(lane, frame)) {
      const bytes = this.bytesMax === Number.POSITIVE_INFINITY ? 0 : approximateBytes(frame.batch);
      lane.push(frame, bytes, ++this.#arrivals);
      if (this.overflow !== "block" && this.#isOver(lane)) this.#shed(lane);
    }
    if (this.#observers !== undefined) for (const see of this.#observers) see(frame);
    this.#wake();
  }

  /**
   * The frame that the next {@link take} returns, whatever arrives until then. With `only`, lanes whose oldest frame it refuses
   * are passed over, so that one of them does not hold the others back (R25).
   */
  peek(only?: FrameFilter): Frame | undefined {
    this.#chosen = this.#choice(only);
    return this.#chosen?.head();
  }

  take(only?: FrameFilter): Frame | undefined {
    const lane = this.#choice(only);
    this.#chosen = undefined;
    if (lane === undefined) return undefined;
    const frame = lane.shift();
    if (lane.isAwaited && lane.messages <= this.capacity >> 1 && lane.bytes <= this.bytesMax / 2) lane.wake();
    return frame;
  }

  /** Paths of the lanes whose oldest frame `only` refuses. */
  refusedBy(only: FrameFilter): readonly number[] {
    return this.#lanes.filter((lane) => lane.length > 0 && !mayBeServed(lane, only)).map(({ path }) => path);
  }

  /** Forgets everything that waits; the origins will be asked for it again. */
  clear(): void {
    this.#chosen = undefined;
    for (const lane of this.#lanes) {
      lane.clear();
      lane.wake();
    }
  }

  /** The lane that a peek promised, if it may be served. */
  #choice(only: FrameFilter | undefined): LaneQueue | undefined {
    const chosen = this.#chosen;
    return chosen !== undefined && mayBeServed(chosen, only) ? chosen : this.#next(only);
  }

  #next(only: FrameFilter | undefined): LaneQueue | undefined {
    if (this.#lanes.length === 1) {
      const lane = this.#lanes[0] as LaneQueue;
      return mayBeServed(lane, only) ? lane : undefined;
    }
    return this.#discipline(only === undefined ? this.#lanes : this.#lanes.filter((lane) => mayBeServed(lane, only)));
  }

  #lane(path: number): LaneQueue {
    this.#byPath ??= new Map();
    let lane = this.#byPath.get(path);
    if (lane === undefined) {
      lane = new LaneQueue(path);
      this.#byPath.set(path, lane);
      this.#lanes.push(lane);
    }
    return lane;
  }

  /** An empty frame extends the empty frame before it instead of taking a slot of its own. */
  #joined(lane: LaneQueue, frame: Frame): boolean {
    const last = lane.last();
    const joined = last === undefined ? undefined : joinedEmpty(last, frame);
    if (joined === undefined) return false;
    lane.replaceLast(joined);
    return true;
  }

  #isOver(lane: LaneQueue): boolean {
    return lane.messages > this.capacity || lane.bytes > this.bytesMax;
  }

  /** What conflation leaves may still be too much: then the oldest go. */
  #shed(lane: LaneQueue): void {
    if (this.overflow === "conflate") this.shed += lane.conflate(this.#conflateBy);
    if (!this.#isOver(lane)) return;
    const { capacity, bytesMax } = this;
    this.shed +=
      this.overflow === "drop-newest" ? lane.dropNewest(capacity, bytesMax) : lane.dropOldest(capacity, bytesMax);
  }
}

function mayBeServed(lane: LaneQueue, only: FrameFilter | undefined): boolean {
  const head = lane.head();
  return head !== undefined && (only === undefined || only(head));
}
