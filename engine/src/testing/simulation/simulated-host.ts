/** One process that runs the graph until it is killed: its own part of the virtual machine, a client of the log, a runtime. */
import type { CommittedBehavior } from "../../behavior/committed-behavior.ts";
import type { PureBehavior } from "../../behavior/pure-behavior.ts";
import { engineError, InvariantViolation, messageOf } from "../../errors.ts";
import { GraphRuntime, type LifecycleEvent } from "../../runtime/graph-runtime.ts";
import type { Carriers } from "../../runtime/graph-wiring.ts";
import type { GraphProgram, ProgramNode } from "../../runtime/program.ts";
import type { ProtocolRules } from "../../step/protocol-rules.ts";
import type { SnapshotStore } from "../../step/snapshot-store.ts";
import type { VirtualProcess } from "../virtual-env.ts";
import type { SimulatedLog } from "./simulated-log.ts";

export interface SimulatedHostOptions {
  readonly name: string;
  readonly process: VirtualProcess;
  readonly log: SimulatedLog;
  readonly carriers: Carriers;
  readonly snapshots: SnapshotStore | undefined;
  readonly program: GraphProgram;
  readonly rules: ProtocolRules;
  readonly onLifecycle: (event: LifecycleEvent) => void;
}

export class SimulatedHost {
  readonly name: string;
  readonly runtime: GraphRuntime;
  /** Nodes that will fail at their next message, as a bug would or as a resource that is not there. */
  readonly crashing = new Set<string>();
  readonly unavailable = new Set<string>();
  readonly #process: VirtualProcess;
  #startError: unknown;

  constructor(options: SimulatedHostOptions) {
    this.name = options.name;
    this.#process = options.process;
    const nodes = options.program.nodes.map((node) => this.#breakable(node));
    this.runtime = new GraphRuntime(
      { ...options.program, nodes },
      {
        env: options.process.env,
        log: options.log.open(options.process.env),
        host: options.name,
        carriers: options.carriers,
        ...(options.snapshots === undefined ? {} : { snapshots: options.snapshots }),
        rules: options.rules,
        onLifecycle: options.onLifecycle,
      },
    );
    this.runtime.start().catch((error: unknown) => {
      this.#startError = error;
    });
  }

  get isFinished(): boolean {
    return this.runtime.state === "finished";
  }

  /** Why the process would exit now; `undefined` while it runs. */
  get failure(): string | undefined {
    if (this.#startError !== undefined) return messageOf(this.#startError);
    const status = this.runtime.status();
    if (status.state !== "failed") return undefined;
    return status.nodes.find((n) => n.lastError !== null)?.lastError?.message ?? "failed";
  }

  kill(): void {
    this.#process.kill();
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
