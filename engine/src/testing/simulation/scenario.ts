/** What a simulation runs: a graph, the input that a seed wrote for it, targets, and what must come out. */
import type { CommittedBehavior, Draft } from "../../behavior/committed-behavior.ts";
import type { GraphProgram, ProgramEdge, ProgramNode } from "../../runtime/program.ts";
import type { SourceConnector } from "../../source/source-connector.ts";
import type { ProtocolRules } from "../../step/protocol-rules.ts";
import type { Env } from "../../time/clock.ts";
import type { SeededRandom } from "../seeded-random.ts";
import type { VirtualEnv } from "../virtual-env.ts";
import type { FaultKind } from "./fault-plan.ts";
import type { SourcePartitions } from "./simulated-source.ts";
import type { SimulatedTarget, SimulatedTargetOptions } from "./simulated-target.ts";

/** One start of the graph by one process. */
export interface HostView {
  readonly env: Env;
  source(partitions: SourcePartitions): SourceConnector;
  sink(target: SimulatedTarget, poison?: (row: never) => boolean): CommittedBehavior;
}

export interface ScenarioWorld {
  readonly env: VirtualEnv;
  /** Draws of the workload; faults have draws of their own. */
  readonly random: SeededRandom;
  readonly rules: ProtocolRules;
  target(options: Pick<SimulatedTargetOptions, "name" | "kind" | "keyOf">): SimulatedTarget;
}

export interface Workload {
  /** By name of the source node. */
  readonly sources: ReadonlyMap<string, SourcePartitions>;
  /** By name of the sink node. */
  readonly targets: ReadonlyMap<string, SimulatedTarget>;
  nodes(host: HostView): readonly ProgramNode[];
  readonly edges: readonly ProgramEdge[];
  /** A second revision, asked for at a moment of virtual time. */
  readonly next?: Pick<Workload, "nodes" | "edges"> & { readonly atMs: number };
  /** Nodes that run on a second host with a log of its own; edges between the hosts are `via: "nats"`. Default: none. */
  readonly elsewhere?: readonly string[];
  readonly durability?: GraphProgram["durability"];
  /** What a step without inputs did, for nodes that ask for such steps. */
  readonly requests?: ReadonlyMap<string, (behavior: CommittedBehavior, draft: Draft) => void>;
  /** Throws when the end differs from the batch reference. */
  readonly expect?: () => void;
}

export interface Scenario {
  readonly name: string;
  /** Numbers of step-protocol §10. */
  readonly covers: readonly number[];
  /** Faults that every seed has, whatever its swarm draws. */
  readonly always?: readonly FaultKind[];
  /** Faults that would make the scenario meaningless. */
  readonly never?: readonly FaultKind[];
  build(world: ScenarioWorld): Workload;
}
