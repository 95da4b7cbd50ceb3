/**
 * One graph on this host: its revision in the log, its runtime, and what happens to it. The runtime is made anew at every
 * start; everything that lasts is in the log.
 */
import {
  type Carriers,
  type CutPoint,
  type EdgeMeter,
  type Env,
  type ErrorReport,
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
import {
  compileDeployed,
  firstDeployment,
  keepsState,
  nextDeployment,
  nodesBegunAnew,
  programAs,
} from "./deployment.ts";
import { CUT_INTENDED, type Deployment, GRAPH_DEPLOYED, GraphStream, SYSTEM } from "./graph-stream.ts";
import type { HostPayloads } from "./host-payloads.ts";
import { redriveSource, redriveSourceOf } from "./redrive-source.ts";
import { refuseEmptiedFiles, refuseOccupiedFiles } from "./sink-files.ts";

export interface RunningGraphPorts {
  readonly log: EventLog;
  readonly env: Env;
  /** Name of this host. */
  readonly host: string;
  readonly snapshots: SnapshotStore;
  /** True when runs end: sources of redriven dead letters end too. */
  readonly untilDone: boolean;
  /** Where the payloads of messages are; absent: they name none. */
  readonly payloads?: HostPayloads | undefined;
  /** A program as this host runs it, with what carries each edge; absent: as it is. */
  readonly lead?: ((program: GraphProgram) => GraphProgram) | undefined;
  /** What carries a program's edges between hosts; absent where all are within this one. */
  readonly carriers?: ((program: GraphProgram) => Carriers | undefined) | undefined;
  /** Which nodes run on this host; absent: all. */
  readonly runsHere?: ((node: string) => boolean) | undefined;
  /** Gets what could not be written down as an event. */
  readonly report: (thrown: unknown) => void;
}

export class RunningGraph {
  readonly compiled: CompiledGraph;
  readonly stream: GraphStream;
  /** True if the graph had reached its end before it was deployed here. */
  wasFinished = false;
  /** Nodes that do something else with their messages since this start, and so begin without the state that they had. */
  begunAnew: readonly string[] = [];
  readonly #ports: RunningGraphPorts;
  readonly #redriven: Set<string>;
  readonly #deployment: Deployment;
  readonly #onParked: ((event: Extract<LifecycleEvent, { type: "NodeParked" }>) => void)[] = [];
  readonly #onFenced: ((error: ErrorReport) => void)[] = [];
  readonly #onReplaced: (() => void)[] = [];
  #isFenced = false;
  #runtime: GraphRuntime;
  #program: GraphProgram;

  private constructor(
    compiled: CompiledGraph,
    deployment: Deployment,
    stream: GraphStream,
    redriven: Set<string>,
    ports: RunningGraphPorts,
  ) {
    this.compiled = compiled;
    this.stream = stream;
    this.#ports = ports;
    this.#redriven = redriven;
    this.#deployment = deployment;
    this.#program = compiled.program;
    stream.about(deployment.revision, compiled.program.codeVersion);
    this.#runtime = this.#newRuntime();
  }

  /**
   * Brings a graph onto this host: as the revision that the log has, as its first, or as the next. Then the revision before
   * runs to a cut first (R22).
   *
   * @throws HOST-REVISION the revision before cannot be run to its end, because tables or calculators changed as well, or a node
   *   of it was given up
   * @throws HOST-FILE, SINK-OCCUPIED a sink would remove what is in its file
   */
  static async deploy(compiled: CompiledGraph, by: Mutation, ports: RunningGraphPorts): Promise<RunningGraph> {
    const { name } = compiled.model;
    const stream = new GraphStream(ports.log, ports.env, name);
    const deployed = await stream.deployment();
    const redriven = await stream.nodesRedriven();
    if (deployed === undefined) {
      await refuseOccupiedFiles(compiled, ports.runsHere ?? (() => true));
      const first = firstDeployment(compiled);
      await stream.deploy(first, by);
      return new RunningGraph(compiled, first, stream, redriven, ports);
    }
    if (deployed.hash !== compiled.hash) {
      if (ports.runsHere !== undefined)
        throw opsError(
          "HOST-REVISION",
          "a graph that several hosts share is changed on one host, with all of its nodes",
          {
            place: { graph: name },
          },
        );
      const before = await compileDeployed(deployed, compiled);
      refuseEmptiedFiles(before, compiled, (node) => keepsState(before, compiled, node));
      await refuseOccupiedFiles(compiled, (node) => !keepsState(before, compiled, node));
      const ending = new RunningGraph(before, deployed, stream, redriven, ports);
      const next = nextDeployment(deployed, before, compiled, await ending.#runToCut(by));
      await stream.append([{ type: GRAPH_DEPLOYED, payload: { ...next } }], by);
      const revised = new RunningGraph(compiled, next, stream, redriven, ports);
      revised.begunAnew = nodesBegunAnew(before, compiled);
      return revised;
    }
    const graph = new RunningGraph(compiled, deployed, stream, redriven, ports);
    graph.wasFinished = await stream.hasFinished();
    return graph;
  }

  get revision(): number {
    return this.#deployment.revision;
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
    const { state, startedMs } = this.status();
    if (state !== "stopped" && state !== "failed") throw this.#wrongState("start");
    await this.#runtime.stop();
    this.#isFenced = false;
    if (startedMs > 0) this.#replace();
    const nodes = this.#program.nodes.map(({ name, kind }) => ({ node: name, kind }));
    await this.stream.append([{ type: "GraphStarted", payload: { nodes } }], by);
    await this.#runtime.start();
  }

  async stop(by: Mutation): Promise<void> {
    if (this.#runtime.state === "stopped") return;
    await this.#runtime.stop();
    // Another host runs it.
    if (this.#isFenced) return;
    await this.stream.append([{ type: "GraphStopped", payload: {} }], by);
  }

  async suspend(by: Mutation): Promise<void> {
    if (this.status().state !== "running") throw this.#wrongState("suspend");
    this.#runtime.suspend();
    await this.stream.append([{ type: "GraphSuspended", payload: {} }], by);
  }

  async resume(by: Mutation): Promise<void> {
    const { state } = this.status();
    if (state === "stopped" || state === "failed") throw this.#wrongState("resume");
    await this.#runtime.resume();
    await this.stream.append([{ type: "GraphResumed", payload: {} }], by);
  }

  /** Resolves when another runtime takes the place of the present one. */
  replaced(): Promise<void> {
    return new Promise((resolve) => this.#onReplaced.push(resolve));
  }

  /** Calls back when nodes were given up. */
  onParked(call: (event: Extract<LifecycleEvent, { type: "NodeParked" }>) => void): void {
    this.#onParked.push(call);
  }

  /** Calls back when another host has taken the graph over. */
  onFenced(call: (error: ErrorReport) => void): void {
    this.#onFenced.push(call);
  }

  /**
   * Makes sure that dead letters of `node` find a way to it again. A node's first redrive adds a source to the graph, for
   * which the graph is started again: nothing is lost by that, it goes on from its log.
   */
  async openRedrive(node: string): Promise<void> {
    const { state } = this.status();
    const isWired = this.#redriven.has(node) && state !== "finished";
    this.#redriven.add(node);
    if (!isWired) await this.#restart();
  }

  /** In a run that ends, sources of redriven dead letters may have ended before what has been appended since: they read again. */
  async rereadRedriven(): Promise<void> {
    if (this.#ports.untilDone) await this.#restart();
  }

  async #restart(): Promise<void> {
    const { state } = this.status();
    if (state === "stopped" || state === "failed") return;
    await this.#runtime.stop();
    this.#replace();
    await this.#runtime.start({ suspended: state === "suspended" });
  }

  /** Runs this revision to where the next begins; a cut that was intended before a crash is carried out as it was intended. */
  async #runToCut(by: Mutation): Promise<readonly CutPoint[]> {
    const revision = this.#deployment.revision + 1;
    const givenUp = this.#parkedNode();
    // Nothing more is read under this revision than what it may have sent already.
    await this.#runtime.start({ suspended: true });
    const intended = await this.stream.cutIntent();
    const targets = intended?.revision === revision ? intended.targets : this.#runtime.cutTargets();
    if (intended?.revision !== revision)
      await this.stream.append([{ type: CUT_INTENDED, payload: { revision, targets } }], by);
    try {
      return await Promise.race([this.#runtime.drainTo(targets), givenUp]);
    } finally {
      await this.#runtime.stop();
    }
  }

  /** Rejects when a node is given up: what waits for it before a cut would wait for ever. */
  #parkedNode(): Promise<never> {
    const parked = new Promise<never>((_, reject) => {
      this.onParked(({ nodes, error }) => {
        const message = `${nodes.join(", ")} of the revision that has yet to run to its end gave up: ${error.message}`;
        reject(opsError("HOST-REVISION", message, { place: { graph: this.name } }));
      });
    });
    // It may not be waited for yet.
    parked.catch(() => undefined);
    return parked;
  }

  #replace(): void {
    this.#runtime = this.#newRuntime();
    for (const call of this.#onReplaced.splice(0)) call();
  }

  #newRuntime(): GraphRuntime {
    const { log, env, host, snapshots } = this.#ports;
    const program = this.#withRedrives(programAs(this.compiled.program, this.#deployment));
    this.#program = this.#ports.lead?.(program) ?? program;
    const carriers = this.#ports.carriers?.(this.#program);
    return new GraphRuntime(this.#program, {
      log,
      env,
      host,
      snapshots,
      ...(carriers === undefined ? {} : { carriers }),
      runsHere: this.#ports.runsHere,
      payloads: this.#ports.payloads?.exchange,
      onLifecycle: (event) => this.#happened(event),
      onFenced: (error) => {
        this.#isFenced = true;
        for (const call of this.#onFenced) call(error);
      },
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
    return opsError("HOST-STATE", `graph ${this.name} is ${this.status().state}; it cannot ${verb}`, {
      place: { graph: this.name },
    });
  }
}
