/** Finds the message that makes a step fail: each frame alone, then halves of it, down to one message, which becomes a dead letter. */
import type { StateEvent } from "../behavior/committed-behavior.ts";
import { reportOf } from "../errors.ts";
import { EMPTY_BATCH } from "../frame/batch.ts";
import type { Frame } from "../frame/frame.ts";
import type { Json } from "../frame/json.ts";
import { comparePoints } from "../frame/point.ts";
import { Positions } from "../frame/positions.ts";
import { packState } from "../log/packed-payload.ts";
import { bisected, type StepWork } from "./step-work.ts";

export interface Blame {
  readonly node: string;
  readonly error: unknown;
  /** A larger input is left out of its dead letter, which else would fill a step. Bytes. */
  readonly inputBytesMax: number;
}

/** What to try next in place of `work`, in order; `undefined` when there is no message to blame. */
export function isolated(work: readonly StepWork[], blame: Blame): readonly StepWork[] | undefined {
  if (work.length > 1) return work;
  const [only] = work;
  if (only === undefined || only.frame.n === 0) return undefined;
  return only.frame.n > 1 ? bisected(only) : [{ ...only, frame: buried(only, blame) }];
}

/** The range of a poison message, with a dead item in its place. */
function buried({ frame, attempts }: StepWork, { node, error, inputBytesMax }: Blame): Frame {
  const { pos, ord } = frame.positions.point(0);
  const input = keepable(frame.batch.row(0), inputBytesMax);
  const dead = { pos, ord, node, attempts: attempts + 1, error: reportOf(error), input };
  return frame.carrying(EMPTY_BATCH, Positions.NONE, [...frame.dead, dead].sort(comparePoints));
}

function keepable(input: Json, bytesMax: number): Json | undefined {
  return packState(input as StateEvent).length <= bytesMax ? input : undefined;
}
