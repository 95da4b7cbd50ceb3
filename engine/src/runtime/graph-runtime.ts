/**
 * Runs one graph on this host: recovers every node from the log, wires lanes, starts receivers before their origins,
 * supervises, and knows when everything is done. All effects go through ports; `simulate` runs the same class.
 */
import type { EdgeMeter } from "../actor/link.ts";
import { Scheduler, type SchedulerOptions } from "../actor/scheduler.ts";
import type { CommittedBehavior } from "../behavior/committed-behavior.ts";
import { type ErrorReport, engineError, MillraceError, reportOf } from "../errors.ts";
import type { EventLog } from "../log/event-log.ts";
import type { PayloadHolds } from "../payload/frame-holds.ts";
import { HEARD, HeardCursors } from "../step/heard-cursors.ts";
import type { LaneCursor } from "../step/lane-cursor.ts";
import { ALL_RULES, type ProtocolRules } from "../step/protocol-rules.ts";
import type { SnapshotStore } from "../step/snapshot-store.ts";
import { DEFAULT_RESTART_POLICY, type Restart } from "../supervision/restart-policy.ts";
import { type Child, Supervisor } from "../supervision/supervisor.ts";
import type { Env, Timer } from "../time/clock.ts";
import { CommittedRunner } from "./committed-runner.ts";
import { describeGraph, type NodeView } from "./describe-graph.ts";
import { type Chain, chainsOf } from "./fusion.ts";
import { type Carriers, GraphWiring } from "./graph-wiring.ts";
import type { NodeRunner, RunnerContext } from "./node-runner.ts";
import { type Plan, type PlanLane, planGraph } from "./plan.ts";
import type { GraphProgram, ProgramNode } from "./program.ts";
import { PureRunner } from "./pure-runner.ts";
import type { CutPoint, CutTarget } from "./revision-cut.ts";
import { SourceRunner } from "./source-runner.ts";
import type { GraphState, GraphStatus } from "./status.ts";
import { streamOf } from "./stream-of.ts";

/** What happens to a graph as a whole; the host appends it to the graph's own stream. */
export type LifecycleEvent =
  | { readonly type: "NodeRestarting"; readonly node: string; readonly error: ErrorReport; readonly delayMs: number }
  | { readonly type: "NodeParked"; readonly nodes: readonly string[]; readonly error: ErrorReport }
  | { readonly type: "GraphFinished" };

export interface RuntimePorts {
  readonly env: Env;
  readonly log: EventLog;
  /** Name of this host in `Owned` events. */
  readonly host: string;
  readonly snapshots?: SnapshotStore;
  /** Replaces in-process hand-over; default none. */
  readonly carriers?: Carriers;
  readonly scheduler?: SchedulerOptions;
  /** Whether a node runs on this host; edges to those that do not must be carried. Default: all do. */
  readonly runsHere?: ((node: string) => boolean) | undefined;
  /** Default: all kept; simulations switch single ones off. */
  readonly rules?: ProtocolRules;
  /** Holds payloads for as long as steps and frames of this graph need them. Default none. */
  readonly payloads?: PayloadHolds | undefined;
  readonly onLifecycle?: (event: LifecycleEvent) => void;
  /** Somebody else owns a node's stream, or the log was closed: the graph has stopped for good. */
  readonly onFenced?: (error: ErrorReport) => void;
}

export class GraphRuntime {
  readonly program: GraphProgram;
  readonly #ports: RuntimePorts;
  readonly #scheduler: Scheduler;
  readonly #nodes: ReadonlyMap<string, ProgramNode>;
  readonly #runners = new Map<string, NodeRunner>();
  readonly #waiting = new Map<string, ErrorReport>();
  readonly #supervisor: Supervisor;
  readonly #finished: Promise<void>;
  #resolveFinished: () => void = () => undefined;
  #resolveDrained: (points: readonly CutPoint[]) => void = () => undefined;
  #wiring: GraphWiring | undefined;
  /** Absent where no node is on another host. */
  #heard: HeardCursors | undefined;
  #state: GraphState = "stopped";
  /** Settles, and never rejects, when the start that is under way has ended. */
  #starting: Promise<unknown> | undefined;
  #stopping: Promise<void> | undefined;
  #startedMs = 0;
  #checkArmed = false;
  #tailWatch: Timer | undefined;
  #tailWatchMs = TAIL_WATCH_MS;
  #failure: ErrorReport | null = null;

  constructor(program: GraphProgram, ports: RuntimePorts) {
    this.program = program;
    this.#ports = ports;
    this.#nodes = new Map(program.nodes.map((node) => [node.name, node]));
    this.#scheduler = new Scheduler(ports.env, ports.scheduler);
    this.#finished = new Promise((resolve) => {
      this.#resolveFinished = resolve;
    });
    this.#supervisor = new Supervisor(
      ports.env,
      { ...DEFAULT_RESTART_POLICY, ...program.supervision },
      {
        restarting: (node, error, delayMs) => ports.onLifecycle?.({ type: "NodeRestarting", node, error, delayMs }),
        parked: (nodes, error) => ports.onLifecycle?.({ type: "NodeParked", nodes, error }),
      },
    );
  }

  get state(): GraphState {
    return this.#state;
  }

  /** Resolves when every bounded source is read to its end and everything that follows from it is durable. */
  get whenFinished(): Promise<void> {
    return this.#finished;
  }

  /**
   * Recovers and starts. Rejects when the plan is refused or the log cannot be read; a node that fails to open its target is
   * the supervisor's affair. `suspended`: the intake of sources waits for {@link resume} or {@link drainTo}.
   *
   * @throws GRAPH-STOPPED it was stopped meanwhile
   */
  start({ suspended = false }: { readonly suspended?: boolean } = {}): Promise<void> {
    const starting = this.#start(suspended);
    this.#starting = starting.catch(() => undefined);
    return starting;
  }

  async #start(suspended: boolean): Promise<void> {
    this.#state = "starting";
    this.#startedMs = this.#ports.env.clock.now();
    const plan = await this.#plan();
    this.#mustGoOn();
    this.#ports.carriers?.start?.((node, error) => this.#failed(node, error));
    this.#heard = this.#ports.runsHere === undefined ? undefined : await this.#openHeard();
    this.#mustGoOn();
    this.#wiring = new GraphWiring(this.program, plan, this.#ports.carriers, this.#heard, this.#ports.rules);
    const context = this.#context(this.#wiring);
    this.#makeRunners(context);
    const runners = [...this.#runners.values()];
    // Cursors of all receivers must be known before any origin decides where to resume.
    await Promise.all(runners.filter((r) => r instanceof CommittedRunner).map((r) => r.recover()));
    this.#mustGoOn();
    await Promise.all(runners.filter((r) => !(r instanceof CommittedRunner)).map((r) => r.recover()));
    this.#mustGoOn();
    this.#state = suspended ? "suspended" : "running";
    if (suspended) for (const runner of runners) runner.suspend();
    for (const runner of [...runners].reverse()) {
      await this.#startSupervised(runner);
      this.#mustGoOn();
      // Fenced: nothing more may start.
      if (this.#failure !== null) return;
    }
    this.#progressed();
  }

  #mustGoOn(): void {
    if (this.#stopping === undefined) return;
    const place = { graph: this.program.graph };
    throw engineError("GRAPH-STOPPED", "the graph was stopped while it started", { place });
  }

  /** Stops every actor. Nothing is lost: what was not committed will be read or sent again. */
  async stop(): Promise<void> {
    if (this.#stopping !== undefined) return this.#stopping.catch(() => undefined);
    if (this.#state === "stopped") return;
    this.#stopping = this.#stop();
    await this.#stopping;
  }

  /** A start that is under way ends with what it is at; a node that is just starting is told to end like the others. */
  async #stop(): Promise<void> {
    this.#state = "stopped";
    this.#tailWatch?.cancel();
    await this.#supervisor.stop();
    await this.#starting;
    // Those that had not come to their start have no more to end than this.
    for (const runner of this.#runners.values()) if (runner instanceof PureRunner) await runner.stop();
    await this.#ports.carriers?.close?.();
  }

  /** Stops the intake of every source; what is under way flows on. */
  suspend(): void {
    if (this.#state !== "running") return;
    this.#state = "suspended";
    for (const runner of this.#runners.values()) runner.suspend();
  }

  /** Ends a suspension, and gives parked nodes another start. */
  async resume(): Promise<void> {
    if (this.#state === "suspended") this.#state = "running";
    for (const runner of this.#runners.values()) runner.unsuspend();
    await this.#supervisor.resume();
  }

  /**
   * How far the present revision must run before another can take its place: to be logged before {@link drainTo} (R22). Ask a
   * graph that was started suspended: one whose sources read goes on beyond what it says.
   */
  cutTargets(): readonly CutTarget[] {
    return this.#sources().flatMap((source) => source.cutTargets);
  }

  /**
   * Runs to the targets and no further, and resolves with where every origin stands once all that follows is durable. The
   * graph then waits to be stopped; the next revision begins at these points.
   */
  drainTo(targets: readonly CutTarget[]): Promise<readonly CutPoint[]> {
    this.#state = "draining";
    for (const runner of this.#runners.values()) {
      if (runner instanceof SourceRunner) runner.drainTo(targets);
      else if (runner instanceof CommittedRunner) runner.drain();
      else runner.suspend();
    }
    return new Promise((resolve) => {
      this.#resolveDrained = resolve;
      this.#watchTail();
    });
  }

  /** The live behavior of a committed node, for whoever feeds it from outside (HTTP push, redrive). */
  behavior(node: string): CommittedBehavior | undefined {
    return this.#runners.get(node)?.behavior;
  }

  /** Counters and the newest frame of an edge, by its name in the graph file. */
  edge(name: string): EdgeMeter | undefined {
    return this.#wiring?.edges.find((edge) => edge.name === name)?.meter;
  }

  status(): GraphStatus {
    const views: NodeView[] = this.program.nodes.map((node) => ({
      node,
      runner: this.#runners.get(node.name),
      child: this.#supervisor.status(node.name),
      waiting: this.#waiting.get(node.name),
    }));
    const nowMs = this.#ports.env.clock.monotonic();
    return describeGraph(
      this.program,
      this.#failure === null ? this.#state : "failed",
      this.#startedMs,
      nowMs,
      views,
      this.#wiring,
    );
  }

  async #plan(): Promise<Plan> {
    const nodes = await Promise.all(
      this.program.nodes.map(async (node) => ({
        name: node.name,
        role: node.role,
        ports: node.role === "source" ? ["out"] : node.make().ports,
        partitions: node.role === "source" ? await node.connector.partitions() : [],
      })),
    );
    const edges = this.program.edges.map(({ from, to, port = "out", input = 0, feedback = false }) => ({
      from,
      to,
      port,
      input,
      feedback,
    }));
    return planGraph(nodes, edges);
  }

  #context(wiring: GraphWiring): RunnerContext {
    const { log, host, snapshots, rules = ALL_RULES } = this.#ports;
    const startedAt = this.#ports.runsHere === undefined ? 0 : log.durableEnd;
    const committed = (): NodeRunner[] => [...this.#runners.values()].filter((r) => r instanceof CommittedRunner);
    return {
      program: this.program,
      wiring,
      scheduler: this.#scheduler,
      log,
      snapshots,
      host,
      rules,
      payloads: this.#ports.payloads,
      get startEpoch() {
        // A host without committed nodes has at least written down that it starts.
        return Math.max(startedAt, ...committed().map((runner) => runner.position));
      },
      cursorOf: (lane) => this.#cursorOf(lane),
      sharesFate: (node) => this.#sharesFate(node),
      failed: (node, error) => this.#failed(node, error),
      waiting: (node, error) => {
        if (error === undefined) this.#waiting.delete(node);
        else this.#waiting.set(node, reportOf(error));
      },
      progressed: () => this.#progressed(),
    };
  }

  /** A file is cut back to what the log says; every other target keeps what it was given. */
  #sharesFate(name: string): boolean {
    const node = this.#nodes.get(name);
    if (node?.role !== "committed" || this.#ports.runsHere?.(name) === false) return false;
    const { guarantee } = node.make();
    return guarantee === undefined || guarantee === "offset";
  }

  #makeRunners(context: RunnerContext): void {
    const chains = (this.#ports.carriers?.fuses ?? this.#ports.carriers === undefined) ? chainsOf(this.program) : [];
    const headed = new Map(chains.map((chain) => [(chain[0] as ProgramNode).name, chain]));
    const { runsHere = () => true } = this.#ports;
    for (const node of this.program.nodes) {
      if (!runsHere(node.name)) continue;
      const runner = newRunner(node, headed.get(node.name), context);
      if (!this.#runners.has(node.name)) this.#runners.set(node.name, runner);
      if (runner instanceof PureRunner) for (const member of runner.members) this.#runners.set(member.name, member);
    }
  }

  #cursorOf(lane: PlanLane): Pick<LaneCursor, "durable" | "durableAnchor"> | undefined {
    const receiver = this.#runners.get(lane.receiver);
    if (receiver === undefined) return this.#heard?.lane(lane.origin.name, lane.path);
    return receiver instanceof CommittedRunner ? receiver.lanes.find((l) => l.path === lane.path) : undefined;
  }

  #openHeard(): Promise<HeardCursors> {
    const { env, log } = this.#ports;
    const { graph, revision: graphRevision, codeVersion } = this.program;
    const who = { principal: "system", tenant: "", codeVersion, graph, graphRevision, node: "", epoch: log.durableEnd };
    return HeardCursors.open({ env, log, stream: streamOf(graph, HEARD), context: who });
  }

  async #startSupervised(runner: NodeRunner): Promise<void> {
    const restart = this.#nodes.get(runner.name)?.restart ?? "permanent";
    const child = new SupervisedNode(runner, restart, this.#fail);
    this.#supervisor.supervise(child);
    try {
      await runner.start();
    } catch (error) {
      this.#failed(runner.name, error);
    }
    // Stopped while it started: what has started since must not run on.
    if (this.#stopping !== undefined || this.#failure !== null) await child.stop();
  }

  readonly #fail = (node: string, error: unknown): void => this.#failed(node, error);

  /** A fenced node stops for good: somebody else owns it, and a restart here would only fight over it. */
  #failed(node: string, error: unknown): void {
    if (error instanceof MillraceError && (error.code === "NODE-FENCED" || error.code === "LOG-CLOSED")) {
      this.#failure = reportOf(error);
      this.#waiting.set(node, this.#failure);
      void this.#supervisor.stop();
      this.#ports.onFenced?.(this.#failure);
      return;
    }
    // It does not wait any more for what it waited for before.
    this.#waiting.delete(node);
    this.#supervisor.failed(node, error ?? engineError("UNEXPECTED", `node ${node} failed without a reason`));
  }

  /** Something moved: after the present turn, see whether everything is done. */
  #progressed(): void {
    if (this.#checkArmed || (this.#state !== "running" && this.#state !== "draining")) return;
    this.#tailWatch?.cancel();
    this.#tailWatch = undefined;
    this.#tailWatchMs = TAIL_WATCH_MS;
    this.#checkArmed = true;
    this.#ports.env.turns.yieldToIo(() => {
      this.#checkArmed = false;
      this.#checkFinished();
    });
  }

  #sources(): SourceRunner[] {
    return [...this.#runners.values()].filter((runner) => runner instanceof SourceRunner);
  }

  #checkDrained(): void {
    const runners = [...this.#runners.values()];
    const origins = runners.filter((r) => r instanceof SourceRunner || r instanceof CommittedRunner);
    if (!runners.every((r) => (r instanceof PureRunner ? r.isFinished : true)) || !origins.every((r) => r.isDrained)) {
      this.#watchTail();
      return;
    }
    this.#resolveDrained(origins.flatMap((origin) => origin.cutPoints));
  }

  #checkFinished(): void {
    if (this.#state === "draining") this.#checkDrained();
    if (this.#state !== "running") return;
    const runners = [...this.#runners.values()];
    const lasting = runners.filter((r) => r instanceof SourceRunner || r instanceof CommittedRunner);
    const isDone = runners.every((runner) => runner.isFinished);
    if (!isDone || this.#ports.carriers?.mayEnd?.() === false) {
      if (isDone || lasting.length === 0 || lasting.some((runner) => runner.isFinished)) this.#watchTail();
      return;
    }
    this.#state = "finished";
    this.#ports.onLifecycle?.({ type: "GraphFinished" });
    this.#resolveFinished();
  }

  /**
   * Near the end, progress may come without an event (a mailbox emptied by a pure node): look again after a while. A source that
   * ended beside one that has no end keeps a graph there for ever, so the looks become rare while nothing moves.
   */
  #watchTail(): void {
    if (this.#tailWatch !== undefined) return;
    this.#tailWatch = this.#ports.env.timers.after(this.#tailWatchMs, () => {
      this.#tailWatch = undefined;
      this.#checkFinished();
    });
    this.#tailWatchMs = Math.min(TAIL_WATCH_GROWTH * this.#tailWatchMs, TAIL_WATCH_MAX_MS);
  }
}

const TAIL_WATCH_MS = 20;
/** An end is found late by no more than a quarter of the wait for it. */
const TAIL_WATCH_GROWTH = 1.25;
const TAIL_WATCH_MAX_MS = 500;

/** A class, not closures: there is one for every node. */
class SupervisedNode implements Child {
  readonly restart: Restart;
  readonly #runner: NodeRunner;
  readonly #failed: (node: string, error: unknown) => void;

  constructor(runner: NodeRunner, restart: Restart, failed: (node: string, error: unknown) => void) {
    this.#runner = runner;
    this.restart = restart;
    this.#failed = failed;
  }

  get id(): string {
    return this.#runner.name;
  }

  async start(): Promise<void> {
    try {
      await this.#runner.recover();
      await this.#runner.start();
    } catch (error) {
      this.#failed(this.id, error);
    }
  }

  /** Targets and connections of an incarnation that ends: one that cannot be let go of properly must not keep the next away. */
  async stop(): Promise<void> {
    await this.#runner.stop().catch(() => undefined);
  }
}

function newRunner(node: ProgramNode, chain: Chain | undefined, context: RunnerContext): NodeRunner {
  switch (node.role) {
    case "source":
      return new SourceRunner(node, context);
    case "pure":
      return new PureRunner(chain ?? [node], context);
    case "committed":
      return new CommittedRunner(node, context);
  }
}
