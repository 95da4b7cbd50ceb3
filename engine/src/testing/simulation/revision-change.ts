/**
 * What a host does to change a graph's revision (R22): logs how far the old one must run, lets it run there, logs where it
 * stood. Whoever starts the graph reads from the same stream which revision it is, and whether a cut is under way.
 */

import type { StateEvent } from "../../behavior/committed-behavior.ts";
import { MillraceError } from "../../errors.ts";
import type { EventLog } from "../../log/event-log.ts";
import { packState, unpackState } from "../../log/packed-payload.ts";
import type { GraphRuntime } from "../../runtime/graph-runtime.ts";
import type { CutPoint, CutTarget } from "../../runtime/revision-cut.ts";
import { type Env, sleep } from "../../time/clock.ts";
import type { SimulatedLog } from "./simulated-log.ts";

const INTENT = "CutIntent";
const ACTIVATED = "Activated";
const RETRY_MS = 300;

/** How far the change has come, by the log. */
export interface RevisionStanding {
  readonly targets: readonly CutTarget[] | undefined;
  readonly points: readonly CutPoint[] | undefined;
}

export function revisionStanding(log: SimulatedLog, stream: string): RevisionStanding {
  const events = log.positionsOf(stream).map((position) => log.event(position));
  const read = (type: string): StateEvent | undefined => {
    const event = events.find((e) => e.type === type);
    return event === undefined ? undefined : unpackState(event.payload);
  };
  // Both were packed below, from the same types.
  return {
    targets: read(INTENT) as unknown as readonly CutTarget[] | undefined,
    points: read(ACTIVATED) as unknown as readonly CutPoint[] | undefined,
  };
}

export interface RevisionChangeOptions {
  readonly runtime: GraphRuntime;
  readonly log: EventLog;
  readonly env: Env;
  readonly stream: string;
  /** Monotonic ms at which the change is asked for. */
  readonly atMs: number;
  readonly standing: RevisionStanding;
  /** False: the new revision takes effect at once (R22 switched off). */
  readonly drains: boolean;
}

/** True when the next start is for the cut alone: what was sent before is all that the old revision may still send. */
export function isCutDue({ env, atMs, standing }: Pick<RevisionChangeOptions, "env" | "atMs" | "standing">): boolean {
  return standing.targets !== undefined || env.clock.monotonic() >= atMs;
}

/** Runs a graph that was started suspended to its cut; resolves when the new revision is activated. */
export async function cutRevision(options: RevisionChangeOptions): Promise<void> {
  const { runtime, standing, drains } = options;
  const targets = standing.targets ?? runtime.cutTargets();
  if (standing.targets === undefined) await append(options, INTENT, targets, "none");
  const atOnce = targets.map((target) => ({ ...target, watermark: Number.NEGATIVE_INFINITY }));
  await append(options, ACTIVATED, drains ? await runtime.drainTo(targets) : atOnce, 0);
}

async function append(
  { log, env, stream }: RevisionChangeOptions,
  type: string,
  content: readonly object[],
  expected: "none" | number,
): Promise<void> {
  const id = env.random.bytes(16);
  const context = { causationId: id, correlationId: id, principal: "operator", tenant: "", codeVersion: "simulation" };
  const about = { graph: stream, graphRevision: 1, node: "", epoch: 0 };
  const payload = packState(content as unknown as StateEvent);
  const event = { id, type, schemaVersion: 1, context: { ...context, ...about }, payload };
  for (;;) {
    try {
      await log.append([{ stream, expected, events: [event] }]);
      return;
    } catch (error) {
      if (!(error instanceof MillraceError) || error.kind !== "transient") throw error;
      await sleep(env, RETRY_MS);
    }
  }
}
