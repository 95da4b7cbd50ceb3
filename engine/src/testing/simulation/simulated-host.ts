/** One process that runs the graph until it is killed: its own part of the virtual machine, a client of the log, a runtime. */
import type { CommittedBehavior } from "../../behavior/committed-behavior.ts";
import type { PureBehavior } from "../../behavior/pure-behavior.ts";
import { engineError, InvariantViolation, messageOf } from "../../errors.ts";
import type { EventLog } from "../../log/event-log.ts";
import { GraphRuntime, type LifecycleEvent } from "../../runtime/graph-runtime.ts";
import type { Carriers } from "../../runtime/graph-wiring.ts";
import type { GraphProgram, ProgramNode } from "../../runtime/program.ts";
import type { ProtocolRules } from "../../step/protocol-rules.ts";
import type { SnapshotStore } from "../../step/snapshot-store.ts";
import { sleep } from "../../time/clock.ts";
import type { VirtualProcess } from "../virtual-env.ts";
import { checkedRow } from "./pure-behaviors.ts";
import { cutRevision, isCutDue, type RevisionChangeOptions } from "./revision-change.ts";
import type { SimulatedLog } from "./simulated-log.ts";

export interface SimulatedHostOptions {
  readonly name: string;
  readonly process: VirtualProcess;
  readonly log: SimulatedLog;
  readonly carriers: Carriers | undefined;
  readonly snapshots: SnapshotStore | undefined;
  readonly program: GraphProgram;
  readonly rules: ProtocolRules;
  /** Default: all nodes run here. */
  readonly runsHere?: ((node: string) => boolean) | undefined;
  readonly onLifecycle: (event: LifecycleEvent) => void;
  /** The graph is to run to a cut, and the process to end there. */
  readonly change?: Pick<RevisionChangeOptions, "stream" | "atMs" | "standing">;
}

export class SimulatedHost {
  readonly name: string;
  readonly runtime: GraphRuntime;
  /** Nodes that will fail at their next message, as a bug would or as a resource that is not there. */
  readonly crashing = new Set<string>();
  readonly unavailable = new Set<string>();
  readonly #process: VirtualProcess;
  /** Why the process ends by itself. */
  #end: unknown;

  constructor(options: SimulatedHostOptions) {
    this.name = options.name;
    this.#process = options.process;
    const nodes = options.program.nodes.map((node) => this.#breakable(node));
    const log = options.log.open(options.process.env);
    this.runtime = new GraphRuntime(
      { ...options.program, nodes },
      {
        env: options.process.env,
        log,
        host: options.name,
        ...(options.carriers === undefined ? {} : { carriers: options.carriers }),
        ...(options.snapshots === undefined ? {} : { snapshots: options.snapshots }),
        rules: options.rules,
        runsHere: options.runsHere,
        onLifecycle: options.onLifecycle,
      },
    );
    this.#run(options, log).catch((error: unknown) => {
      this.#end = error;
    });
  }

  get isFinished(): boolean {
    return this.runtime.state === "finished";
  }

  /** Why the process would exit now; `undefined` while it runs. */
  get failure(): string | undefined {
    if (this.#end !== undefined) return messageOf(this.#end);
    const status = this.runtime.status();
    if (status.state !== "failed") return undefined;
    return status.nodes.find((n) => n.lastError !== null)?.lastError?.message ?? "failed";
  }

  get isFenced(): boolean {
    return this.runtime.status().nodes.some((node) => node.lastError?.code === "NODE-FENCED");
  }

  kill(): void {
    this.#process.kill();
  }

  async #run({ change, process, rules }: SimulatedHostOptions, log: EventLog): Promise<void> {
    if (change === undefined) return this.runtime.start();
    const { env } = process;
    const suspended = isCutDue({ ...change, env });
    await this.runtime.start({ suspended });
    if (suspended) await cutRevision({ ...change, runtime: this.runtime, log, env, drains: rules.R22 });
    else await sleep(env, change.atMs - env.clock.monotonic());
    this.#end = new Error("the graph is to be started again, for its cut or for the revision after it");
  }

  #breakable(node: ProgramNode): ProgramNode {
    if (node.role === "source") return node;
    const check = (): void => this.#mayFail(node.name);
    if (node.role === "pure") return { ...node, make: () => breakablePure(node.make(), check) };
    return { ...node, make: () => breakableCommitted(node.make(), check) };
  }

  #mayFail(node: string): void {
    if (this.crashing.delete(node)) throw new InvariantViolation(`simulated crash of ${node}`);
    if (this.unavailable.delete(node)) throw engineError("SOURCE-FAILED", `a resource of ${node} is not there`);
  }
}

function breakablePure(behavior: PureBehavior, check: () => void): PureBehavior {
  return {
    ...behavior,
    transform(batch) {
      check();
      return behavior.transform(batch);
    },
    ...(behavior.row === undefined ? {} : { row: checkedRow(behavior.row, check) }),
  };
}

/** Fails after the messages were taken, so that there is a draft to throw away. */
function breakableCommitted(behavior: CommittedBehavior, check: () => void): CommittedBehavior {
  return {
    ...behavior,
    take(draft, slice) {
      behavior.take(draft, slice);
      check();
    },
  };
}
