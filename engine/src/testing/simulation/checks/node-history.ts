import type { RecordedEvent } from "../../../log/event-log.ts";
import { OWNED, ownedOf, STEP, type StepRecord, stepOf } from "../../../step/step-record.ts";

export interface LoggedStep {
  readonly revision: number;
  readonly epoch: number;
  readonly graphRevision: number;
  readonly step: StepRecord;
}

/** One node's stream, decoded. */
export interface NodeHistory {
  readonly node: string;
  readonly steps: readonly LoggedStep[];
  /** Epochs of its owners, in order. */
  readonly owners: readonly number[];
}

export function historyOf(node: string, events: readonly RecordedEvent[]): NodeHistory {
  const steps: LoggedStep[] = [];
  const owners: number[] = [];
  for (const event of events) {
    if (event.type === OWNED) owners.push(ownedOf(event).epoch);
    if (event.type !== STEP) continue;
    steps.push({
      revision: event.revision,
      epoch: event.context.epoch,
      graphRevision: event.context.graphRevision,
      step: stepOf(event),
    });
  }
  return { node, steps, owners };
}
