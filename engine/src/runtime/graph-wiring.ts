/**
 * What of a running graph outlives its actors' incarnations: mailboxes, edges, the addresses of origins. Built once from the
 * plan; actors come and go around it.
 */
import type { Link, OriginControl, OutEdge } from "../actor/link.ts";
import { EdgeMeter } from "../actor/link.ts";
import { Mailbox } from "../mailbox/mailbox.ts";
import { LocalLink, OriginAddress } from "./local-link.ts";
import { edgeName, type Plan, type PlanEdge, type PlanLane, type PlanOrigin } from "./plan.ts";
import type { GraphProgram, ProgramNode } from "./program.ts";

/** Replaces what carries frames and control messages; the simulation's lossy network, or a transport between hosts. */
export interface Carriers {
  link(edge: PlanEdge, local: Link): Link;
  control(origin: PlanOrigin, local: OriginControl): OriginControl;
}

export class GraphWiring {
  readonly plan: Plan;
  /** By index of the plan's edges. */
  readonly edges: readonly OutEdge[];
  readonly #mailboxes = new Map<string, Mailbox>();
  readonly #wakes = new Map<string, () => void>();
  readonly #origins = new Map<string, OriginAddress>();
  readonly #controls = new Map<string, OriginControl>();

  constructor(program: GraphProgram, plan: Plan, carriers: Carriers | undefined) {
    this.plan = plan;
    for (const node of program.nodes) if (node.role !== "source") this.#mailboxes.set(node.name, this.#mailbox(node));
    for (const origin of plan.origins) {
      const address = new OriginAddress();
      this.#origins.set(origin.name, address);
      this.#controls.set(origin.name, carriers?.control(origin, address) ?? address);
    }
    this.edges = plan.edges.map((edge, i) => {
      const local = new LocalLink(this.mailbox(edge.to));
      const link = carriers?.link(edge, local) ?? local;
      return { name: edgeName(edge), link, nextPath: plan.nextPath[i] as Int32Array, meter: new EdgeMeter() };
    });
  }

  mailbox(node: string): Mailbox {
    return this.#mailboxes.get(node) as Mailbox;
  }

  /** Who is told when a frame arrives for `node`. */
  onArrival(node: string, wake: () => void): void {
    this.#wakes.set(node, wake);
  }

  /** Who answers for an origin from now on. */
  bind(origin: PlanOrigin, target: OriginControl): void {
    (this.#origins.get(origin.name) as OriginAddress).target = target;
  }

  /** What receivers talk to. */
  control(origin: PlanOrigin): OriginControl {
    return this.#controls.get(origin.name) as OriginControl;
  }

  edgesFrom(node: string, port?: string): OutEdge[] {
    return this.edges.filter((_, i) => {
      const edge = this.plan.edges[i] as PlanEdge;
      return edge.from === node && (port === undefined || edge.port === port);
    });
  }

  originsOf(node: string): PlanOrigin[] {
    return this.plan.origins.filter((origin) => origin.node === node);
  }

  lanesOf(origin: PlanOrigin): PlanLane[] {
    return this.plan.lanes.filter((lane) => lane.origin === origin);
  }

  lanesInto(node: string): PlanLane[] {
    return this.plan.lanes.filter((lane) => lane.receiver === node);
  }

  #mailbox(node: ProgramNode): Mailbox {
    return new Mailbox(node.mailbox ?? {}, () => this.#wakes.get(node.name)?.());
  }
}
