/** Which faults a seed has (swarm testing: each seed enables a random subset), and how strong they are. */
import type { SeededRandom } from "../seeded-random.ts";
import type { LogFaults } from "./simulated-log.ts";
import type { NetworkFaults } from "./simulated-network.ts";
import type { SourceFaults } from "./simulated-source.ts";
import type { TargetFaults } from "./simulated-target.ts";

export const FAULT_KINDS = [
  "hostCrash",
  "recoveryCrash",
  "nodeCrash",
  "transient",
  "clockJump",
  "drop",
  "duplicate",
  "reorder",
  "recut",
  "delay",
  "control",
  "duplicateWindow",
  "remoteLog",
  "logSlow",
  "logFull",
  "logLost",
  "syncError",
  "staleOwner",
  "sinkFailing",
  "sourceFailing",
  "snapshots",
  "localEdges",
] as const;

/** `localEdges` is no fault: edges are mailboxes, as within one host, and pure neighbours are fused. */
export type FaultKind = (typeof FAULT_KINDS)[number];

/** What needs a network between the actors. */
const NETWORK_ONLY: readonly FaultKind[] = [
  "drop",
  "duplicate",
  "reorder",
  "recut",
  "delay",
  "control",
  "duplicateWindow",
];

/** Faults that only a log outside the host can have, and one that only a log inside it has. */
const REMOTE_ONLY: readonly FaultKind[] = ["logLost", "staleOwner"];

export class FaultPlan {
  readonly kinds: ReadonlySet<FaultKind>;
  readonly #random: SeededRandom;

  constructor(random: SeededRandom, always: readonly FaultKind[] = [], never: readonly FaultKind[] = []) {
    this.#random = random;
    const kinds = new Set(FAULT_KINDS.filter((kind) => random.chance(0.35) || always.includes(kind)));
    for (const kind of never) kinds.delete(kind);
    if (always.some((kind) => REMOTE_ONLY.includes(kind))) kinds.add("remoteLog");
    if (!kinds.has("remoteLog")) for (const kind of REMOTE_ONLY) kinds.delete(kind);
    else kinds.delete("syncError");
    if (always.some((kind) => NETWORK_ONLY.includes(kind))) kinds.delete("localEdges");
    if (kinds.has("localEdges")) for (const kind of NETWORK_ONLY) kinds.delete(kind);
    this.kinds = kinds;
  }

  has(kind: FaultKind): boolean {
    return this.kinds.has(kind);
  }

  /** Sets strengths for the time of faults. */
  rage(log: LogFaults, network: NetworkFaults, targets: readonly TargetFaults[], source: SourceFaults): void {
    const strength = (kind: FaultKind, most: number): number => (this.has(kind) ? most * this.#random.unit() : 0);
    log.commitMs = this.has("logSlow") ? 200 : 5;
    log.wayMs = this.has("remoteLog") ? 5 : 0;
    log.lost = strength("logLost", 0.05);
    network.drop = strength("drop", 0.15);
    network.duplicate = strength("duplicate", 0.2);
    network.reorder = strength("reorder", 0.15);
    network.recut = strength("recut", 0.8);
    network.delayMs = this.has("delay") ? 50 : 0;
    network.controlDrop = strength("control", 0.5);
    network.controlDuplicate = strength("control", 0.5);
    network.controlDelayMs = this.has("control") ? 200 : 0;
    network.duplicateWindow = this.has("duplicateWindow");
    for (const target of targets) {
      target.failing = strength("sinkFailing", 0.2);
      target.wayMs = 10;
    }
    source.failing = strength("sourceFailing", 0.05);
  }

  /** Ends all faults; delays stay, because a real network has them too. */
  calm(log: LogFaults, network: NetworkFaults, targets: readonly TargetFaults[], source: SourceFaults): void {
    log.lost = 0;
    log.full = false;
    network.drop = 0;
    network.duplicate = 0;
    network.reorder = 0;
    network.recut = 0;
    network.controlDrop = 0;
    network.controlDuplicate = 0;
    for (const target of targets) target.failing = 0;
    source.failing = 0;
    source.crash = false;
  }
}
