/**
 * Runs a pure behavior: takes frames from the mailbox while every out-edge has credit, transforms their messages and passes
 * the frames on with their ranges unchanged (R1–R6). It keeps nothing that must survive: what it loses, its receivers ask the
 * origin for again.
 *
 * A batch that throws is bisected down to the message that makes it throw; that one becomes a dead item of the frame, the
 * rest goes through (R23, R24). A transient failure is retried after a back-off by the supervisor instead.
 */
import type { PureBehavior, PureOutput, PureResult } from "../behavior/pure-behavior.ts";
import { MillraceError, reportOf } from "../errors.ts";
import { EMPTY_BATCH } from "../frame/batch.ts";
import type { DeadItem } from "../frame/frame.ts";
import { Frame } from "../frame/frame.ts";
import { comparePoints, END } from "../frame/point.ts";
import type { Mailbox } from "../mailbox/mailbox.ts";
import { ALL_RULES, type ProtocolRules } from "../step/protocol-rules.ts";
import { joinOutputs } from "./join-outputs.ts";
import { type LanePass, newLanePass, outRange, renumbered } from "./lane-pass.ts";
import { type OutEdge, sendAlong, withoutCredit } from "./link.ts";
import type { ActorMeter } from "./meter.ts";
import { type Scheduler, Turnable } from "./scheduler.ts";

const FRAMES_PER_TURN = 8;

export interface PureActorOptions {
  readonly node: string;
  readonly revision: number;
  readonly behavior: PureBehavior;
  readonly scheduler: Scheduler;
  readonly mailbox: Mailbox;
  /** Default: all kept; simulations switch single ones off. */
  readonly rules?: ProtocolRules;
  /** Outlives the incarnation. */
  readonly meter: ActorMeter;
  /** False when the behavior itself counts messages, as fused stages do. Default true. */
  readonly countsMessages?: boolean;
  /** Edges by port, in the order of `behavior.ports`. */
  readonly edges: readonly (readonly OutEdge[])[];
  /** Called when the behavior cannot go on: a transient error or a bug. The frame stays at the head of the mailbox. */
  readonly failed: (error: unknown) => void;
}

export class PureActor extends Turnable {
  readonly node: string;
  readonly meter: ActorMeter;
  readonly #mailbox: Mailbox;
  readonly #behavior: PureBehavior;
  readonly #revision: number;
  readonly #scheduler: Scheduler;
  readonly #counts: boolean;
  readonly #edges: readonly (readonly OutEdge[])[];
  readonly #failed: (error: unknown) => void;
  readonly #lanes: (LanePass | undefined)[] = [];
  readonly #rules: ProtocolRules;
  #stopped = false;
  #blockedSinceMs = -1;

  constructor(options: PureActorOptions) {
    super();
    this.node = options.node;
    this.meter = options.meter;
    this.#rules = options.rules ?? ALL_RULES;
    this.#mailbox = options.mailbox;
    this.#revision = options.revision;
    this.#behavior = options.behavior;
    this.#scheduler = options.scheduler;
    this.#counts = options.countsMessages ?? true;
    this.#edges = options.edges;
    this.#failed = options.failed;
  }

  /** Called by the mailbox, by credit that came back, and to start. */
  readonly wake = (): void => {
    if (!this.#stopped) this.#scheduler.ready(this);
  };

  stop(): void {
    this.#stopped = true;
  }

  turn(startMs: number): number {
    const mailbox = this.#mailbox;
    let now = startMs;
    if (this.#blockedSinceMs >= 0) {
      this.meter.blockedMs += now - this.#blockedSinceMs;
      this.#blockedSinceMs = -1;
    }
    for (let k = 0; k < FRAMES_PER_TURN && !this.#stopped; k++) {
      const frame = mailbox.peek(this.#passes);
      if (frame === undefined) {
        if (!mailbox.isEmpty) this.#blockedSinceMs = now;
        return now;
      }
      if (this.#handle(frame)) mailbox.take();
      const after = this.#scheduler.env.clock.monotonic();
      this.meter.busyMs += after - now;
      now = after;
    }
    if (!mailbox.isEmpty) this.wake();
    return now;
  }

  /** Empty frames need no credit. A lane without it waits for it alone; the others pass (R25). */
  readonly #passes = (frame: Frame): boolean => {
    if (frame.n + frame.dead.length === 0) return true;
    for (const edges of this.#edges) {
      const full = withoutCredit(edges, frame.head.path);
      if (full === undefined) continue;
      full.link.whenCredit(full.path, this.wake);
      return false;
    }
    return true;
  };

  /** False when the frame must be tried again. */
  #handle(frame: Frame): boolean {
    const pass = this.#pass(frame);
    if (pass === undefined) return true;
    let result: PureResult;
    const dead: DeadItem[] = frame.dead.length > 0 ? [...frame.dead] : [];
    try {
      result = frame.n === 0 ? nothing(this.#behavior) : this.#attempt(frame, dead);
    } catch (error) {
      this.stop();
      this.#failed(error);
      return false;
    }
    if (this.#counts) this.meter.in += frame.n;
    for (const failure of result.failures) dead.push(this.#deadItem(frame, failure.index, failure.error, failure.node));
    if (dead.length > frame.dead.length) {
      if (this.#counts) this.meter.dead += dead.length - frame.dead.length;
      dead.sort(comparePoints);
    }
    this.#send(frame, pass, result.outputs, dead);
    return true;
  }

  /** R5: a frame that starts neither where the last one ended nor at a whole position is dropped; its origin will resend. */
  #pass(frame: Frame): LanePass | undefined {
    const { path, from, epoch, revision } = frame.head;
    if (revision !== this.#revision) return undefined;
    let pass = this.#lanes[path];
    if (pass !== undefined && epoch < pass.epoch) return undefined;
    if (pass !== undefined && comparePoints(from, pass.next) === 0) {
      pass.next = frame.head.to;
      pass.epoch = epoch;
      return pass;
    }
    if (from.ord !== END) return undefined;
    pass = newLanePass(frame.head.to, epoch);
    this.#lanes[path] = pass;
    return pass;
  }

  #attempt(frame: Frame, dead: DeadItem[]): PureResult {
    try {
      return this.#behavior.transform(frame.batch);
    } catch (error) {
      if (this.#mustPass(error)) throw error;
      return this.#bisect(frame, 0, frame.n, error, dead);
    }
  }

  #bisect(frame: Frame, start: number, end: number, error: unknown, dead: DeadItem[]): PureResult {
    if (end - start === 1) {
      dead.push(this.#deadItem(frame, start, error));
      return nothing(this.#behavior);
    }
    const mid = (start + end) >>> 1;
    return joinOutputs(this.#half(frame, start, mid, dead), this.#half(frame, mid, end, dead));
  }

  /** The result of messages `[start, end)`, with indices as in the whole frame. */
  #half(frame: Frame, start: number, end: number, dead: DeadItem[]): PureResult {
    try {
      return shifted(this.#behavior.transform(frame.batch.slice(start, end)), start, end - start);
    } catch (error) {
      if (this.#mustPass(error)) throw error;
      return this.#bisect(frame, start, end, error, dead);
    }
  }

  /** R24: only what fails on the same bytes again is given up. */
  #mustPass(error: unknown): boolean {
    if (!(error instanceof MillraceError)) return false;
    return error.kind === "programmer" || (error.kind === "transient" && this.#rules.R24);
  }

  #deadItem(frame: Frame, index: number, error: unknown, node: string = this.node): DeadItem {
    const { pos, ord } = frame.positions.point(index);
    return { pos, ord, node, attempts: 1, error: reportOf(error), input: frame.batch.row(index) };
  }

  #send(frame: Frame, pass: LanePass, outputs: readonly PureOutput[], dead: readonly DeadItem[]): void {
    let carried = dead;
    for (let port = 0; port < outputs.length; port++) {
      const output = outputs[port] as PureOutput;
      const edges = this.#edges[port] as readonly OutEdge[];
      if (this.#counts) this.meter.out += output.batch.n;
      if (edges.length === 0) continue;
      const isEmptied = output.batch.n === 0 && carried.length === 0 && frame.n > 0;
      if (isEmptied && !this.#rules.R3) continue;
      sendAlong(edges, this.#passed(frame, pass, port, output, carried), this.#rules);
      carried = [];
    }
  }

  /** The frame that leaves on a port: same range, other messages. */
  #passed(frame: Frame, pass: LanePass, port: number, output: PureOutput, dead: readonly DeadItem[]): Frame {
    const { batch, sources } = output;
    if (this.#behavior.expands === true && this.#rules.R4) {
      const numbered = renumbered(frame, sources, batch.n, dead, pass, port);
      return new Frame(
        { ...frame.head, ...outRange(frame, pass, port) },
        batch,
        numbered.positions,
        numbered.dead,
        frame.late,
      );
    }
    if (sources === null) return frame.carrying(batch, frame.positions, dead);
    return frame.carrying(batch, frame.positions.select(sources), dead);
  }
}

function nothing(behavior: PureBehavior): PureResult {
  return { outputs: behavior.ports.map(() => ({ batch: EMPTY_BATCH, sources: new Uint32Array(0) })), failures: [] };
}

function shifted(result: PureResult, by: number, n: number): PureResult {
  const outputs = result.outputs.map(({ batch, sources }) => ({
    batch,
    sources: sources === null ? new Uint32Array(n).map((_, i) => i + by) : sources.map((s) => s + by),
  }));
  return { outputs, failures: result.failures.map((f) => ({ ...f, index: f.index + by })) };
}
