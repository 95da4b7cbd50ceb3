import type { ActorMeter } from "../actor/meter.ts";
import type { NumberedEmit } from "./step-outputs.ts";
import type { DeadLettered, Dropped } from "./step-record.ts";
import type { StepWork } from "./step-work.ts";

/** What came in and what became of it. */
export interface StepBalance {
  readonly work: readonly StepWork[];
  readonly emits: readonly NumberedEmit[];
  readonly drops: readonly Dropped[];
  readonly dead: readonly DeadLettered[];
}

/** Counts a step for `node`, so that in = out + dead + dropped holds of a node that passes everything on. */
export function meterStep(meter: ActorMeter, node: string, { work, emits, drops, dead }: StepBalance): void {
  for (const { frame } of work) {
    meter.in += frame.n + frame.dead.filter((d) => d.node === node).length;
    meter.dropped += frame.head.shed;
  }
  for (const { batch } of emits) meter.out += batch.n;
  for (const { count } of drops) meter.dropped += count;
  const own = dead.filter((d) => d.node === node).length;
  meter.dead += own;
  meter.carriedDead += dead.length - own;
}
