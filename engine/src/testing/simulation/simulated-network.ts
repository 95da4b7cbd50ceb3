/**
 * What carries frames and control messages between the actors of a simulated graph, and what may happen to them on the way:
 * loss, repetition, disorder between lanes and within one, delay, frames cut again at any message, acknowledgements and resume
 * requests lost, late or repeated, and a broker that swallows what it has seen before (R11). Credit is kept: a frame on its
 * way counts like one that waits.
 */
import type { Link, OriginControl } from "../../actor/link.ts";
import type { Anchor } from "../../frame/anchor.ts";
import type { Frame } from "../../frame/frame.ts";
import { comparePoints, formatPoint, type Point } from "../../frame/point.ts";
import type { Carriers } from "../../runtime/graph-wiring.ts";
import type { PlanEdge } from "../../runtime/plan.ts";
import type { Env } from "../../time/clock.ts";
import type { SeededRandom } from "../seeded-random.ts";

/** Probabilities per frame or control message, and longest delays. All off at first. */
export interface NetworkFaults {
  drop: number;
  duplicate: number;
  /** A frame is overtaken by those behind it. */
  reorder: number;
  recut: number;
  delayMs: number;
  controlDrop: number;
  controlDuplicate: number;
  controlDelayMs: number;
  /** Edges are brokers with a duplicate window; what they took they may still lose. */
  duplicateWindow: boolean;
}

export interface NetworkCounts {
  sent: number;
  delivered: number;
  dropped: number;
  duplicated: number;
  swallowed: number;
  inFlight: number;
  frames: number;
  framesDropped: number;
}

const OVERTAKEN_MS = 500;
const REPEATED_WITHIN_MS = 3000;
const WINDOW_MS = 120_000;
const FRAMES_ON_THE_WAY_MAX = 16;

export class SimulatedNetwork {
  readonly faults: NetworkFaults = {
    drop: 0,
    duplicate: 0,
    reorder: 0,
    recut: 0,
    delayMs: 0,
    controlDrop: 0,
    controlDuplicate: 0,
    controlDelayMs: 0,
    duplicateWindow: false,
  };
  readonly random: SeededRandom;
  /** Messages (not frames) unless named otherwise, by edge. */
  readonly #counts = new Map<string, NetworkCounts>();
  /** Message ids that brokers remember, and until when. They outlive the hosts. */
  readonly #window = new Map<string, number>();

  constructor(random: SeededRandom) {
    this.random = random;
  }

  get counts(): ReadonlyMap<string, NetworkCounts> {
    return this.#counts;
  }

  /** The carriers of one process: what is on its way when the process dies is lost. */
  carriers(env: Env): Carriers {
    return {
      link: (edge, local) => new SimulatedLink(this, edgeKey(edge), env, local),
      control: (_, local) => new SimulatedControl(this, env, local),
    };
  }

  countsOf(edge: string): NetworkCounts {
    let counts = this.#counts.get(edge);
    if (counts === undefined) {
      counts = {
        sent: 0,
        delivered: 0,
        dropped: 0,
        duplicated: 0,
        swallowed: 0,
        inFlight: 0,
        frames: 0,
        framesDropped: 0,
      };
      this.#counts.set(edge, counts);
    }
    return counts;
  }

  /** True when a broker has taken a frame with the same message id not long ago. Probes and marks carry no id. */
  swallows(edge: string, frame: Frame, nowMs: number): boolean {
    const { from, to, path, epoch, generation } = frame.head;
    if (!this.faults.duplicateWindow || comparePoints(from, to) === 0) return false;
    const id = `${edge} ${path}/${formatPoint(from)}-${formatPoint(to)}/${epoch}.${generation}`;
    const until = this.#window.get(id);
    if (until !== undefined && until > nowMs) return true;
    this.#window.set(id, nowMs + WINDOW_MS);
    return false;
  }
}

function edgeKey(edge: PlanEdge): string {
  return `${edge.from}.${edge.port} -> ${edge.to}:${edge.input}`;
}

class SimulatedLink implements Link {
  readonly #network: SimulatedNetwork;
  readonly #edge: string;
  readonly #env: Env;
  readonly #local: Link;
  readonly #onTheWay = new Map<number, number>();
  readonly #arrivesMs = new Map<number, number>();
  #waiters: (() => void)[] = [];

  constructor(network: SimulatedNetwork, edge: string, env: Env, local: Link) {
    this.#network = network;
    this.#edge = edge;
    this.#env = env;
    this.#local = local;
  }

  hasCredit(path: number): boolean {
    return (this.#onTheWay.get(path) ?? 0) < FRAMES_ON_THE_WAY_MAX && this.#local.hasCredit(path);
  }

  whenCredit(path: number, wake: () => void): void {
    if (!this.#local.hasCredit(path)) this.#local.whenCredit(path, wake);
    else this.#waiters.push(wake);
  }

  send(frame: Frame): void {
    const { faults, random } = this.#network;
    const counts = this.#network.countsOf(this.#edge);
    counts.frames++;
    counts.sent += frame.n;
    if (this.#network.swallows(this.#edge, frame, this.#env.clock.monotonic())) {
      counts.swallowed += frame.n;
      return;
    }
    for (const piece of this.#cut(frame)) {
      if (random.chance(faults.drop)) {
        counts.dropped += piece.n;
        counts.framesDropped++;
        continue;
      }
      this.#forward(piece, this.#arrival(frame.head.path));
      if (!random.chance(faults.duplicate)) continue;
      counts.duplicated += piece.n;
      this.#forward(piece, this.#env.clock.monotonic() + REPEATED_WITHIN_MS * random.unit());
    }
  }

  #cut(frame: Frame): Frame[] {
    const { faults, random } = this.#network;
    if (frame.n < 2 || !random.chance(faults.recut)) return [frame];
    const [first, second] = frame.cutBefore(random.between(1, frame.n - 1), Number.NEGATIVE_INFINITY);
    return [...this.#cut(first), ...this.#cut(second)];
  }

  /** Frames of a lane keep their order, but for those that are overtaken. */
  #arrival(path: number): number {
    const { faults, random } = this.#network;
    const now = this.#env.clock.monotonic();
    if (random.chance(faults.reorder)) return now + OVERTAKEN_MS * random.unit();
    const atMs = Math.max(this.#arrivesMs.get(path) ?? 0, now + faults.delayMs * random.unit());
    this.#arrivesMs.set(path, atMs);
    return atMs;
  }

  #forward(frame: Frame, atMs: number): void {
    const counts = this.#network.countsOf(this.#edge);
    const { path } = frame.head;
    counts.inFlight += frame.n;
    this.#onTheWay.set(path, (this.#onTheWay.get(path) ?? 0) + 1);
    this.#env.timers.after(atMs - this.#env.clock.monotonic(), () => {
      counts.inFlight -= frame.n;
      counts.delivered += frame.n;
      this.#onTheWay.set(path, (this.#onTheWay.get(path) as number) - 1);
      this.#local.send(frame);
      for (const wake of this.#waiters.splice(0)) wake();
    });
  }
}

class SimulatedControl implements OriginControl {
  readonly #network: SimulatedNetwork;
  readonly #env: Env;
  readonly #local: OriginControl;

  constructor(network: SimulatedNetwork, env: Env, local: OriginControl) {
    this.#network = network;
    this.#env = env;
    this.#local = local;
  }

  acknowledge(path: number, cursor: Point, anchor: Anchor): void {
    this.#carry(() => this.#local.acknowledge(path, cursor, anchor));
  }

  resume(path: number, cursor: Point, anchor: Anchor): void {
    this.#carry(() => this.#local.resume(path, cursor, anchor));
  }

  #carry(deliver: () => void): void {
    const { faults, random } = this.#network;
    const copies = random.chance(faults.controlDuplicate) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (random.chance(faults.controlDrop)) continue;
      this.#env.timers.after((copy === 0 ? 1 : 20) * faults.controlDelayMs * random.unit(), deliver);
    }
  }
}
