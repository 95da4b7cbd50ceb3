/**
 * What of a running graph outlives its actors' incarnations: mailboxes, edges, the addresses of origins. Built once from the
 * plan; actors come and go around it.
 */
import type { Link, OriginControl, OutEdge } from "../actor/link.ts";
import { EdgeMeter } from "../actor/link.ts";
import type { NextPath } from "../actor/next-path.ts";
import { Mailbox, type MailboxOptions } from "../mailbox/mailbox.ts";
import { ALL_PATHS, type HeardCursors } from "../step/heard-cursors.ts";
import { ALL_RULES, type ProtocolRules } from "../step/protocol-rules.ts";
import type { OriginLedger } from "../transport/edge-control.ts";
import { groupBy } from "./group-by.ts";
import { LocalLink, OriginAddress } from "./local-link.ts";
import { edgeName, type Plan, type PlanEdge, type PlanLane, type PlanOrigin } from "./plan.ts";
import type { GraphProgram, ProgramNode } from "./program.ts";

/** Replaces what carries frames and control messages; the simulation's lossy network, or a transport between hosts. */
export interface Carriers {
  /** `paths`: those that frames have after the edge. */
  link(edge: PlanEdge, local: Link, paths: readonly number[]): Link;
  control(origin: PlanOrigin, local: OriginControl, ledger: OriginLedger): OriginControl;
  /**
   * Asked again and again when this host has nothing left to do: false while other hosts must still be told of it, or need this
   * one for what is left to them. Default: always true.
   */
  mayEnd?(): boolean;
  /** Edges within the host stay hand-overs, so chains along them may be fused. Default false: every edge is to be reached. */
  readonly fuses?: boolean;
  /** Called before anything is carried. `failed`: the node that sends along an edge can never send what it has. */
  start?(failed: (node: string, error: unknown) => void): void;
  /** The graph was stopped: nothing is carried any more. */
  close?(): Promise<void>;
}

const DEFAULTS: MailboxOptions = {};
const NOBODY = (): void => undefined;

export class GraphWiring {
  readonly plan: Plan;
  /** By index of the plan's edges. */
  readonly edges: readonly OutEdge[];
  readonly #mailboxes = new Map<string, Mailbox>();
  readonly #origins = new Map<string, OriginAddress>();
  readonly #rules: ProtocolRules;
  readonly #controls = new Map<string, OriginControl>();

  readonly #edgesFrom: ReadonlyMap<string, readonly number[]>;
  readonly #receivers: ReadonlyMap<string, readonly string[]>;
  readonly #originsOf: ReadonlyMap<string, readonly PlanOrigin[]>;
  readonly #lanesOf: ReadonlyMap<PlanOrigin, readonly PlanLane[]>;
  readonly #lanesInto: ReadonlyMap<string, readonly PlanLane[]>;

  /** `heard`: what other hosts said; absent where all nodes are on this one. */
  constructor(
    program: GraphProgram,
    plan: Plan,
    carriers: Carriers | undefined,
    heard: HeardCursors | undefined,
    rules: ProtocolRules = ALL_RULES,
  ) {
    this.#rules = rules;
    this.plan = plan;
    for (const node of program.nodes) if (node.role !== "source") this.#mailboxes.set(node.name, this.#mailbox(node));
    this.#lanesOf = groupBy(plan.lanes, (lane) => lane.origin);
    for (const origin of plan.origins) {
      const address = new OriginAddress();
      this.#origins.set(origin.name, address);
      const ledger = ledgerOf(origin, this.lanesOf(origin), heard);
      this.#controls.set(origin.name, carriers?.control(origin, address, ledger) ?? address);
    }
    this.#edgesFrom = groupBy(plan.edges.keys(), (i) => (plan.edges[i] as PlanEdge).from);
    this.#receivers = receiversIn(plan.edges);
    this.#originsOf = groupBy(plan.origins, (origin) => origin.node);
    this.#lanesInto = groupBy(plan.lanes, (lane) => lane.receiver);
    this.edges = plan.edges.map((edge, i) => {
      const local = new LocalLink(this.mailbox(edge.to));
      const paths = [...(plan.nextPath[i] as NextPath).values()];
      const link = carriers?.link(edge, local, paths) ?? local;
      return {
        name: edgeName(edge),
        link,
        nextPath: plan.nextPath[i] as NextPath,
        meter: new EdgeMeter(),
      };
    });
  }

  mailbox(node: string): Mailbox {
    return this.#mailboxes.get(node) as Mailbox;
  }

  /** Who is told when a frame arrives for `node`. */
  onArrival(node: string, wake: () => void): void {
    this.mailbox(node).onArrival(wake);
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
    const leaving = this.#edgesFrom.get(node) ?? [];
    const chosen = port === undefined ? leaving : leaving.filter((i) => this.plan.edges[i]?.port === port);
    return chosen.map((i) => this.edges[i] as OutEdge);
  }

  /** The nodes that an edge leads to from `node`, each once. */
  receiversOf(node: string): readonly string[] {
    return this.#receivers.get(node) ?? [];
  }

  originsOf(node: string): readonly PlanOrigin[] {
    return this.#originsOf.get(node) ?? [];
  }

  lanesOf(origin: PlanOrigin): readonly PlanLane[] {
    return this.#lanesOf.get(origin) ?? [];
  }

  lanesInto(node: string): readonly PlanLane[] {
    return this.#lanesInto.get(node) ?? [];
  }

  #mailbox(node: ProgramNode): Mailbox {
    return new Mailbox(node.mailbox ?? DEFAULTS, NOBODY, this.#rules);
  }
}

function receiversIn(edges: readonly PlanEdge[]): ReadonlyMap<string, readonly string[]> {
  const pairs = groupBy(edges, ({ from }) => from);
  return new Map([...pairs].map(([from, leaving]) => [from, [...new Set(leaving.map(({ to }) => to))]]));
}

function ledgerOf({ name }: PlanOrigin, lanes: readonly PlanLane[], heard: HeardCursors | undefined): OriginLedger {
  const names = new Map(lanes.map((lane) => [lane.path, lane.name]));
  return {
    isOver: heard?.lane(name, ALL_PATHS) !== undefined,
    write: async (path, durable, durableAnchor) =>
      heard?.note({ origin: name, path, lane: names.get(path), durable, durableAnchor }),
  };
}
