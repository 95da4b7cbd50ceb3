import { Frame } from "../frame/frame.ts";
import { comparePoints } from "../frame/point.ts";

/** Neither messages nor dead items: a range, and perhaps a mark. */
export function isBare(frame: Frame): boolean {
  return frame.n === 0 && frame.dead.length === 0;
}

/**
 * Two empty frames of one lane as one, if the second follows the first (R3, R25); `undefined` otherwise. Of two marks the newer
 * stays, because it says all that the older one said.
 */
export function joinedEmpty(first: Frame, second: Frame): Frame | undefined {
  if (!isBare(first) || !isBare(second) || !continues(first, second)) return undefined;
  const { from, shed, mark, bornMs } = first.head;
  const { head } = second;
  return Frame.empty({ ...head, from, shed: shed + head.shed, mark: head.mark ?? mark, bornMs });
}

function continues(first: Frame, second: Frame): boolean {
  const a = first.head;
  const b = second.head;
  return (
    a.generation === b.generation &&
    a.epoch === b.epoch &&
    a.revision === b.revision &&
    (b.exact || !a.exact) &&
    comparePoints(a.to, b.from) === 0
  );
}
