/**
 * What of graphs has to outlive a prune, and what of theirs must not go yet. Both follow from the log alone, so it makes no difference
 * whether a graph runs here, is stopped, or came to its end long ago: each can go on from what is carried.
 */

import { discardSink } from "@millrace/actors";
import {
  type AnyNodeModel,
  type CommittedBehavior,
  carryEvents,
  carryNode,
  type Env,
  type GraphModel,
  messageOf,
  type NodeCarry,
  neededOutput,
  type PlanEdge,
  type PlanNode,
  parseTarget,
  type Role,
  reportOf,
  type StepChain,
  type StreamCarry,
  streamOf,
} from "@millrace/engine";
import type { EmbeddedLog, RetentionNeed } from "@millrace/streams/embedded";
import { isPureCalculator } from "../compile/compile-calculator.ts";
import { opsError } from "../errors.ts";
import { deployedModel } from "../host/deployed-model.ts";
import { stateSinceOf } from "../host/deployment.ts";
import {
  DEAD_LETTER_REDRIVEN,
  type Deployment,
  deploymentBefore,
  deployments,
  GRAPHS_STREAM,
  graphEventKey,
  graphStreamOf,
} from "../host/graph-stream.ts";
import { redriveSourceOf } from "../host/redrive-source.ts";
import { stateBehavior } from "../host/state-behavior.ts";
import type { CarrySpool } from "./carry-spool.ts";
import { GraphStreams } from "./graph-streams.ts";

/**
 * For a prune of everything below `end`: what is needed from below it. What is carried is whole only if that is nothing.
 *
 * @param spool gets what is carried
 * @param abandoned graphs that need nothing any more; what of them can be carried is
 * @throws HOST-GRAPH there is no graph of a name that is abandoned
 */
export async function graphCarry(
  log: EmbeddedLog,
  env: Env,
  end: number,
  spool: CarrySpool,
  abandoned: ReadonlySet<string> = NONE,
): Promise<readonly RetentionNeed[]> {
  const needs: RetentionNeed[] = [];
  const keep = async (carry: StreamCarry | undefined): Promise<void> => {
    if (carry !== undefined) await spool.add(carry);
  };
  const known = await deployments(log, env);
  for (const graph of abandoned)
    if (!known.has(graph)) throw opsError("HOST-GRAPH", `the log knows no graph ${graph} that could be abandoned`);
  const streams = await GraphStreams.below(log, end);
  for (const [graph, now] of known) {
    const { nodes, firstPosition } = streams.of(graph);
    const stream = graphStreamOf(graph);
    await keep(await carryEvents({ log, stream }, end, graphEventKey));
    try {
      const graphs = new CarriedGraph({ log, env, end, graph, now, firstPosition });
      const refusal = await graphs.spoolNodes(nodes, spool);
      if (refusal !== undefined) throw refusal;
      if (!abandoned.has(graph)) needs.push(...(await graphs.needs()));
    } catch (thrown) {
      if (!abandoned.has(graph)) needs.push(heldGraph(graph, firstPosition, thrown));
    }
  }
  await keep(await carryEvents({ log, stream: GRAPHS_STREAM }, end, graphEventKey));
  return needs;
}

const NONE: ReadonlySet<string> = new Set();

interface CarriedGraphOptions {
  readonly log: EmbeddedLog;
  readonly env: Env;
  readonly end: number;
  readonly graph: string;
  /** As the graph would start now. */
  readonly now: Deployment;
  /** Of the first event of the graph that would go. */
  readonly firstPosition: number;
}

/** Each graph stands alone: one that cannot be carried holds what is its own. */
class CarriedGraph {
  readonly #options: CarriedGraphOptions;
  /** By node, as of the end of what goes. */
  readonly #chains = new Map<string, StepChain>();

  constructor(options: CarriedGraphOptions) {
    this.#options = options;
  }

  /** What of the nodes can be carried; resolves with why the first that cannot be is not. @throws HOST-MOMENT */
  async spoolNodes(streams: readonly string[], spool: CarrySpool): Promise<Error | undefined> {
    const { log, graph, env, end } = this.#options;
    const deployment = await deploymentBefore(log, graph, end);
    if (deployment === undefined) return undefined;
    const model = deployedModel(graph, deployment);
    let refusal: Error | undefined;
    for (const stream of streams) {
      const name = stream.slice(streamOf(graph, "").length);
      const node = model.nodes.get(name);
      const stateSince = node === undefined ? Number.POSITIVE_INFINITY : (stateSinceOf(deployment, name) ?? 0);
      const options = { log, stream, stateSince, graphRevision: deployment.revision, end };
      let carry: NodeCarry | undefined;
      try {
        // Of a node that the graph has no more, cursors and sequence numbers are kept, its state is not.
        const behavior = node === undefined ? discardSink() : await foldOf(node, model, env);
        carry = await carryNode({ ...options, behavior });
      } catch (cause) {
        const place = { graph, node: name };
        refusal ??= opsError("HOST-CARRY", `the state of node ${name} cannot be carried: ${messageOf(cause)}`, {
          cause,
          place,
        });
      }
      if (carry === undefined) continue;
      if (carry.state !== undefined) this.#chains.set(name, carry.chain);
      await spool.add(carry);
    }
    return refusal;
  }

  /** @throws HOST-MOMENT, PLAN-ROUTES, PLAN-DANGLING, PLAN-CYCLE */
  async needs(): Promise<readonly RetentionNeed[]> {
    const { log, graph, now, end } = this.#options;
    if (this.#chains.size === 0) return [];
    const redriven = await this.#redriven();
    const { nodes, edges } = shapeOf(deployedModel(graph, now), this.#chains, [...redriven.keys()]);
    const sourceEnds = new Map(
      Array.from(redriven, ([node, events]) => [`${redriveSourceOf(node)}#0`, events.at(-1)?.revision ?? -1]),
    );
    const chains = this.#chains;
    const { revision, begins } = now;
    const needed = await neededOutput({ log, graph, revision, nodes, edges, begins, chains, sourceEnds, end });
    return needed.map(({ node, receiver, after, position }) => {
      if (position !== undefined) return heldOutput(graph, node, receiver, position);
      const [target = receiver, events = []] = [...redriven].find(([name]) => redriveSourceOf(name) === node) ?? [];
      return heldRedrive(graph, target, events.find(({ revision }) => revision > after.pos)?.position ?? 0);
    });
  }

  /** By node: dead letters that were sent through it again, among what goes; what went before was consumed. */
  async #redriven(): Promise<ReadonlyMap<string, readonly Redriven[]>> {
    const { log, graph, end } = this.#options;
    const found = new Map<string, Redriven[]>();
    const stream = graphStreamOf(graph);
    const from = ((await log.carried(stream))?.revision ?? -1) + 1;
    for await (const events of log.readStream(stream, { from, filter: { types: [DEAD_LETTER_REDRIVEN] } })) {
      for (const { position, revision, context } of events) {
        if (position >= end) return found;
        found.set(context.node, [...(found.get(context.node) ?? []), { position, revision }]);
      }
    }
    return found;
  }
}

interface Redriven {
  readonly position: number;
  readonly revision: number;
}

function heldOutput(graph: string, node: string, receiver: string, position: number): RetentionNeed {
  return {
    code: "HELD-OUTPUT",
    name: `the graph ${graph}: ${receiver} has not consumed all that ${node} sent`,
    position,
    place: { graph, node },
    remedy: `let the graph run until ${receiver} has caught up, or --abandon ${graph}`,
  };
}

function heldRedrive(graph: string, node: string, position: number): RetentionNeed {
  return {
    code: "HELD-REDRIVE",
    name: `the graph ${graph}: dead letters that were sent through ${node} again are not consumed`,
    position,
    place: { graph, node },
    remedy: `let the graph run until they are, or --abandon ${graph}`,
  };
}

/** What cannot be read or folded here cannot be carried either. */
function heldGraph(graph: string, position: number, thrown: unknown): RetentionNeed {
  const { code, message, place } = reportOf(thrown);
  const node = place?.node === undefined ? {} : { node: place.node };
  return {
    code: "HELD-STATE",
    name: `the graph ${graph}: ${code} ${message}`,
    position,
    place: { graph, ...node },
    remedy: `make available what the graph was deployed with, such as environment variables, or --abandon ${graph}`,
  };
}

/** Nodes and edges as the graph would be planned, with a source for what was sent through nodes again. */
function shapeOf(
  model: GraphModel,
  chains: ReadonlyMap<string, StepChain>,
  redriven: readonly string[],
): { readonly nodes: readonly PlanNode[]; readonly edges: readonly PlanEdge[] } {
  const nodes = Array.from(model.nodes.values(), (node): PlanNode => {
    const ports = new Set(model.edges.filter(({ from }) => from === node.name).map(({ port }) => port));
    return { name: node.name, role: roleOf(node, chains), ports: [...ports], partitions: [] };
  });
  const edges = model.edges.map(({ from, port, to, input, feedback }) => ({ from, port, to, input, feedback }));
  for (const node of redriven) {
    if (!model.nodes.has(node)) continue;
    nodes.push({ name: redriveSourceOf(node), role: "source", ports: ["out"], partitions: ["0"] });
    edges.push({ from: redriveSourceOf(node), port: "out", to: node, input: 0, feedback: true });
  }
  return { nodes, edges };
}

/** What a node is compiled to, without compiling it. A source is committed if it has ever committed a step. */
export function roleOf(node: AnyNodeModel, chains: Pick<ReadonlyMap<string, unknown>, "has">): Role {
  switch (node.kind) {
    case "source":
      return chains.has(node.name) ? "committed" : "source";
    case "window":
    case "sink":
      return "committed";
    case "enrich":
      if (parseTarget(node.definition.table)?.scheme === "projection") return "committed";
      break;
    case "calculator":
      if (!isPureCalculator(node)) return "committed";
      break;
    default:
  }
  return node.mode === "state" ? "committed" : "pure";
}

/** One whose state would be lost, because nobody here knows how it is folded, is an error. */
async function foldOf(node: AnyNodeModel, model: GraphModel, env: Env): Promise<CommittedBehavior> {
  const behavior = await stateBehavior(node, model, env);
  if (behavior.snapshot !== undefined) return behavior;
  // Rows of a table are carried with its projection.
  if (isTable(node)) return discardSink();
  return { ...behavior, fold: () => unfoldable(node.name) };
}

function isTable(node: AnyNodeModel): boolean {
  return node.kind === "sink" && parseTarget(node.definition.to)?.scheme === "projection";
}

function unfoldable(node: string): never {
  throw opsError("HOST-CARRY", `node ${node} has logged state that this version does not know how to fold`);
}
