/**
 * A second host of a simulated graph, with nodes and a log of its own: it dies by itself and loses its own tail, and knows of the
 * other host only what that tells it.
 */
import type { SeededRandom } from "../seeded-random.ts";
import type { VirtualEnv, VirtualProcess } from "../virtual-env.ts";
import { SimulatedBroker } from "./simulated-broker.ts";
import type { SimulatedHost } from "./simulated-host.ts";
import { SimulatedLog } from "./simulated-log.ts";

export interface SimulatedPeerOptions {
  readonly env: VirtualEnv;
  readonly random: SeededRandom;
  /** Names of the nodes that run here. */
  readonly nodes: readonly string[];
  /** An incarnation of the host over {@link SimulatedPeer.log}. */
  readonly newHost: (peer: SimulatedPeer, name: string, process: VirtualProcess) => SimulatedHost;
}

const RESTART_WITHIN_MS = 3000;

export class SimulatedPeer {
  readonly log: SimulatedLog;
  /** Leads to the other host and back. */
  readonly broker: SimulatedBroker = new SimulatedBroker();
  readonly #options: SimulatedPeerOptions;
  #host: SimulatedHost | undefined;
  #hosts = 0;
  #restartMs = 0;

  constructor(options: SimulatedPeerOptions) {
    this.#options = options;
    this.log = new SimulatedLog({ env: options.env, random: options.random.fork("log") });
  }

  get host(): SimulatedHost | undefined {
    return this.#host;
  }

  get isFinished(): boolean {
    return this.#host?.isFinished === true;
  }

  readonly runs = (node: string): boolean => this.#options.nodes.includes(node);

  /** Starts the host when it is gone. */
  supervise(): void {
    const { env } = this.#options;
    if (this.#host?.failure !== undefined) this.#stop();
    if (this.#host !== undefined || env.clock.monotonic() < this.#restartMs) return;
    const name = `peer ${this.#hosts++}`;
    this.#host = this.#options.newHost(this, name, env.process(name));
  }

  /** Power is cut. */
  crash(): void {
    this.#stop();
    this.log.crash();
  }

  kill(): void {
    this.#host?.kill();
  }

  #stop(): void {
    this.kill();
    this.#host = undefined;
    this.#restartMs = this.#options.env.clock.monotonic() + RESTART_WITHIN_MS * this.#options.random.unit();
  }
}
