/**
 * A graph that is ready to run: every node with what makes its behavior, every edge with its settings. Made from a graph file
 * or the builder by whoever knows the behaviors and connectors; the runtime knows neither.
 */
import type { CommittedBehavior } from "../behavior/committed-behavior.ts";
import type { PureBehavior } from "../behavior/pure-behavior.ts";
import type { Json } from "../frame/json.ts";
import type { MailboxOptions } from "../mailbox/mailbox.ts";
import type { SourceConnector } from "../source/source-connector.ts";
import type { EventTimeOptions } from "../source/watermark-generator.ts";
import type { AlignmentOptions } from "../step/alignment.ts";
import type { Restart, RestartPolicy } from "../supervision/restart-policy.ts";
import type { CutPoint } from "./revision-cut.ts";

export interface SourceNode {
  readonly role: "source";
  readonly connector: SourceConnector;
  readonly eventTime?: EventTimeOptions;
  readonly speed?: number;
  readonly frameMessagesMax?: number;
}

export interface PureNode {
  readonly role: "pure";
  /** Called for every incarnation. */
  readonly make: () => PureBehavior;
  /** What the node says of itself; committed ones say it by their behavior. */
  readonly describe?: () => Json;
}

export interface CommittedNode {
  readonly role: "committed";
  /** Called for every incarnation. */
  readonly make: () => CommittedBehavior;
  /** True for sinks: what they consume counts as the graph's output. */
  readonly isSink?: boolean;
  /** True for committed sources: what they emit counts as the graph's input. */
  readonly isSource?: boolean;
  /** Of a committed source: it comes to an end, of which its behavior tells. Default false. */
  readonly isBounded?: boolean;
  /** First graph revision with this definition of the node: older state events are not folded. Default 0. */
  readonly stateSince?: number;
  /** Origins wait for each other in event time; all of them must have one. Default: none waits. */
  readonly alignment?: AlignmentOptions;
}

export type ProgramNode = {
  readonly name: string;
  /** Kind as in the graph file, for people. */
  readonly kind: string;
  readonly restart?: Restart;
  readonly mailbox?: MailboxOptions;
} & (SourceNode | PureNode | CommittedNode);

export interface ProgramEdge {
  readonly from: string;
  /** Default `"out"`. */
  readonly port?: string;
  readonly to: string;
  /** Default 0. */
  readonly input?: number;
  readonly feedback?: boolean;
  readonly via?: "local" | "nats" | "kafka";
}

export interface GraphProgram {
  readonly graph: string;
  readonly revision: number;
  /** Identifies code and definition: snapshots of another version are not used. */
  readonly codeVersion: string;
  readonly durability: "durable" | "relaxed";
  readonly nodes: readonly ProgramNode[];
  readonly edges: readonly ProgramEdge[];
  readonly supervision?: Partial<RestartPolicy>;
  /** Where lanes begin that the streams do not know: the points at which the revision before ended. */
  readonly begins?: readonly CutPoint[];
}
