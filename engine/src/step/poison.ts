/** Finds the message that makes a step fail: each frame alone, then halves of it, down to one message, which becomes a dead letter. */
import type { StateEvent } from "../behavior/committed-behavior.ts";
import { MillraceError, reportOf } from "../errors.ts";
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
  if (only === undefined) return undefined;
  const { frame } = only;
  // What was given up before is written down, not computed: it can be to blame for the size of a step alone.
  if (isOfSize(blame.error) && frame.dead.length > 0) return lighter(only, blame);
  if (frame.n === 0) return undefined;
  return frame.n > 1 ? bisected(only) : [{ ...only, frame: buried(only, blame) }];
}

function isOfSize(error: unknown): boolean {
  return error instanceof MillraceError && (error.code === "LOG-TOO-LARGE" || error.code === "MSG-SIZE");
}

/** Fewer dead letters in one step, down to one, which is then written down without what it was made of. */
function lighter(work: StepWork, { inputBytesMax }: Blame): readonly StepWork[] | undefined {
  const { frame } = work;
  if (frame.n + frame.dead.length > 1) return bisected(work);
  const [dead] = frame.dead;
  const input = dead?.input === undefined ? undefined : keepable(dead.input, inputBytesMax);
  if (dead === undefined || input === dead.input) return undefined;
  return [{ ...work, frame: frame.carrying(frame.batch, frame.positions, [{ ...dead, input }]) }];
}

/** The range of a poison message, with a dead item in its place. */
function buried({ frame, attempts }: StepWork, { node, error, inputBytesMax }: Blame): Frame {
  const { pos, ord } = frame.positions.point(0);
  const input = keepable(frame.batch.row(0), inputBytesMax);
  const dead = { pos, ord, node, attempts: attempts + 1, error: reportOf(error), input };
  return frame.carrying(EMPTY_BATCH, Positions.NONE, [...frame.dead, dead].sort(comparePoints));
}

function keepable(input: Json, bytesMax: number): Json | undefined {
  try {
    return packState(input as StateEvent).length <= bytesMax ? input : undefined;
  } catch (error) {
    if (isOfSize(error)) return undefined;
    throw error;
  }
}
