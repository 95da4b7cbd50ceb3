import { ActorMeter } from "../actor/meter.ts";
import type { CommittedBehavior } from "../behavior/committed-behavior.ts";
import { SendHorizon } from "../source/send-horizon.ts";
import { SourceActor } from "../source/source-actor.ts";
import type { NodeRunner, RunnerContext } from "./node-runner.ts";
import type { PlanOrigin } from "./plan.ts";
import type { ProgramNode, SourceNode } from "./program.ts";
import type { CutPoint, CutTarget } from "./revision-cut.ts";
import { streamOf } from "./stream-of.ts";

/** Runs a source: one actor for each of its partitions. */
export class SourceRunner implements NodeRunner {
  readonly name: string;
  readonly meter: ActorMeter = new ActorMeter();
  readonly stepsInFlight = 0;
  readonly commitP99Ms = null;
  readonly position = 0;
  readonly behavior: CommittedBehavior | undefined = undefined;
  readonly #node: ProgramNode & SourceNode;
  readonly #context: RunnerContext;
  #actors: SourceActor[] = [];
  #suspended = false;
  #targets: readonly CutTarget[] | undefined;
  #epoch = -1;

  constructor(node: ProgramNode & SourceNode, context: RunnerContext) {
    this.name = node.name;
    this.#node = node;
    this.#context = context;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get watermark(): number {
    let least = Number.POSITIVE_INFINITY;
    for (const actor of this.#actors) least = Math.min(least, actor.watermark);
    return this.#actors.length === 0 ? Number.NEGATIVE_INFINITY : least;
  }

  get isFinished(): boolean {
    return this.#actors.length > 0 && this.#actors.every((actor) => actor.isFinished);
  }

  async recover(): Promise<void> {
    this.#epoch = this.#context.startEpoch;
    const origins = this.#context.wiring.originsOf(this.name);
    this.#actors = await Promise.all(origins.map(async (origin) => this.#actor(origin, await this.#horizon(origin))));
  }

  /** How far each partition may have been sent by any incarnation of this source. */
  get cutTargets(): readonly CutTarget[] {
    return this.#actors.map(({ partition, horizon }) => ({ origin: `${this.name}#${partition}`, pos: horizon }));
  }

  get cutPoints(): readonly CutPoint[] {
    return this.#actors.map(({ partition, end }) => ({ origin: `${this.name}#${partition}`, ...end }));
  }

  get isDrained(): boolean {
    return this.#actors.every((actor) => actor.isDrained);
  }

  drainTo(targets: readonly CutTarget[]): void {
    this.#targets = targets;
    for (const actor of this.#actors) this.#drain(actor, targets);
  }

  #drain(actor: SourceActor, targets: readonly CutTarget[]): void {
    const target = targets.find(({ origin }) => origin === `${this.name}#${actor.partition}`);
    actor.drainTo(target?.pos ?? actor.horizon);
  }

  #horizon(origin: PlanOrigin): Promise<SendHorizon> {
    const { log, program, scheduler } = this.#context;
    const { graph, revision: graphRevision, codeVersion } = program;
    const context = {
      principal: "system",
      tenant: "",
      codeVersion,
      graph,
      graphRevision,
      node: this.name,
      epoch: this.#epoch,
    };
    return SendHorizon.open({
      log,
      stream: streamOf(graph, this.name),
      partition: origin.part,
      context,
      random: scheduler.env.random,
    });
  }

  async start(): Promise<void> {
    for (const actor of this.#actors) {
      if (this.#suspended) actor.suspend();
      // An incarnation that starts while the graph drains goes on to the same points.
      if (this.#targets !== undefined) this.#drain(actor, this.#targets);
      actor.start();
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#actors.map((actor) => actor.stop()));
  }

  suspend(): void {
    this.#suspended = true;
    for (const actor of this.#actors) actor.suspend();
  }

  unsuspend(): void {
    this.#suspended = false;
    for (const actor of this.#actors) actor.unsuspend();
  }

  #actor(origin: PlanOrigin, horizon: SendHorizon): SourceActor {
    const { wiring, scheduler, program, cursorOf } = this.#context;
    const lanes = wiring.lanesOf(origin);
    const { connector, eventTime, speed, frameMessagesMax } = this.#node;
    const actor = new SourceActor({
      node: this.name,
      partition: origin.part,
      connector,
      env: scheduler.env,
      rootPath: origin.rootPath,
      edges: wiring.edgesFrom(this.name),
      lanes: lanes.map((lane) => lane.path),
      revision: program.revision,
      epoch: this.#epoch,
      after: this.#actors.find((before) => before.partition === origin.part)?.transmission,
      rules: this.#context.rules,
      payloads: this.#context.payloads,
      horizon,
      meter: this.meter,
      ...(eventTime === undefined ? {} : { eventTime }),
      ...(speed === undefined ? {} : { speed }),
      ...(frameMessagesMax === undefined ? {} : { frameMessagesMax }),
      failed: (error) => this.#context.failed(this.name, error),
      waiting: (error) => this.#context.waiting(this.name, error),
      progressed: this.#context.progressed,
    });
    for (const lane of lanes) {
      const cursor = cursorOf(lane);
      if (cursor !== undefined) actor.seed(lane.path, cursor.durable, cursor.durableAnchor);
    }
    wiring.bind(origin, actor);
    return actor;
  }
}
