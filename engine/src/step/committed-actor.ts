/**
 * Runs a committed behavior: turns waiting frames into steps, each one atomic append, and lets outputs and acknowledgements
 * leave only when their step is durable (step-protocol §3, §4).
 *
 * Steps are computed ahead of the disk, up to a bound. The state in memory may therefore be newer than the log; if an append
 * is lost the incarnation ends, and the next one folds the log.
 */
import type { ActorMeter } from "../actor/meter.ts";
import { type Scheduler, Turnable } from "../actor/scheduler.ts";
import type { CommittedBehavior, OutputProgress } from "../behavior/committed-behavior.ts";
import { engineError, MillraceError } from "../errors.ts";
import type { Trace } from "../frame/frame.ts";
import type { EventContext, EventInput, EventLog } from "../log/event-log.ts";
import { logError } from "../log/log-errors.ts";
import type { Mailbox } from "../mailbox/mailbox.ts";
import type { PayloadHolds } from "../payload/frame-holds.ts";
import { backoffDelayMs, DEFAULT_RESTART_POLICY } from "../supervision/restart-policy.ts";
import type { Timer } from "../time/clock.ts";
import { Alignment, type AlignmentOptions } from "./alignment.ts";
import { carriedDead, inputsOf, openedBy, stepId, traceOf } from "./assemble-step.ts";
import type { LaneCursor, LaneProgress } from "./lane-cursor.ts";
import type { LatencyWindow } from "./latency-window.ts";
import { LazyProgress } from "./lazy-progress.ts";
import { meterStep } from "./meter-step.ts";
import type { Outbox } from "./outbox.ts";
import { isolated } from "./poison.ts";
import { ALL_RULES, type ProtocolRules } from "./protocol-rules.ts";
import { SnapshotStore } from "./snapshot-store.ts";
import { leastWatermark, type StepChain } from "./step-chain.ts";
import { StepDraft } from "./step-draft.ts";
import { StepFlights } from "./step-flight.ts";
import { StepIntake } from "./step-intake.ts";
import { emittedOf, type PortFilter, StepOutputs } from "./step-outputs.ts";
import { StepPayloads } from "./step-payloads.ts";
import { type DeadLettered, encodeStep, STEP, STEP_SCHEMA, type StepRecord } from "./step-record.ts";
import { type StepRequest, StepRequests, type StepRun } from "./step-requests.ts";
import { type StepWork, settle, sliceOf } from "./step-work.ts";

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
  /** Default: no origin waits for another. */
  readonly alignment?: AlignmentOptions | undefined;
  /** By port of the behavior. */
  readonly outboxes: ReadonlyMap<string, Outbox>;
  readonly context: Omit<EventContext, "causationId" | "correlationId">;
  /**
   * Whether outputs of a port leave when their step is appended, not when it is durable: only to receivers that a lost tail of
   * this log takes back with it (R16). Default: none do.
   */
  readonly leavesEarly?: PortFilter;
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

/** Lanes that wait for others in event time. */
export interface HeldLanes {
  readonly paths: readonly number[];
  /** Path of a lane of the origin that is furthest behind. */
  readonly behind: number;
}

const noPort: PortFilter = () => false;
const everyPort: PortFilter = () => true;
const STEP_MESSAGES_MAX = 4096;
/** Room for the event's own fields beside its payload. */
const STEP_ENVELOPE_BYTES = 4096;
const FLIGHTS_MAX = 32;
const STEPS_PER_TURN = 4;
const PROGRESS_AFTER_MS = 250;

export class CommittedActor extends Turnable {
  readonly node: string;
  readonly meter: ActorMeter;
  readonly #options: CommittedActorOptions;
  readonly #rules: ProtocolRules;
  readonly #behavior: CommittedBehavior;
  readonly #scheduler: Scheduler;
  readonly #intake: StepIntake;
  readonly #alignment: Alignment | undefined;
  readonly #requests = new StepRequests();
  readonly #flights: StepFlights;
  readonly #flightsMax: number;
  readonly #outputs: StepOutputs;
  readonly #payloads: StepPayloads;
  readonly #lazy: LazyProgress;
  /** The stream as it will be when all steps in flight have landed. */
  readonly #chain: StepChain;
  #backoff: Timer | undefined;
  #watermark: number;
  #snapshotAtStep = 0;
  /** Of steps since the last snapshot. */
  #unsnapshotBytes = 0;
  #busy = false;
  /** `waiting` was told of a failure that no step has come after. */
  #isWaiting = false;
  #stopped = false;
  /** Log position after the newest durable step. */
  position = 0;

  constructor(options: CommittedActorOptions) {
    super();
    const { lanes, mailbox, log, scheduler } = options;
    this.node = options.node;
    this.#options = options;
    this.#rules = options.rules ?? ALL_RULES;
    this.#flightsMax = Math.min(options.flightsMax ?? FLIGHTS_MAX, log.appendsAheadMax ?? FLIGHTS_MAX);
    this.#behavior = options.behavior;
    this.#scheduler = scheduler;
    this.#chain = options.chain;
    this.#watermark = options.chain.watermark;
    this.meter = options.meter;
    const { graphRevision } = options.context;
    const { alignment } = options;
    if (alignment !== undefined && this.#rules["R25-alignment"]) this.#alignment = new Alignment(lanes, alignment);
    this.#intake = new StepIntake({ mailbox, lanes, rules: this.#rules, alignment: this.#alignment, graphRevision });
    this.#outputs = new StepOutputs(options.outboxes);
    this.#payloads = new StepPayloads(options.payloads);
    const progressAfterMs = options.progressAfterMs ?? PROGRESS_AFTER_MS;
    this.#lazy = new LazyProgress(scheduler.env.timers, progressAfterMs, () => this.#commitLazy());
    this.#flights = new StepFlights({
      log,
      stream: options.stream,
      env: scheduler.env,
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
    const isWaiting = this.#lazy.work.length > 0 || !this.#requests.isEmpty || !this.#intake.isEmpty;
    return !this.#busy && !isWaiting && this.#flights.count === 0;
  }

  /** What waits because its origin is ahead of another in event time; `undefined` when nothing does. */
  get held(): HeldLanes | undefined {
    const alignment = this.#alignment;
    if (alignment === undefined) return undefined;
    const paths = this.#options.mailbox.refusedBy(alignment.mayTake);
    const behind = alignment.slowestPath;
    return paths.length === 0 || behind === undefined ? undefined : { paths, behind };
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
    this.#outputs.start();
    this.wake();
  }

  stop(): void {
    this.#stopped = true;
    this.#flights.stop();
    this.#lazy.stop();
    this.#backoff?.cancel();
    this.#outputs.stop();
    this.#requests.refuseAll(engineError("NODE-FENCED", `node ${this.node} stopped`));
    this.#payloads.stop();
  }

  /** What comes is the last of this revision: nothing waits for what will not come (R22). */
  drain(): void {
    this.#alignment?.release();
    this.wake();
  }

  /** Lets requests wait until {@link unpause}: the intake of a node that is fed from outside. */
  pause(): void {
    this.#requests.pause();
  }

  unpause(): void {
    this.#requests.unpause();
    this.wake();
  }

  /**
   * A step without inputs (R13); resolves with its position once it is durable. Rejects with what `run` threw, or with NODE-FENCED
   * when the incarnation ends first: then the step may or may not be in the log.
   */
  request(run: StepRun): Promise<number> {
    if (this.#stopped) return Promise.reject(engineError("NODE-FENCED", `node ${this.node} is stopped`));
    const landed = this.#requests.ask(run);
    this.wake();
    return landed;
  }

  turn(startMs: number): number {
    for (let steps = 0; this.#mayStep(); steps++) {
      if (steps === STEPS_PER_TURN) {
        this.wake();
        break;
      }
      const request = this.#mayServe() ? this.#requests.begin() : undefined;
      if (request !== undefined) this.#attempt([], request);
      else {
        const most = this.#behavior.stepMessagesMax ?? STEP_MESSAGES_MAX;
        const work = this.#intake.gather(most, this.#outputs.hasRoom);
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
    return this.#outputs.hasRoom || this.#intake.hasFailed || this.#intake.hasFeedback;
  }

  #mayServe(): boolean {
    return !this.#intake.hasFailed && !this.#requests.isEmpty && this.#outputs.hasRoom;
  }

  #attempt(work: StepWork[], request: StepRequest | undefined): void {
    const draft = this.#draft();
    const before = work.map((item) => item.lane.progress);
    const watermark = this.#watermark;
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
    const at = this.#rules["R13-tick"] ? Math.max(this.#chain.at, now) : now;
    return new StepDraft(this.node, at, undefined, this.#rules);
  }

  #compute(draft: StepDraft, work: readonly StepWork[], request: StepRequest | undefined): void | Promise<void> {
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
    request: StepRequest | undefined,
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

  #failedAttempt(error: unknown, work: StepWork[], request: StepRequest | undefined): void {
    if (this.#rules.R14) this.#behavior.discard();
    if (request !== undefined) {
      this.#requests.refuse(request, error);
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
    this.#intake.putBack(again);
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

  #isolate(error: unknown, work: StepWork[]): void {
    const inputBytesMax = this.#options.log.appendBytesMax / 4;
    const parts = isolated(work, { node: this.node, error, inputBytesMax });
    if (parts === undefined) this.#fail(error);
    else this.#intake.putBack(parts);
  }

  #conclude(draft: StepDraft, work: readonly StepWork[], request: StepRequest | undefined): void {
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
    this.#commit(draft, [...this.#lazy.work, ...work], dead, request, before);
  }

  /** R18: an advance that fires nothing rides in the next step, or is committed after a while. */
  #postpone(work: readonly StepWork[], watermarkBefore: number): void {
    this.#lazy.add(work);
    if (this.#watermark > watermarkBefore && this.#isProgressSure()) this.#progressOutputs();
  }

  /** If nothing else is under way. */
  #commitLazy(): void {
    if (this.#mayStep()) this.#commit(this.#draft(), this.#lazy.work, [], undefined, this.#watermark);
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
    request: StepRequest | undefined,
    since: number,
  ): void {
    const { stream, context, lanes } = this.#options;
    const inputs = inputsOf(work, this.#rules);
    const opened = openedBy(inputs, lanes, this.#chain);
    const out = this.#outputProgress(draft);
    const emits = this.#outputs.number(draft, this.#chain.nextSeq);
    const step: StepRecord = {
      at: draft.at,
      since,
      inputs,
      opened,
      recorded: this.#rules["R13-results"] ? draft.recorded : [],
      state: draft.changes,
      emitted: emits.map(emittedOf),
      dead,
      dropped: draft.drops,
      watermark: this.#watermark,
      out,
    };
    const payload = encodeStep(step);
    this.#mustFit(payload);
    this.#lazy.clear();
    const id = stepId(stream, context.epoch, this.#chain.revision, inputs);
    const named = this.#payloads.hold(step);
    this.#behavior.seal();
    this.#chain.fold(step);
    this.#unsnapshotBytes += payload.length;
    const expected = this.#chain.revision++;
    meterStep(this.meter, this.node, { work, emits, drops: step.dropped, dead });
    const snapshot = this.#snapshotIfDue();
    const cause = traceOf(work);
    const trace = { causationId: id, correlationId: cause?.correlationId ?? id };
    const { leavesEarly = noPort } = this.#options;
    const isEarly = this.#rules.R16 ? leavesEarly : everyPort;
    this.#outputs.release(emits, trace, out, isEarly);
    this.#flights.launch({
      event: this.#stepEvent(trace, cause?.causationId ?? id, payload),
      expected,
      landed: (position) => {
        this.position = position + 1;
        this.meter.steps++;
        this.#outputs.release(emits, trace, out, (port) => !isEarly(port));
        if (named !== undefined) this.#payloads.landed(named);
        settle(work, this.#options.latency, this.#scheduler.env.clock.monotonic());
        if (request !== undefined) this.#requests.land(request, position);
        snapshot?.(position);
        this.#options.progressed();
        this.wake();
      },
    });
  }

  /** A step causes what it emits, under its own id. */
  #stepEvent({ causationId: id, correlationId }: Trace, causationId: Uint8Array, payload: Uint8Array): EventInput {
    const context = { ...this.#options.context, causationId, correlationId };
    return { id, type: STEP, schemaVersion: STEP_SCHEMA, context, payload };
  }

  #mustFit(payload: Uint8Array): void {
    const most = this.#options.log.appendBytesMax - STEP_ENVELOPE_BYTES;
    if (payload.length <= most) return;
    throw logError("LOG-TOO-LARGE", `a step of ${payload.length} bytes is more than the log takes at once, ${most}`, {
      place: { node: this.node },
    });
  }

  #outputProgress(draft: StepDraft): OutputProgress {
    const { lanes } = this.#options;
    const hasLanes = lanes.length > 0;
    const own = hasLanes ? this.#watermark : (draft.watermark ?? this.#chain.out.watermark);
    const held = this.#rules.R20 ? this.#behavior.hold?.() : undefined;
    const watermark = Math.max(this.#chain.out.watermark, held === undefined ? own : Math.min(own, held));
    const rests = draft.rests || (draft.emits.length === 0 && this.#chain.out.idle);
    const idle = hasLanes ? lanes.every((lane) => lane.progress.idle || lane.feedback) : rests;
    return { watermark, idle };
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
    this.#outputs.progress(this.#outputProgress(this.#draft()));
  }

  /** Takes the state as of this step, to be written once the step is durable; a cache that recovery can do without. */
  #snapshotIfDue(): ((position: number) => void) | undefined {
    const { snapshots, stream, context } = this.#options;
    const behavior = this.#behavior;
    if (snapshots === undefined || behavior.snapshot === undefined) return undefined;
    if (this.#chain.steps - this.#snapshotAtStep < snapshots.everySteps) return undefined;
    this.#snapshotAtStep = this.#chain.steps;
    const stepBytes = this.#unsnapshotBytes;
    this.#unsnapshotBytes = 0;
    const { codeVersion, graphRevision } = context;
    const of = { codeVersion, graphRevision, stateVersion: behavior.stateVersion ?? 1 };
    const taken = SnapshotStore.take(of, this.#chain, behavior.snapshot());
    return (position) => {
      snapshots.write(stream, position, taken, stepBytes).catch((error: unknown) => this.#wait(error));
    };
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
