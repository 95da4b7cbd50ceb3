import { ActorMeter } from "../actor/meter.ts";
import { PureActor } from "../actor/pure-actor.ts";
import type { CommittedBehavior } from "../behavior/committed-behavior.ts";
import type { NodeRunner, RunnerContext } from "./node-runner.ts";
import type { ProgramNode, PureNode } from "./program.ts";

/** Runs a pure node. Its mailbox survives a restart; what was lost elsewhere, receivers ask for. */
export class PureRunner implements NodeRunner {
  readonly name: string;
  readonly meter: ActorMeter = new ActorMeter();
  readonly epoch = 0;
  readonly stepsInFlight = 0;
  readonly commitP99Ms = null;
  readonly position = 0;
  readonly behavior: CommittedBehavior | undefined = undefined;
  readonly #node: ProgramNode & PureNode;
  readonly #context: RunnerContext;
  #actor: PureActor | undefined;

  constructor(node: ProgramNode & PureNode, context: RunnerContext) {
    this.name = node.name;
    this.#node = node;
    this.#context = context;
  }

  get watermark(): number {
    const edges = this.#context.wiring.edgesFrom(this.name);
    return Math.max(Number.NEGATIVE_INFINITY, ...edges.map((edge) => edge.meter.watermark));
  }

  get isFinished(): boolean {
    return this.#context.wiring.mailbox(this.name).isEmpty;
  }

  async recover(): Promise<void> {
    const { wiring, scheduler, program } = this.#context;
    const behavior = this.#node.make();
    const actor = new PureActor({
      node: this.name,
      revision: program.revision,
      behavior,
      scheduler,
      mailbox: wiring.mailbox(this.name),
      meter: this.meter,
      edges: behavior.ports.map((port) => wiring.edgesFrom(this.name, port)),
      failed: (error) => this.#context.failed(this.name, error),
    });
    wiring.onArrival(this.name, actor.wake);
    this.#actor = actor;
  }

  async start(): Promise<void> {
    this.#actor?.wake();
  }

  async stop(): Promise<void> {
    this.#actor?.stop();
  }

  suspend(): void {}

  unsuspend(): void {}
}
