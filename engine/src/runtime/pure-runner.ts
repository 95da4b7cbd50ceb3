import { fuse } from "../actor/fuse.ts";
import type { OutEdge } from "../actor/link.ts";
import { ActorMeter } from "../actor/meter.ts";
import { PureActor } from "../actor/pure-actor.ts";
import type { CommittedBehavior } from "../behavior/committed-behavior.ts";
import type { PureBehavior } from "../behavior/pure-behavior.ts";
import { type Chain, edgesAcross } from "./fusion.ts";
import type { NodeRunner, RunnerContext } from "./node-runner.ts";
import type { ProgramNode, PureNode } from "./program.ts";

/** What a node without a stream says of it. Getters, which take no room in each of many nodes. */
class Stateless {
  get epoch(): number {
    return 0;
  }

  get stepsInFlight(): number {
    return 0;
  }

  get commitP99Ms(): null {
    return null;
  }

  get position(): number {
    return 0;
  }

  get behavior(): CommittedBehavior | undefined {
    return undefined;
  }
}

/**
 * Runs a pure node, or the head of a chain that is fused with it. The mailbox survives a restart; what was lost elsewhere,
 * receivers ask for.
 */
export class PureRunner extends Stateless implements NodeRunner {
  readonly name: string;
  readonly meter: ActorMeter = new ActorMeter();
  readonly #nodes: Chain;
  readonly #members: readonly FusedMember[];
  readonly #context: RunnerContext;
  #actor: PureActor | undefined;

  /** `nodes`: the node itself, followed by those fused with it. */
  constructor(nodes: Chain, context: RunnerContext) {
    super();
    const [head, ...rest] = nodes;
    this.name = (head as ProgramNode).name;
    this.#nodes = nodes;
    this.#context = context;
    this.#members = rest.map((node) => new FusedMember(node.name, this));
  }

  /** What stands for the fused nodes in status and supervision. */
  get members(): readonly NodeRunner[] {
    return this.#members;
  }

  get watermark(): number {
    const last = this.#nodes.at(-1) as ProgramNode;
    const edges = this.#context.wiring.edgesFrom(last.name);
    return Math.max(Number.NEGATIVE_INFINITY, ...edges.map((edge) => edge.meter.watermark));
  }

  get isFinished(): boolean {
    return this.#context.wiring.mailbox(this.name).isEmpty;
  }

  async recover(): Promise<void> {
    const { wiring, scheduler, program } = this.#context;
    const behavior = this.#nodes.length === 1 ? (this.#nodes[0] as ProgramNode & PureNode).make() : this.#fused();
    const actor = new PureActor({
      node: this.name,
      revision: program.revision,
      behavior,
      scheduler,
      mailbox: wiring.mailbox(this.name),
      rules: this.#context.rules,
      meter: this.meter,
      countsMessages: this.#nodes.length === 1,
      edges: this.#edges(behavior),
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

  #fused(): PureBehavior {
    return fuse(
      this.#nodes.map((node, i) => {
        const meter = i === 0 ? this.meter : (this.#members[i - 1] as FusedMember).meter;
        const edge = i + 1 < this.#nodes.length ? this.#context.wiring.edgesFrom(node.name)[0]?.meter : undefined;
        return { node: node.name, behavior: node.make(), meter, edge };
      }),
    );
  }

  #edges(behavior: PureBehavior): readonly (readonly OutEdge[])[] {
    const { wiring } = this.#context;
    if (this.#nodes.length === 1) return behavior.ports.map((port) => wiring.edgesFrom(this.name, port));
    const inner = this.#nodes.slice(0, -1).map((node) => wiring.edgesFrom(node.name)[0] as OutEdge);
    return [edgesAcross(inner, wiring.edgesFrom((this.#nodes.at(-1) as ProgramNode).name))];
  }
}

/** A node that runs inside the actor of its chain's head. */
class FusedMember extends Stateless implements NodeRunner {
  readonly name: string;
  readonly meter: ActorMeter = new ActorMeter();
  readonly #head: PureRunner;

  constructor(name: string, head: PureRunner) {
    super();
    this.name = name;
    this.#head = head;
  }

  get isFinished(): boolean {
    return true;
  }

  get watermark(): number {
    return this.#head.watermark;
  }

  async recover(): Promise<void> {}

  async start(): Promise<void> {}

  async stop(): Promise<void> {}

  suspend(): void {}

  unsuspend(): void {}
}
