/**
 * One graph on this host: its revision in the log, its runtime, and what happens to it. The runtime is made anew at every
 * start; everything that lasts is in the log.
 */
import {
  type EdgeMeter,
  type Env,
  type EventLog,
  type GraphProgram,
  GraphRuntime,
  type GraphStatus,
  type LifecycleEvent,
  type Mutation,
  type ProgramEdge,
  type ProgramNode,
  type SnapshotStore,
} from "@millrace/engine";
import type { CompiledGraph } from "../compile/compiled-graph.ts";
import { opsError } from "../errors.ts";
import { DEAD_LETTER_REDRIVEN, type Deployment, GraphStream, graphStreamOf, SYSTEM } from "./graph-stream.ts";
import { redriveSource, redriveSourceOf } from "./redrive-source.ts";

export interface RunningGraphPorts {
  readonly log: EventLog;
  readonly env: Env;
  /** Name of this host. */
  readonly host: string;
  readonly snapshots: SnapshotStore;
  /** True when runs end: sources of redriven dead letters end too. */
  readonly untilDone: boolean;
  /** Gets what could not be written down as an event. */
  readonly report: (thrown: unknown) => void;
}

export class RunningGraph {
  readonly compiled: CompiledGraph;
  readonly stream: GraphStream;
  /** True if the graph had reached its end before it was deployed here. */
  wasFinished = false;
  readonly #ports: RunningGraphPorts;
  readonly #redriven: Set<string>;
  readonly #onParked: ((event: Extract<LifecycleEvent, { type: "NodeParked" }>) => void)[] = [];
  #runtime: GraphRuntime;
  #program: GraphProgram;

  private constructor(
    compiled: CompiledGraph,
    revision: number,
    stream: GraphStream,
    redriven: Set<string>,
    ports: RunningGraphPorts,
  ) {
    this.compiled = compiled;
    this.stream = stream;
    this.#ports = ports;
    this.#redriven = redriven;
    this.#program = { ...compiled.program, revision };
    stream.about(revision, compiled.program.codeVersion);
    this.#runtime = this.#newRuntime();
  }

  /**
   * Brings a graph onto this host, as the revision that the log has, or as its first.
   *
   * @throws HOST-REVISION the log has another revision of the graph
   */
  static async deploy(compiled: CompiledGraph, by: Mutation, ports: RunningGraphPorts): Promise<RunningGraph> {
    const { name } = compiled.model;
    if (graphStreamOf(name).startsWith(`${name}/`))
      throw opsError("HOST-GRAPH", `a graph cannot be called ${name}: its nodes' streams would be taken for graphs`);
    const stream = new GraphStream(ports.log, ports.env, name);
    const deployed = await stream.deployment();
    if (deployed !== undefined) refuseOther(name, deployed, compiled);
    const revision = deployed?.revision ?? 1;
    const redriven = await nodesRedriven(ports.log, name);
    const graph = new RunningGraph(compiled, revision, stream, redriven, ports);
    graph.wasFinished = await stream.has("GraphFinished");
    if (deployed === undefined) await stream.deploy(firstDeployment(compiled), by);
    return graph;
  }

  get name(): string {
    return this.compiled.model.name;
  }

  get runtime(): GraphRuntime {
    return this.#runtime;
  }

  status(): GraphStatus {
    return this.#runtime.status();
  }

  edge(name: string): EdgeMeter | undefined {
    return this.#runtime.edge(name);
  }

  /** Starts the graph where its log says it is. */
  async start(by: Mutation): Promise<void> {
    const { state } = this.#runtime;
    if (state !== "stopped" && state !== "failed") throw this.#wrongState("start");
    if (this.#runtime.status().startedMs > 0) this.#runtime = this.#newRuntime();
    const nodes = this.#program.nodes.map(({ name, kind }) => ({ node: name, kind }));
    await this.stream.append([{ type: "GraphStarted", payload: { nodes } }], by);
    await this.#runtime.start();
  }

  async stop(by: Mutation): Promise<void> {
    const { state } = this.#runtime;
    if (state === "stopped") return;
    await this.#runtime.stop();
    await this.stream.append([{ type: "GraphStopped", payload: {} }], by);
  }

  async suspend(by: Mutation): Promise<void> {
    if (this.#runtime.state !== "running") throw this.#wrongState("suspend");
    this.#runtime.suspend();
    await this.stream.append([{ type: "GraphSuspended", payload: {} }], by);
  }

  async resume(by: Mutation): Promise<void> {
    const { state } = this.#runtime;
    if (state === "stopped" || state === "failed") throw this.#wrongState("resume");
    await this.#runtime.resume();
    await this.stream.append([{ type: "GraphResumed", payload: {} }], by);
  }

  /** Calls back when nodes were given up. */
  onParked(call: (event: Extract<LifecycleEvent, { type: "NodeParked" }>) => void): void {
    this.#onParked.push(call);
  }

  /**
   * Makes sure that dead letters of `node` find a way to it again. A node's first redrive adds a source to the graph, for
   * which the graph is started again: nothing is lost by that, it goes on from its log.
   */
  async openRedrive(node: string): Promise<void> {
    const { state } = this.#runtime;
    const isWired = this.#redriven.has(node) && state !== "finished";
    this.#redriven.add(node);
    if (isWired || state === "stopped" || state === "failed") return;
    await this.#runtime.stop();
    this.#runtime = this.#newRuntime();
    await this.#runtime.start();
    if (state === "suspended") this.#runtime.suspend();
  }

  #newRuntime(): GraphRuntime {
    const { log, env, host, snapshots } = this.#ports;
    this.#program = this.#withRedrives({ ...this.compiled.program, revision: this.#program.revision });
    return new GraphRuntime(this.#program, {
      log,
      env,
      host,
      snapshots,
      onLifecycle: (event) => this.#happened(event),
    });
  }

  #withRedrives(program: GraphProgram): GraphProgram {
    const targets = [...this.#redriven].filter((node) => program.nodes.some(({ name }) => name === node));
    const sources = targets.map((node): ProgramNode => {
      const connector = redriveSource(this.stream, node, this.#ports.untilDone);
      return { name: redriveSourceOf(node), kind: "redrive", role: "source", connector };
    });
    // As a feedback edge it holds no watermark back: what is redriven is as late as it is.
    const edges = targets.map((node): ProgramEdge => ({ from: redriveSourceOf(node), to: node, feedback: true }));
    return { ...program, nodes: [...program.nodes, ...sources], edges: [...program.edges, ...edges] };
  }

  #happened(event: LifecycleEvent): void {
    const { type, ...payload } = event;
    const node = event.type === "NodeRestarting" ? event.node : "";
    this.stream.append([{ type, payload, node }], SYSTEM).catch(this.#ports.report);
    if (event.type === "NodeParked") for (const call of this.#onParked) call(event);
  }

  #wrongState(verb: string): Error {
    return opsError("HOST-STATE", `graph ${this.name} is ${this.#runtime.state}; it cannot ${verb}`, {
      place: { graph: this.name },
    });
  }
}

function firstDeployment({ text, hash, parts, projections }: CompiledGraph): Deployment {
  return { revision: 1, definition: text, hash, parts, projections };
}

function refuseOther(graph: string, deployed: Deployment, { hash, parts }: CompiledGraph): void {
  if (deployed.hash === hash) return;
  const names = new Set([...Object.keys(deployed.parts), ...Object.keys(parts)]);
  const changed = [...names]
    .filter((name) => deployed.parts[name] !== parts[name])
    .map((name) => name || "the graph file");
  throw opsError(
    "HOST-REVISION",
    `this data directory holds revision ${deployed.revision} of graph ${graph}, and ${changed.join(", ")} changed since; ` +
      "use another directory (--data DIR), or put the former contents back",
    { place: { graph }, details: { revision: deployed.revision, changed } },
  );
}

/** Nodes that dead letters were sent through again at any time: their lanes are part of what the log knows. */
async function nodesRedriven(log: EventLog, graph: string): Promise<Set<string>> {
  const nodes = new Set<string>();
  const options = { filter: { types: [DEAD_LETTER_REDRIVEN] } };
  for await (const events of log.readStream(graphStreamOf(graph), options))
    for (const event of events) nodes.add(event.context.node);
  return nodes;
}
