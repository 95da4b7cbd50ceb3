/**
 * Runs one scenario under one seed: a graph on a virtual machine with faults for a while, then without until it is done, and
 * every invariant checked on what is left (step-protocol §9). The same seed gives the same history.
 */
import { messageOf, reportOf } from "../../errors.ts";
import type { LifecycleEvent } from "../../runtime/graph-runtime.ts";
import type { Carriers } from "../../runtime/graph-wiring.ts";
import type { GraphProgram } from "../../runtime/program.ts";
import type { CutPoint } from "../../runtime/revision-cut.ts";
import { type ProtocolRules, type RuleId, rulesWithout } from "../../step/protocol-rules.ts";
import { SnapshotStore } from "../../step/snapshot-store.ts";
import type { Env } from "../../time/clock.ts";
import { edgeCarriers } from "../../transport/edge-carriers.ts";
import type { SeededRandom } from "../seeded-random.ts";
import { SortedMapStore } from "../sorted-map-store.ts";
import { type VirtualEnv, type VirtualProcess, virtualEnv } from "../virtual-env.ts";
import { checkOutcome, type SimulatedPlace } from "./checks/check-outcome.ts";
import { FaultPlan } from "./fault-plan.ts";
import { revisionStanding } from "./revision-change.ts";
import type { HostView, Scenario, Workload } from "./scenario.ts";
import { SimulatedHost } from "./simulated-host.ts";
import { SimulatedLog } from "./simulated-log.ts";
import { SimulatedNetwork } from "./simulated-network.ts";
import { SimulatedPeer } from "./simulated-peer.ts";
import { type PruneFault, simulatedPrune } from "./simulated-prune.ts";
import { type SourceFaults, simulatedSource } from "./simulated-source.ts";
import { SimulatedTarget, simulatedSink } from "./simulated-target.ts";

export interface SimulationOptions {
  readonly rulesOff?: readonly RuleId[];
  /** The planted bug of the log: success is answered before anything is durable. */
  readonly ackBeforeDurable?: boolean;
  /** The log is pruned now and then, as far as nobody needs it; or by a keeper who forgets something that somebody does. */
  readonly prune?: "sound" | PruneFault;
  /** Virtual time in which everything must be done once faults have stopped. Default 3 h. */
  readonly calmMs?: number;
}

export interface SimulationResult {
  readonly seed: string;
  readonly scenario: string;
  /** One line that names the broken invariant and how to run it again; `undefined` when all hold. */
  readonly failure: string | undefined;
  readonly virtualMs: number;
  readonly crashes: number;
  readonly framesDropped: number;
  readonly events: number;
  /** How many of them were pruned, and in how many prunes. */
  readonly pruned: number;
  readonly prunes: number;
  readonly faults: readonly string[];
}

const CALM_MS = 3 * 3_600_000;
const ACTION_EVERY_MS = 15_000;
const RESTART_WITHIN_MS = 3000;
const JUMP_MS = 3_600_000;
const SNAPSHOT_EVERY_STEPS = 7;
const EPOCH_MS = Date.UTC(2026, 0, 1);

export async function simulate(
  seed: string | number,
  scenario: Scenario,
  options: SimulationOptions = {},
): Promise<SimulationResult> {
  return await new Simulation(String(seed), scenario, options).run();
}

class Simulation {
  readonly #seed: string;
  readonly #scenario: Scenario;
  readonly #options: SimulationOptions;
  readonly #env: VirtualEnv;
  readonly #random: SeededRandom;
  readonly #rules: ProtocolRules;
  readonly #log: SimulatedLog;
  readonly #network: SimulatedNetwork;
  readonly #plan: FaultPlan;
  readonly #targets: SimulatedTarget[] = [];
  readonly #sourceFaults: SourceFaults = { failing: 0, crash: false };
  readonly #workload: Workload;
  /** What hosts reported that must not happen. */
  readonly #broken: string[] = [];
  /** Of a graph on two hosts. */
  readonly #peer: SimulatedPeer | undefined;
  #host: SimulatedHost | undefined;
  /** Owners of before that do not know it yet. */
  #stale: SimulatedHost[] = [];
  #store = new SortedMapStore();
  #hosts = 0;
  #restartMs = 0;
  #crashes = 0;
  #spaceAgainMs = 0;
  #clockAheadMs = 0;
  readonly #pruneRandom: SeededRandom;
  #isPruning = false;
  #prunes = 0;

  constructor(seed: string, scenario: Scenario, options: SimulationOptions) {
    this.#seed = seed;
    this.#scenario = scenario;
    this.#options = options;
    this.#rules = rulesWithout(options.rulesOff ?? []);
    this.#env = virtualEnv(`${scenario.name}/${seed}`, { startMs: EPOCH_MS });
    this.#random = this.#env.random.fork("actions");
    this.#pruneRandom = this.#env.random.fork("prunes");
    this.#network = new SimulatedNetwork(this.#env.random.fork("network"));
    this.#plan = new FaultPlan(this.#env.random.fork("faults"), scenario.always, scenario.never);
    const isRemote = this.#plan.has("remoteLog");
    this.#log = new SimulatedLog({ env: this.#env, random: this.#env.random.fork("log"), isRemote });
    this.#log.faults.ackBeforeDurable = options.ackBeforeDurable ?? false;
    this.#workload = scenario.build({
      env: this.#env,
      random: this.#env.random.fork("workload"),
      rules: this.#rules,
      target: (target) => this.#target(target),
    });
    const { elsewhere } = this.#workload;
    if (elsewhere !== undefined) this.#peer = this.#newPeer(elsewhere);
  }

  async run(): Promise<SimulationResult> {
    let failure: string | undefined;
    try {
      await this.#underFaults();
      await this.#untilFinished();
      await checkOutcome({
        places: this.#places(),
        programs: this.#programs(this.#view(this.#env)),
        workload: this.#workload,
      });
    } catch (error) {
      failure = this.#line(error);
    } finally {
      this.#host?.kill();
      this.#peer?.kill();
      for (const host of this.#stale) host.kill();
    }
    return this.#result(failure);
  }

  async #underFaults(): Promise<void> {
    this.#plan.rage(this.#log.faults, this.#network.faults, this.#targetFaults, this.#sourceFaults);
    const untilMs = this.#lastInputMs() * 1.2 + 20_000;
    this.#start();
    for (let nextMs = 0; this.#env.clock.monotonic() < untilMs; ) {
      await this.#env.advance(100 + this.#random.below(900));
      this.#supervise();
      this.#prune();
      if (this.#env.clock.monotonic() < nextMs) continue;
      this.#act();
      nextMs = this.#env.clock.monotonic() + ACTION_EVERY_MS * this.#random.unit();
    }
    this.#plan.calm(this.#log.faults, this.#network.faults, this.#targetFaults, this.#sourceFaults);
    for (const host of this.#stale.splice(0)) host.kill();
    this.#host?.crashing.clear();
    this.#host?.unavailable.clear();
  }

  async #untilFinished(): Promise<void> {
    const untilMs = this.#env.clock.monotonic() + (this.#options.calmMs ?? CALM_MS);
    while (!this.#isDone()) {
      if (this.#env.clock.monotonic() > untilMs) throw new Error(`I9 not finished: ${this.#standing()}`);
      await this.#env.advance(1000);
      this.#supervise();
    }
  }

  /** The last revision that is wanted has run to its end. */
  #isDone(): boolean {
    const isLast = this.#workload.next === undefined || this.#host?.runtime.program.revision === 2;
    return isLast && this.#host?.isFinished === true && this.#peer?.isFinished !== false;
  }

  /** What an operator does: starts the host again when it is gone, ends a shortage of space. */
  #supervise(): void {
    const [broken] = this.#broken;
    if (broken !== undefined) throw new Error(broken);
    const now = this.#env.clock.monotonic();
    if (this.#log.faults.full && now >= this.#spaceAgainMs) this.#log.faults.full = false;
    const failure = this.#host?.failure;
    if (failure !== undefined && this.#host?.isFenced === true && !this.#plan.has("staleOwner"))
      throw new Error(`FENCE the only owner was fenced: ${failure}`);
    if (failure !== undefined) this.#stopHost();
    if (this.#host === undefined && now >= this.#restartMs) this.#start();
    this.#peer?.supervise();
  }

  #start(): void {
    const name = `host ${this.#hosts++}`;
    const process = this.#env.process(name);
    const view = this.#view(process.env);
    const standing = revisionStanding(this.#log, this.#scenario.name);
    const isNext = standing.points !== undefined;
    const program = isNext ? this.#nextProgram(view, standing.points) : this.#program(view);
    const { next } = this.#workload;
    const change =
      next === undefined || isNext ? undefined : { stream: this.#scenario.name, atMs: next.atMs, standing };
    this.#host = new SimulatedHost({
      name,
      process,
      log: this.#log,
      carriers: this.#carriers(process.env, program, this.#isHere),
      snapshots: this.#plan.has("snapshots") ? this.#snapshots() : undefined,
      program,
      rules: this.#rules,
      ...(change === undefined ? {} : { change }),
      runsHere: this.#peer === undefined ? undefined : this.#isHere,
      onLifecycle: this.#onLifecycle,
    });
  }

  readonly #onLifecycle = (event: LifecycleEvent): void => {
    if (event.type === "NodeParked") this.#broken.push(`I9 parked: ${event.nodes.join()} ${event.error.message}`);
    if (event.type === "NodeRestarting" && event.error.code === "EDGE-GAP")
      this.#broken.push(`I7 ${event.error.message}`);
  };

  /** Of the first host. */
  readonly #isHere = (node: string): boolean => this.#peer?.runs(node) !== true;

  #carriers(env: Env, program: GraphProgram, runsHere: (node: string) => boolean): Carriers | undefined {
    if (this.#peer === undefined) return this.#plan.has("localEdges") ? undefined : this.#network.carriers(env);
    const transport = this.#peer.broker.connect(env);
    return edgeCarriers(program, "nats", { transport, env, scope: "simulation", runsHere });
  }

  #newPeer(nodes: readonly string[]): SimulatedPeer {
    const newHost = (peer: SimulatedPeer, name: string, process: VirtualProcess): SimulatedHost => {
      const program = this.#program(this.#view(process.env));
      return new SimulatedHost({
        name,
        process,
        log: peer.log,
        carriers: this.#carriers(process.env, program, peer.runs),
        snapshots: undefined,
        program,
        rules: this.#rules,
        runsHere: peer.runs,
        onLifecycle: this.#onLifecycle,
      });
    };
    return new SimulatedPeer({ env: this.#env, random: this.#env.random.fork("peer"), nodes, newHost });
  }

  #places(): readonly SimulatedPlace[] {
    const own = { log: this.#log, host: this.#host as SimulatedHost, runs: this.#isHere };
    const peer = this.#peer;
    return peer === undefined ? [own] : [own, { log: peer.log, host: peer.host as SimulatedHost, runs: peer.runs }];
  }

  /** Now and then the cache is gone. */
  #snapshots(): SnapshotStore {
    if (this.#random.chance(0.2)) this.#store = new SortedMapStore();
    return new SnapshotStore(this.#store, this.#log, SNAPSHOT_EVERY_STEPS);
  }

  #stopHost(): void {
    this.#host?.kill();
    this.#host = undefined;
    this.#restartMs = this.#env.clock.monotonic() + RESTART_WITHIN_MS * this.#random.unit();
  }

  #crashHost(): void {
    if (this.#host === undefined) return;
    this.#crashes++;
    this.#stopHost();
    if (!this.#plan.has("remoteLog")) this.#log.crash();
  }

  #crashPeer(peer: SimulatedPeer): void {
    if (peer.host === undefined) return;
    this.#crashes++;
    peer.crash();
  }

  #act(): void {
    const random = this.#random;
    const has = (kind: Parameters<FaultPlan["has"]>[0]): boolean => this.#plan.has(kind) && random.chance(0.6);
    if (has("clockJump")) this.#jumpClock();
    if (has("logFull")) this.#fillDisk();
    if (has("nodeCrash")) this.#crashNode();
    if (has("transient")) this.#host?.unavailable.add(this.#anyNode());
    if (has("syncError")) this.#failSync();
    else if (has("staleOwner")) this.#replaceOwner();
    else if (has("hostCrash")) this.#crashHost();
    if (this.#peer !== undefined && has("hostCrash")) this.#crashPeer(this.#peer);
    if (this.#host === undefined && has("recoveryCrash")) this.#crashInRecovery();
  }

  /** A keeper's job of its own, beside whatever hosts do; a crash of the log ends it without an effect. */
  #prune(): void {
    const { prune } = this.#options;
    const random = this.#pruneRandom;
    if (prune === undefined || this.#isPruning || !random.chance(0.15)) return;
    this.#isPruning = true;
    const view = this.#view(this.#env);
    const { name } = this.#scenario;
    const { points } = revisionStanding(this.#log, name);
    const activated = points === undefined ? Number.POSITIVE_INFINITY : (this.#log.positionsOf(name)[1] as number);
    const next = this.#workload.next === undefined ? undefined : this.#nextProgram(view, points);
    const program = this.#program(view);
    simulatedPrune({
      storage: this.#log,
      client: this.#log.open(this.#env),
      programAt: (end) => (next !== undefined && end > activated ? next : program),
      programNow: points === undefined || next === undefined ? program : next,
      end: this.#pruneEnd(),
      fault: prune === "sound" ? undefined : prune,
    })
      .then(() => {
        this.#prunes++;
      })
      .catch((error: unknown) => {
        if (reportOf(error).code !== "LOG-CLOSED") this.#broken.push(`PRUNE ${messageOf(error)}`);
      })
      .finally(() => {
        this.#isPruning = false;
      });
  }

  /** Often at the very end, where output is that nobody has passed yet. */
  #pruneEnd(): number {
    const { base, durableEnd } = this.#log;
    return this.#pruneRandom.chance(0.5) ? durableEnd : base + this.#pruneRandom.below(durableEnd - base + 1);
  }

  /** Up to an hour forth, and back again. */
  #jumpClock(): void {
    const toMs = this.#random.between(-JUMP_MS, JUMP_MS);
    this.#env.jumpClock(toMs - this.#clockAheadMs);
    this.#clockAheadMs = toMs;
  }

  #fillDisk(): void {
    this.#log.faults.full = true;
    this.#spaceAgainMs = this.#env.clock.monotonic() + 3000 * this.#random.unit();
  }

  #crashNode(): void {
    this.#crashes++;
    if (this.#random.chance(0.2)) this.#sourceFaults.crash = true;
    else this.#host?.crashing.add(this.#anyNode());
  }

  #failSync(): void {
    if (this.#host === undefined) return;
    this.#crashes++;
    this.#log.failSync();
  }

  /** A second owner starts while the first is only thought dead. */
  #replaceOwner(): void {
    if (this.#host === undefined) return;
    for (const host of this.#stale.splice(0)) host.kill();
    this.#stale.push(this.#host);
    this.#start();
  }

  #crashInRecovery(): void {
    this.#start();
    const host = this.#host as SimulatedHost | undefined;
    this.#env.timers.after(60 * this.#random.unit(), () => {
      if (host === this.#host) this.#crashHost();
    });
  }

  #anyNode(): string {
    const nodes = this.#host?.runtime.program.nodes.filter((n) => n.role !== "source") ?? [];
    return nodes.length === 0 ? "" : this.#random.pick(nodes).name;
  }

  #program(view: HostView): GraphProgram {
    return {
      graph: this.#scenario.name,
      revision: 1,
      codeVersion: "simulation",
      durability: this.#workload.durability ?? "durable",
      nodes: this.#workload.nodes(view),
      edges: this.#workload.edges,
      supervision: { intensity: 1000, backoffMaxMs: 1000 },
    };
  }

  #nextProgram(view: HostView, begins: readonly CutPoint[] = []): GraphProgram {
    const { next } = this.#workload;
    if (next === undefined) throw new Error("the scenario has no second revision");
    return { ...this.#program(view), revision: 2, nodes: next.nodes(view), edges: next.edges, begins };
  }

  /** Every revision that ran, in order. */
  #programs(view: HostView): readonly GraphProgram[] {
    const { points } = revisionStanding(this.#log, this.#scenario.name);
    return points === undefined ? [this.#program(view)] : [this.#program(view), this.#nextProgram(view, points)];
  }

  #view(env: HostView["env"]): HostView {
    const random = this.#env.random.fork(`sources ${this.#hosts}`);
    return {
      env,
      source: (partitions) => simulatedSource(partitions, env, random, this.#sourceFaults),
      sink: (target, poison) => simulatedSink(target.open(env), poison as Parameters<typeof simulatedSink>[1]),
    };
  }

  #target(options: Pick<ConstructorParameters<typeof SimulatedTarget>[0], "name" | "kind" | "keyOf">): SimulatedTarget {
    const target = new SimulatedTarget({
      ...options,
      env: this.#env,
      random: this.#env.random.fork(`target ${options.name}`),
      conditional: this.#rules.R27,
    });
    this.#targets.push(target);
    return target;
  }

  get #targetFaults(): readonly SimulatedTarget["faults"][] {
    return this.#targets.map((t) => t.faults);
  }

  #lastInputMs(): number {
    let last = 0;
    for (const partitions of this.#workload.sources.values())
      for (const messages of partitions.values()) for (const m of messages) last = Math.max(last, m.availableMs);
    return last;
  }

  #standing(): string {
    const status = this.#host?.runtime.status();
    if (status === undefined) return "no host";
    const nodes = status.nodes.map(
      (n) => `${n.node}=${n.state}${n.reason === "" ? "" : `(${n.reason})`} in ${n.messagesIn}`,
    );
    return `${status.state}: ${nodes.join(", ")}`;
  }

  #line(error: unknown): string {
    const off = this.#options.rulesOff?.join(",") ?? "";
    const planted = this.#options.ackBeforeDurable === true ? " ackBeforeDurable" : "";
    const prune = this.#options.prune === undefined ? "" : ` prune=${this.#options.prune}`;
    return `SIM seed=${this.#seed} scenario=${this.#scenario.name} rulesOff=${off}${planted}${prune} : ${messageOf(error).replaceAll("\n", " ")}`;
  }

  #result(failure: string | undefined): SimulationResult {
    let framesDropped = 0;
    for (const counts of this.#network.counts.values()) framesDropped += counts.framesDropped;
    return {
      seed: this.#seed,
      scenario: this.#scenario.name,
      failure,
      virtualMs: this.#env.clock.monotonic(),
      crashes: this.#crashes + this.#log.counts.syncErrors,
      framesDropped,
      events: this.#log.events.length,
      pruned: this.#log.base,
      prunes: this.#prunes,
      faults: [...this.#plan.kinds],
    };
  }
}
