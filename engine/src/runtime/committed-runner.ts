import { ActorMeter } from "../actor/meter.ts";
import type { CommittedBehavior } from "../behavior/committed-behavior.ts";
import { comparePoints, wholly } from "../frame/point.ts";
import type { EventContext } from "../log/event-log.ts";
import { CommittedActor } from "../step/committed-actor.ts";
import { LaneCursor } from "../step/lane-cursor.ts";
import { LatencyWindow } from "../step/latency-window.ts";
import { Outbox } from "../step/outbox.ts";
import { type Recovered, takeOver, unacknowledged } from "../step/recovery.ts";
import type { PortFilter } from "../step/step-outputs.ts";
import type { AligningInputs, NodeRunner, RunnerContext } from "./node-runner.ts";
import type { PlanOrigin } from "./plan.ts";
import type { CommittedNode, ProgramNode } from "./program.ts";
import { beginAt, type CutPoint } from "./revision-cut.ts";
import { streamOf } from "./stream-of.ts";

/** Runs a committed node: takes its stream over, then steps. */
export class CommittedRunner implements NodeRunner {
  readonly name: string;
  readonly meter: ActorMeter = new ActorMeter();
  readonly #latency: LatencyWindow;
  readonly #node: ProgramNode & CommittedNode;
  readonly #context: RunnerContext;
  #behavior: CommittedBehavior | undefined;
  #actor: CommittedActor | undefined;
  #recovered: Recovered | undefined;
  #lanes: LaneCursor[] = [];
  #outboxes = new Map<string, Outbox>();
  #closing = new AbortController();
  #isSuspended = false;
  #isDraining = false;
  /** Incarnations after the first are restored by {@link start} alone. */
  #isPrepared = false;

  constructor(node: ProgramNode & CommittedNode, context: RunnerContext) {
    this.name = node.name;
    this.#node = node;
    this.#context = context;
    this.#latency = new LatencyWindow(context.scheduler.env.clock);
  }

  get behavior(): CommittedBehavior | undefined {
    return this.#behavior;
  }

  get lanes(): readonly LaneCursor[] {
    return this.#lanes;
  }

  get epoch(): number {
    return this.#recovered?.epoch ?? -1;
  }

  get watermark(): number {
    return this.#actor?.watermark ?? Number.NEGATIVE_INFINITY;
  }

  get stepsInFlight(): number {
    return this.#actor?.stepsInFlight ?? 0;
  }

  get commitP99Ms(): number | null {
    return this.#latency.quantile(0.99);
  }

  get aligning(): AligningInputs | undefined {
    const held = this.#actor?.held;
    if (held === undefined) return undefined;
    const slowest = this.#context.wiring.lanesInto(this.name).find(({ path }) => path === held.behind);
    return { paths: held.paths, behind: slowest?.origin.name ?? "" };
  }

  get position(): number {
    return Math.max(this.#actor?.position ?? 0, this.#recovered?.position ?? 0);
  }

  get isFinished(): boolean {
    const isEndless = this.#node.isSource === true && this.#lanes.length === 0;
    if (isEndless && this.#behavior?.hasEnded?.() !== true) return false;
    return this.isDrained && (this.#actor?.hasEnded ?? false);
  }

  /** Folds the stream and owns it. The lanes' cursors are known afterwards. */
  async recover(): Promise<void> {
    const { wiring, log, host, snapshots, rules } = this.#context;
    const behavior = this.#node.make();
    const stream = streamOf(this.#context.program.graph, this.name);
    this.#behavior = behavior;
    this.#lanes = wiring.lanesInto(this.name).map((lane) => {
      const { name, path, input, feedback } = lane;
      const origin = wiring.control(lane.origin);
      return new LaneCursor({ name, path, input, feedback: feedback && rules.R20, origin }, rules);
    });
    const recovered = await takeOver({
      env: this.#context.scheduler.env,
      log,
      stream,
      host,
      behavior,
      lanes: this.#lanes,
      context: this.#eventContext(),
      snapshots,
      stateSince: this.#node.stateSince ?? 0,
    });
    this.#begin();
    let next = 1 + Math.max(-1, ...[...recovered.chain.lanes.values()].map((lane) => lane.number));
    for (const lane of this.#lanes) lane.number = recovered.chain.lanes.get(lane.name)?.number ?? next++;
    this.#recovered = recovered;
    this.#isPrepared = true;
  }

  async start(): Promise<void> {
    if (!this.#isPrepared) await this.recover();
    this.#isPrepared = false;
    const recovered = this.#recovered as Recovered;
    const behavior = this.#behavior as CommittedBehavior;
    this.#closing = new AbortController();
    this.#outboxes = new Map();
    for (const origin of this.#context.wiring.originsOf(this.name))
      this.#outboxes.set(origin.part, await this.#outbox(origin, recovered));
    const actor = this.#newActor(recovered, behavior);
    this.#actor = actor;
    await behavior.open?.({
      graph: this.#context.program.graph,
      node: this.name,
      revision: this.#context.program.revision,
      output: recovered.chain.out,
      request: (run) => actor.request(run),
      fail: (error) => this.#context.failed(this.name, error),
      signal: this.#closing.signal,
    });
    this.#context.wiring.onArrival(this.name, actor.wake);
    if (this.#isSuspended) this.suspend();
    if (this.#isDraining) actor.drain();
    actor.start();
  }

  async stop(): Promise<void> {
    this.#closing.abort();
    this.#actor?.stop();
    this.#context.wiring.onArrival(this.name, () => undefined);
    this.#context.wiring.mailbox(this.name).clear();
    await this.#behavior?.close?.();
  }

  suspend(): void {
    this.#isSuspended = true;
    if (this.#node.isSource === true) this.#actor?.pause();
  }

  /** Takes what still comes of this revision; as an origin it brings nothing new. */
  drain(): void {
    this.suspend();
    this.#isDraining = true;
    this.#actor?.drain();
  }

  unsuspend(): void {
    this.#isSuspended = false;
    this.#actor?.unpause();
  }

  /** Nothing is under way, and every lane has durably passed what was emitted. */
  get isDrained(): boolean {
    return (this.#actor?.isQuiet ?? false) && [...this.#outboxes.values()].every((outbox) => outbox.isDrained);
  }

  /** Where the origins of this node stand; meaningful once everything is drained. */
  get cutPoints(): readonly CutPoint[] {
    return [...this.#outboxes].map(([port, outbox]) => ({ origin: `${this.name}.${port}`, ...outbox.end }));
  }

  /** Lanes that begin with this revision begin where the last one ended (R22). */
  #begin(): void {
    const { wiring, program } = this.#context;
    for (const lane of wiring.lanesInto(this.name)) {
      const point = program.begins?.find(({ origin }) => origin === lane.origin.name);
      const cursor = this.#lanes.find(({ path }) => path === lane.path);
      if (point !== undefined && cursor !== undefined) beginAt(cursor, point);
    }
  }

  #eventContext(): Omit<EventContext, "causationId" | "correlationId" | "epoch"> {
    const { graph, revision, codeVersion } = this.#context.program;
    return { principal: "system", tenant: "", codeVersion, graph, graphRevision: revision, node: this.name };
  }

  #newActor(recovered: Recovered, behavior: CommittedBehavior): CommittedActor {
    const { chain } = recovered;
    const { wiring, scheduler, log, program } = this.#context;
    return new CommittedActor({
      node: this.name,
      stream: streamOf(program.graph, this.name),
      behavior,
      scheduler,
      mailbox: wiring.mailbox(this.name),
      meter: this.meter,
      latency: this.#latency,
      log,
      lanes: this.#lanes,
      alignment: this.#node.alignment,
      outboxes: this.#outboxes,
      context: { ...this.#eventContext(), epoch: recovered.epoch },
      leavesEarly: this.#leavesEarly(),
      snapshots: this.#context.snapshots,
      chain,
      rules: this.#context.rules,
      payloads: this.#context.payloads,
      failed: (error) => this.#context.failed(this.name, error),
      waiting: (error) => this.#context.waiting(this.name, error),
      progressed: this.#context.progressed,
    });
  }

  /** R16: outputs of a relaxed graph leave early where a lost tail takes back what all their receivers made of them, too. */
  #leavesEarly(): PortFilter {
    const { program, wiring, sharesFate } = this.#context;
    if (program.durability !== "relaxed") return () => false;
    const early = wiring
      .originsOf(this.name)
      .filter((origin) => wiring.lanesOf(origin).every((lane) => sharesFate(lane.receiver)))
      .map((origin) => origin.part);
    return (port) => early.includes(port);
  }

  /** An output port as it must be after a start: everything that some lane has not durably passed waits to be sent again. */
  async #outbox(origin: PlanOrigin, recovered: Recovered): Promise<Outbox> {
    const { wiring, scheduler, program, log, cursorOf } = this.#context;
    const lanes = wiring.lanesOf(origin);
    const outbox = new Outbox({
      name: origin.name,
      scheduler,
      rootPath: origin.rootPath,
      edges: wiring.edgesFrom(this.name, origin.part),
      lanes: lanes.map((lane) => lane.path),
      revision: program.revision,
      epoch: recovered.epoch,
      rules: this.#context.rules,
      payloads: this.#context.payloads,
      drained: () => this.#actor?.wake(),
      progressed: this.#context.progressed,
      failed: (error) => this.#context.failed(this.name, error),
    });
    for (const lane of lanes) {
      const cursor = cursorOf(lane);
      if (cursor !== undefined) outbox.seed(lane.path, cursor.durable, cursor.durableAnchor);
    }
    const nextSeq = recovered.chain.nextSeq.get(origin.part) ?? 0;
    const after = outbox.neededFrom;
    const behind = after !== undefined && comparePoints(after, wholly(nextSeq - 1)) < 0;
    const stream = streamOf(program.graph, this.name);
    const output = behind ? await unacknowledged(log, stream, origin.part, after) : [];
    outbox.restore(output, nextSeq, recovered.chain.out.watermark, recovered.chain.out.idle);
    wiring.bind(origin, outbox);
    return outbox;
  }
}
