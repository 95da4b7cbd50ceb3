/**
 * Runs a committed behavior: turns waiting frames into steps, each one atomic append, and lets outputs and acknowledgements
 * leave only when their step is durable (step-protocol §3, §4).
 *
 * Steps are computed ahead of the disk, up to a bound. The state in memory may therefore be newer than the log; if an append
 * is lost the incarnation ends, and the next one folds the log.
 */
import type { ActorMeter } from "../actor/meter.ts";
import { type Scheduler, Turnable } from "../actor/scheduler.ts";
import type { CommittedBehavior, Draft, StateEvent } from "../behavior/committed-behavior.ts";
import { engineError, MillraceError, reportOf } from "../errors.ts";
import { EMPTY_BATCH } from "../frame/batch.ts";
import { encodeBatch } from "../frame/batch-codec.ts";
import type { Frame, Trace } from "../frame/frame.ts";
import type { Json } from "../frame/json.ts";
import { comparePoints } from "../frame/point.ts";
import { Positions } from "../frame/positions.ts";
import type { EventContext, EventLog } from "../log/event-log.ts";
import { logError } from "../log/log-errors.ts";
import { packState } from "../log/packed-payload.ts";
import type { Mailbox } from "../mailbox/mailbox.ts";
import type { PayloadHolds } from "../payload/frame-holds.ts";
import { type PayloadReference, referencesIn } from "../payload/payload-value.ts";
import { backoffDelayMs, DEFAULT_RESTART_POLICY } from "../supervision/restart-policy.ts";
import type { Timer } from "../time/clock.ts";
import { carriedDead, inputsOf, openedBy, stepId, traceOf } from "./assemble-step.ts";
import type { LaneCursor, LaneProgress } from "./lane-cursor.ts";
import type { LatencyWindow } from "./latency-window.ts";
import type { Outbox } from "./outbox.ts";
import { ALL_RULES, type ProtocolRules } from "./protocol-rules.ts";
import { SnapshotStore } from "./snapshot-store.ts";
import { leastWatermark, type StepChain } from "./step-chain.ts";
import { StepDraft } from "./step-draft.ts";
import { StepFlights } from "./step-flight.ts";
import { type DeadLettered, type Emitted, encodeStep, STEP, STEP_SCHEMA } from "./step-record.ts";
import { bisected, type StepWork, sliceOf } from "./step-work.ts";

export interface CommittedActorOptions {
  readonly node: string;
  readonly stream: string;
  readonly behavior: CommittedBehavior;
  readonly scheduler: Scheduler;
  readonly mailbox: Mailbox;
  /** Meter and latencies outlive the incarnation. */
  readonly meter: ActorMeter;
  readonly latency: LatencyWindow;
  readonly log: EventLog;
  readonly lanes: readonly LaneCursor[];
  /** By port of the behavior. */
  readonly outboxes: ReadonlyMap<string, Outbox>;
  readonly context: Omit<EventContext, "causationId" | "correlationId">;
  /** `relaxed`: outputs leave when their step is appended, not when it is durable; only to receivers in the same log (R16). */
  readonly durability: "durable" | "relaxed";
  readonly snapshots: SnapshotStore | undefined;
  /** Holds the payloads that steps name, from the draft until the outputs hold them; absent: there are none. */
  readonly payloads?: PayloadHolds | undefined;
  /** The stream as recovery left it; the actor goes on with it. */
  readonly chain: StepChain;
  /** Default: all kept; simulations switch single ones off. */
  readonly rules?: ProtocolRules;
  /** Steps that may be in flight. Default 32. */
  readonly flightsMax?: number;
  /** Silence after which progress without effect is committed (R18), in ms. Default 250. */
  readonly progressAfterMs?: number;
  /** A bug, a fence, or a failure without a message to blame: the incarnation cannot go on. */
  readonly failed: (error: unknown) => void;
  /** A step became durable. */
  readonly progressed: () => void;
  /** Tells why the node makes no progress; `undefined` when it does again. */
  readonly waiting: (error: unknown) => void;
}

interface Request {
  readonly run: (draft: Draft) => void | Promise<void>;
  readonly landed: (position: number) => void;
  readonly refused: (error: unknown) => void;
}

const STEP_MESSAGES_MAX = 4096;
/** Room for the event's own fields beside its payload. */
const STEP_ENVELOPE_BYTES = 4096;
const FLIGHTS_MAX = 32;
const STEPS_PER_TURN = 4;
const PROGRESS_AFTER_MS = 250;

export class CommittedActor extends Turnable {
  readonly node: string;
  readonly meter: ActorMeter;
  readonly #latency: LatencyWindow;
  readonly #mailbox: Mailbox;
  readonly #options: CommittedActorOptions;
  readonly #rules: ProtocolRules;
  readonly #behavior: CommittedBehavior;
  readonly #scheduler: Scheduler;
  readonly #flights: StepFlights;
  readonly #byPath = new Map<number, LaneCursor>();
  /** The stream as it will be when all steps in flight have landed. */
  readonly #chain: StepChain;
  /** Work that failed as part of a step, to be done first. */
  readonly #again: StepWork[] = [];
  readonly #requests: Request[] = [];
  /** Requests that were begun and are neither durable nor refused. */
  readonly #begun = new Set<Request>();
  /** Payloads of steps that are neither durable nor lost. */
  readonly #named = new Set<readonly PayloadReference[]>();
  /** Ranges consumed without effect that wait for a step to ride in (R18). */
  #lazy: StepWork[] = [];
  #lazyTimer: Timer | undefined;
  #backoff: Timer | undefined;
  readonly #flightsMax: number;
  readonly #hasLoop: boolean;
  #watermark: number;
  #snapshotAtStep = 0;
  #busy = false;
  #paused = false;
  /** `waiting` was told of a failure that no step has come after. */
  #isWaiting = false;
  #stopped = false;
  /** Log position after the newest durable step. */
  position = 0;

  constructor(options: CommittedActorOptions) {
    super();
    this.node = options.node;
    this.#options = options;
    this.#rules = options.rules ?? ALL_RULES;
    this.#flightsMax = Math.min(options.flightsMax ?? FLIGHTS_MAX, options.log.appendsAheadMax ?? FLIGHTS_MAX);
    this.#hasLoop = this.#rules.R25 && options.lanes.some((lane) => lane.feedback);
    this.#behavior = options.behavior;
    this.#scheduler = options.scheduler;
    this.#chain = options.chain;
    this.#watermark = options.chain.watermark;
    this.meter = options.meter;
    this.#latency = options.latency;
    this.#mailbox = options.mailbox;
    for (const lane of options.lanes) this.#byPath.set(lane.path, this.#rules.R1 ? lane : firstOf(options.lanes, lane));
    this.#flights = new StepFlights({
      log: options.log,
      stream: options.stream,
      env: options.scheduler.env,
      rules: this.#rules,
      lost: (error) => this.#lost(error),
      waiting: (error) => {
        options.waiting(error);
        this.wake();
      },
    });
  }

  get watermark(): number {
    return this.#watermark;
  }

  get stepsInFlight(): number {
    return this.#flights.count;
  }

  /** Nothing waits, nothing is computed, nothing is on its way to the disk. */
  get isQuiet(): boolean {
    const waiting = this.#again.length + this.#lazy.length + (this.#paused ? 0 : this.#requests.length);
    return !this.#busy && waiting === 0 && this.#flights.count === 0 && this.#mailbox.isEmpty;
  }

  /** Its inputs have ended, and it holds nothing back that it may still emit (R20). */
  get hasEnded(): boolean {
    return this.#options.lanes.length === 0 || this.#chain.out.watermark === Number.POSITIVE_INFINITY;
  }

  readonly wake = (): void => {
    if (!this.#stopped) this.#scheduler.ready(this);
  };

  /** Asks every origin for what follows the cursors; called once, when everything is wired. */
  start(): void {
    for (const lane of this.#options.lanes) lane.askFromCursor();
    for (const outbox of this.#options.outboxes.values()) outbox.start();
    this.wake();
  }

  stop(): void {
    this.#stopped = true;
    this.#flights.stop();
    this.#lazyTimer?.cancel();
    this.#backoff?.cancel();
    for (const outbox of this.#options.outboxes.values()) outbox.stop();
    const closed = engineError("NODE-FENCED", `node ${this.node} stopped`);
    for (const request of [...this.#begun, ...this.#requests.splice(0)]) request.refused(closed);
    this.#begun.clear();
    // What was appended may be durable all the same: the next start finds out.
    for (const references of [...this.#named]) this.#letGo(references, true);
  }

  /** Lets requests wait until {@link unpause}: the intake of a node that is fed from outside. */
  pause(): void {
    this.#paused = true;
  }

  unpause(): void {
    this.#paused = false;
    this.wake();
  }

  /**
   * A step without inputs (R13); resolves with its position once it is durable. Rejects with what `run` threw, or with NODE-FENCED
   * when the incarnation ends first: then the step may or may not be in the log.
   */
  request(run: (draft: Draft) => void | Promise<void>): Promise<number> {
    return new Promise((landed, refused) => {
      if (this.#stopped) {
        refused(engineError("NODE-FENCED", `node ${this.node} is stopped`));
        return;
      }
      this.#requests.push({ run, landed, refused });
      this.wake();
    });
  }

  turn(startMs: number): number {
    for (let steps = 0; this.#mayStep(); steps++) {
      if (steps === STEPS_PER_TURN) {
        this.wake();
        break;
      }
      const request = this.#mayServe() ? this.#requests.shift() : undefined;
      if (request !== undefined) this.#attempt([], request);
      else {
        const work = this.#gather();
        if (work.length === 0) break;
        this.#attempt(work, undefined);
      }
    }
    const now = this.#scheduler.env.clock.monotonic();
    this.meter.busyMs += now - startMs;
    return now;
  }

  #mayStep(): boolean {
    if (this.#stopped || this.#busy || this.#backoff !== undefined || this.#flights.isStalled) return false;
    if (this.#flights.count >= this.#flightsMax) return false;
    return this.#hasRoom() || this.#again.length > 0 || this.#loopWaits();
  }

  #mayServe(): boolean {
    return this.#again.length === 0 && !this.#paused && this.#hasRoom();
  }

  /** False when outputs are backed up: then nothing more comes in from outside. */
  #hasRoom(): boolean {
    for (const outbox of this.#options.outboxes.values()) if (!outbox.hasRoom) return false;
    return true;
  }

  /** What comes back through a loop is taken even then, because only that makes room in the loop (R25). */
  #loopWaits(): boolean {
    return this.#hasLoop && this.#mailbox.peek(this.#isFeedback) !== undefined;
  }

  readonly #isFeedback = (frame: Frame): boolean => this.#byPath.get(frame.head.path)?.feedback === true;

  /** What the next step will consume: as many waiting frames as fit, or one piece of work that failed before. */
  #gather(): StepWork[] {
    const again = this.#again.shift();
    if (again !== undefined) return [again];
    const most = this.#behavior.stepMessagesMax ?? STEP_MESSAGES_MAX;
    const work: StepWork[] = [];
    const hasRoom = this.#hasRoom();
    let messages = 0;
    while (messages < most) {
      const frame = this.#nextFrame(hasRoom);
      if (frame === undefined) break;
      const admitted = this.#admit(frame);
      if (admitted === undefined) continue;
      admitted.lane.admitted(admitted.frame.head);
      work.push(admitted);
      messages += admitted.frame.n;
    }
    return work;
  }

  /** Feedback first. */
  #nextFrame(hasRoom: boolean): Frame | undefined {
    const returned = this.#hasLoop ? this.#mailbox.take(this.#isFeedback) : undefined;
    return returned === undefined && hasRoom ? this.#mailbox.take() : returned;
  }

  #admit(frame: Frame): StepWork | undefined {
    const lane = this.#byPath.get(frame.head.path);
    if (lane === undefined || frame.head.revision !== this.#options.context.graphRevision) return undefined;
    const admission = lane.admit(frame);
    if (admission.verdict === "take") return { lane, frame: admission.frame, attempts: 0 };
    if (admission.verdict === "gap") lane.ask(frame);
    else if (comparePoints(lane.durable, frame.head.to) >= 0) lane.settle(lane.durable, lane.durableAnchor);
    return undefined;
  }

  #attempt(work: StepWork[], request: Request | undefined): void {
    const draft = this.#draft();
    const before = work.map((item) => item.lane.progress);
    const watermark = this.#watermark;
    if (request !== undefined) this.#begun.add(request);
    const failed = (error: unknown): void => {
      this.#watermark = watermark;
      for (let i = work.length - 1; i >= 0; i--) (work[i] as StepWork).lane.progress = before[i] as LaneProgress;
      this.#failedAttempt(error, work, request);
    };
    try {
      const pending = this.#compute(draft, work, request);
      if (pending === undefined) this.#conclude(draft, work, request);
      else this.#await(pending, failed, draft, work, request);
    } catch (error) {
      failed(error);
    }
  }

  #draft(): StepDraft {
    const now = this.#scheduler.env.clock.now();
    return new StepDraft(this.node, this.#rules.R13 ? Math.max(this.#chain.at, now) : now);
  }

  #compute(draft: StepDraft, work: readonly StepWork[], request: Request | undefined): void | Promise<void> {
    for (const item of work) {
      if (item.frame.n > 0) this.#behavior.take(draft, sliceOf(item));
      item.lane.apply(item.frame.head);
    }
    const watermark = leastWatermark(this.#options.lanes);
    if (watermark !== undefined && watermark > this.#watermark) this.#behavior.advance?.(draft, watermark);
    if (request !== undefined) return request.run(draft);
    return this.#behavior.finish?.(draft);
  }

  #await(
    pending: Promise<void>,
    failed: (error: unknown) => void,
    draft: StepDraft,
    work: StepWork[],
    request: Request | undefined,
  ): void {
    this.#busy = true;
    pending
      .then(() => {
        this.#busy = false;
        if (!this.#stopped) this.#conclude(draft, work, request);
      })
      .catch((error: unknown) => {
        this.#busy = false;
        if (!this.#stopped) failed(error);
      })
      .finally(this.wake);
  }

  #failedAttempt(error: unknown, work: StepWork[], request: Request | undefined): void {
    if (this.#rules.R14) this.#behavior.discard();
    if (request !== undefined) {
      this.#begun.delete(request);
      request.refused(error);
      return;
    }
    const kind = error instanceof MillraceError ? error.kind : "terminal";
    if (kind === "programmer") this.#fail(error);
    else if (kind === "transient") this.#retryLater(error, work);
    else this.#isolate(error, work);
  }

  /** The target or a resource is not there: the same work again after a while, nothing is given up. */
  #retryLater(error: unknown, work: StepWork[]): void {
    const again = work.map((item) => ({ ...item, attempts: item.attempts + 1 }));
    this.#again.unshift(...again);
    this.meter.restarts++;
    this.#wait(error);
    const failures = again[0]?.attempts ?? 1;
    const hinted = error instanceof MillraceError ? error.retryAfterMs : undefined;
    this.#backoff = this.#scheduler.env.timers.after(
      hinted ?? backoffDelayMs(DEFAULT_RESTART_POLICY, failures, this.#scheduler.env),
      () => {
        this.#backoff = undefined;
        this.wake();
      },
    );
  }

  #wait(error: unknown): void {
    this.#isWaiting = error !== undefined;
    this.#options.waiting(error);
  }

  /** Finds the poison message: each frame alone, then halves of it, down to one message, which becomes a dead letter. */
  #isolate(error: unknown, work: StepWork[]): void {
    const [only] = work;
    if (work.length > 1) {
      this.#again.unshift(...work);
      return;
    }
    if (only === undefined || only.frame.n === 0) {
      this.#fail(error);
      return;
    }
    if (only.frame.n > 1) {
      this.#again.unshift(...bisected(only));
      return;
    }
    this.#again.unshift({ ...only, frame: this.#buried(only, error) });
  }

  /** The range of a poison message, with a dead item in its place. */
  #buried({ frame, attempts }: StepWork, error: unknown): Frame {
    const { pos, ord } = frame.positions.point(0);
    const dead = {
      pos,
      ord,
      node: this.node,
      attempts: attempts + 1,
      error: reportOf(error),
      input: this.#keepable(frame.batch.row(0)),
    };
    return frame.carrying(EMPTY_BATCH, Positions.NONE, [...frame.dead, dead].sort(comparePoints));
  }

  /** An input that alone would fill a step is left out of its dead letter. */
  #keepable(input: Json): Json | undefined {
    return packState(input as StateEvent).length <= this.#options.log.appendBytesMax / 4 ? input : undefined;
  }

  #conclude(draft: StepDraft, work: readonly StepWork[], request: Request | undefined): void {
    if (this.#isWaiting) this.#wait(undefined);
    const dead = [...carriedDead(work), ...draft.dead];
    const before = this.#watermark;
    const least = leastWatermark(this.#options.lanes);
    if (least !== undefined && least > this.#watermark) this.#watermark = least;
    const hasEffect =
      draft.changes.length + draft.emits.length + dead.length + draft.recorded.length + draft.drops.length > 0;
    if (request === undefined && !hasEffect && work.every((w) => w.frame.n === 0)) {
      this.#behavior.seal();
      this.#postpone(work, before);
      return;
    }
    this.#commit(draft, [...this.#lazy, ...work], dead, request, before);
  }

  /** R18: an advance that fires nothing rides in the next step, or is committed after a while so that origins can prune. */
  #postpone(work: readonly StepWork[], watermarkBefore: number): void {
    this.#lazy.push(...work);
    if (this.#watermark > watermarkBefore && this.#isProgressSure()) this.#progressOutputs();
    this.#lazyTimer ??= this.#scheduler.env.timers.after(this.#options.progressAfterMs ?? PROGRESS_AFTER_MS, () =>
      this.#commitLazy(),
    );
  }

  /** Commits progress that waits for a ride, if nothing else is under way. */
  #commitLazy(): void {
    this.#lazyTimer = undefined;
    if (this.#stopped || this.#lazy.length === 0) return;
    if (!this.#mayStep()) {
      this.#lazyTimer = this.#scheduler.env.timers.after(this.#options.progressAfterMs ?? PROGRESS_AFTER_MS, () =>
        this.#commitLazy(),
      );
      return;
    }
    this.#commit(this.#draft(), this.#lazy, [], undefined, this.#watermark);
  }

  #forgetLazy(): void {
    this.#lazy = [];
    this.#lazyTimer?.cancel();
    this.#lazyTimer = undefined;
  }

  /**
   * `work` begins with the lazy progress; `since`: the node's watermark before the newest of it.
   *
   * @throws LOG-TOO-LARGE before anything has changed, so that less can be tried in one step
   */
  #commit(
    draft: StepDraft,
    work: readonly StepWork[],
    dead: readonly DeadLettered[],
    request: Request | undefined,
    since: number,
  ): void {
    const { stream, context, lanes } = this.#options;
    const inputs = inputsOf(work, this.#rules);
    const id = stepId(stream, context.epoch, this.#chain.revision, inputs);
    const opened = openedBy(inputs, lanes, this.#chain);
    const out = { watermark: this.#outputWatermark(draft), idle: this.#isIdle() };
    const emitted = this.#emitted(draft);
    const step = {
      at: draft.at,
      since,
      inputs,
      opened,
      recorded: draft.recorded,
      state: draft.changes,
      emitted,
      dead,
      dropped: draft.drops,
      watermark: this.#watermark,
      out,
    };
    const payload = encodeStep(step);
    this.#mustFit(payload);
    this.#forgetLazy();
    const references = this.#name(step);
    this.#behavior.seal();
    this.#chain.fold(step);
    const expected = this.#chain.revision++;
    this.#count(draft, work, dead);
    const snapshot = this.#snapshotIfDue();
    const trace = { causationId: id, correlationId: traceOf(work)?.correlationId ?? id };
    const early = this.#options.durability === "relaxed" || !this.#rules.R16;
    if (early) this.#release(draft, emitted, trace, out);
    this.#flights.launch({
      event: {
        id,
        type: STEP,
        schemaVersion: STEP_SCHEMA,
        context: {
          ...this.#options.context,
          causationId: traceOf(work)?.causationId ?? id,
          correlationId: trace.correlationId,
        },
        payload,
      },
      expected,
      landed: (position) => {
        this.position = position + 1;
        this.meter.steps++;
        if (!early) this.#release(draft, emitted, trace, out);
        if (references !== undefined) {
          this.#options.payloads?.keep(references);
          this.#letGo(references, false);
        }
        this.#settle(work);
        if (request !== undefined) {
          this.#begun.delete(request);
          request.landed(position);
        }
        snapshot?.(position);
        this.#options.progressed();
        this.wake();
      },
    });
  }

  /** Payloads that the step names are held by the step itself while it is on its way; `undefined`: it names none. */
  #name(step: object): readonly PayloadReference[] | undefined {
    const { payloads } = this.#options;
    if (payloads?.isUsed !== true) return undefined;
    const references = [...referencesIn(step).values()];
    if (references.length === 0) return undefined;
    for (const reference of references) payloads.retain(reference);
    this.#named.add(references);
    return references;
  }

  #letGo(references: readonly PayloadReference[], isUnsure: boolean): void {
    if (!this.#named.delete(references)) return;
    for (const reference of references) this.#options.payloads?.release(reference, isUnsure);
  }

  #mustFit(payload: Uint8Array): void {
    const most = this.#options.log.appendBytesMax - STEP_ENVELOPE_BYTES;
    if (payload.length <= most) return;
    throw logError("LOG-TOO-LARGE", `a step of ${payload.length} bytes is more than the log takes at once, ${most}`, {
      place: { node: this.node },
    });
  }

  #outputWatermark(draft: StepDraft): number {
    const own = this.#options.lanes.length === 0 ? (draft.watermark ?? this.#chain.out.watermark) : this.#watermark;
    const held = this.#rules.R20 ? this.#behavior.hold?.() : undefined;
    return Math.max(this.#chain.out.watermark, held === undefined ? own : Math.min(own, held));
  }

  #isIdle(): boolean {
    const { lanes } = this.#options;
    return lanes.length > 0 && lanes.every((lane) => lane.progress.idle || lane.feedback);
  }

  #emitted(draft: StepDraft): Emitted[] {
    const emitted: Emitted[] = [];
    const next = new Map(this.#chain.nextSeq);
    for (const { port, batch } of draft.emits) {
      if (this.#options.outboxes.get(port)?.isConnected !== true) {
        draft.drop(batch.n, `port ${port} is not connected`);
        continue;
      }
      const firstSeq = next.get(port) ?? 0;
      next.set(port, firstSeq + batch.n);
      emitted.push({ port, firstSeq, count: batch.n, batch: encodeBatch(batch) });
    }
    return emitted;
  }

  #release(
    draft: StepDraft,
    emitted: readonly Emitted[],
    trace: Trace,
    out: { watermark: number; idle: boolean },
  ): void {
    const sent = draft.emits.filter((e) => this.#options.outboxes.get(e.port)?.isConnected === true);
    emitted.forEach(({ port, firstSeq }, i) => {
      const { batch } = sent[i] as (typeof sent)[number];
      const exact = !emitted.some((later, k) => k > i && later.port === port);
      this.#options.outboxes.get(port)?.emit({ firstSeq, batch, ...out, exact }, trace);
    });
    for (const outbox of this.#options.outboxes.values()) outbox.progress(out.watermark, out.idle);
  }

  /**
   * True when a restart would find the watermark again before anything older could be emitted: no output waits for its step to
   * land, and no lane was left out for an idleness that is not yet in the log. Otherwise the lazy step brings it.
   */
  #isProgressSure(): boolean {
    return this.#flights.count === 0 && this.#options.lanes.every((lane) => lane.feedback || !lane.progress.idle);
  }

  /** Lazy progress moves the outputs' watermark at once: a restart finds it again from the same inputs. */
  #progressOutputs(): void {
    const watermark = this.#outputWatermark(this.#draft());
    for (const outbox of this.#options.outboxes.values()) outbox.progress(watermark, this.#isIdle());
  }

  /** Takes the state as of this step, to be written once the step is durable; a cache that recovery can do without. */
  #snapshotIfDue(): ((position: number) => void) | undefined {
    const { snapshots, stream, context } = this.#options;
    const behavior = this.#behavior;
    if (snapshots === undefined || behavior.snapshot === undefined) return undefined;
    if (this.#chain.steps - this.#snapshotAtStep < snapshots.everySteps) return undefined;
    this.#snapshotAtStep = this.#chain.steps;
    const taken = SnapshotStore.take(context.codeVersion, behavior.stateVersion ?? 1, this.#chain, behavior.snapshot());
    return (position) => {
      snapshots.write(stream, position, taken).catch((error: unknown) => this.#wait(error));
    };
  }

  #settle(work: readonly StepWork[]): void {
    const now = this.#scheduler.env.clock.monotonic();
    for (const { lane, frame } of work) {
      const { to, exact, bornMs } = frame.head;
      const anchor = exact
        ? { pos: to.pos, watermark: Math.max(lane.durableAnchor.watermark, frame.head.watermark) }
        : lane.durableAnchor;
      lane.settle(to, anchor);
      if (frame.n > 0) this.#latency.note(now - bornMs, frame.n);
    }
  }

  #count(draft: StepDraft, work: readonly StepWork[], dead: readonly DeadLettered[]): void {
    const own = dead.filter((d) => d.node === this.node).length;
    for (const { frame } of work) this.meter.in += frame.n + frame.dead.filter((d) => d.node === this.node).length;
    for (const { port, batch } of draft.emits) {
      if (this.#options.outboxes.get(port)?.isConnected === true) this.meter.out += batch.n;
    }
    for (const { count } of draft.drops) this.meter.dropped += count;
    for (const { frame } of work) this.meter.dropped += frame.head.shed;
    this.meter.dead += own;
    this.meter.carriedDead += dead.length - own;
  }

  /** What was admitted and not committed is lost with this incarnation, so it must take no more. */
  #fail(error: unknown): void {
    this.stop();
    this.#options.failed(error);
  }

  #lost(error: unknown): void {
    if (this.#stopped) return;
    this.stop();
    const fenced = error instanceof MillraceError && error.code === "LOG-WRONG-REVISION";
    this.#options.failed(
      fenced ? engineError("NODE-FENCED", `another owner writes ${this.#options.stream}`, { cause: error }) : error,
    );
  }
}

/** One cursor for all lanes of an origin (R1 switched off). */
function firstOf(lanes: readonly LaneCursor[], lane: LaneCursor): LaneCursor {
  return lanes.find((other) => other.origin === lane.origin) ?? lane;
}
