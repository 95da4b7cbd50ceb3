/** The parts of a step record that follow from the work alone. */
import { createHash } from "node:crypto";
import { invariant } from "../errors.ts";
import type { Trace } from "../frame/frame.ts";
import { comparePoints } from "../frame/point.ts";
import { deadLetterId } from "./dead-letter-id.ts";
import type { LaneCursor } from "./lane-cursor.ts";
import type { ProtocolRules } from "./protocol-rules.ts";
import type { StepChain } from "./step-chain.ts";
import type { DeadLettered, LaneOpened, StepInput } from "./step-record.ts";
import type { StepWork } from "./step-work.ts";

/** The consumed ranges in the order processed (R12); neighbours without messages become one. */
export function inputsOf(work: readonly StepWork[], rules: ProtocolRules): StepInput[] {
  const inputs: StepInput[] = [];
  const ordered = rules.R12 ? work : [...work].sort((a, b) => a.lane.number - b.lane.number);
  for (const item of ordered) {
    const input = inputOf(item);
    const last = inputs.at(-1);
    if (last !== undefined && isContinued(last, input)) {
      const watermark = last.exact ? Math.max(last.watermark, input.watermark) : input.watermark;
      const mark = input.mark ?? last.mark;
      inputs[inputs.length - 1] = { ...input, from: last.from, shed: last.shed + input.shed, watermark, mark };
    } else inputs.push(input);
  }
  return inputs;
}

function inputOf({ lane, frame }: StepWork): StepInput {
  const { from, to, watermark, exact, idle, mark, revision, shed } = frame.head;
  return {
    lane: lane.number,
    from,
    to,
    watermark,
    exact,
    idle,
    mark,
    revision,
    messages: frame.n + frame.dead.length,
    shed,
  };
}

/** What a range says of the watermark must not be lost behind one that does not know it. */
function isContinued(last: StepInput, next: StepInput): boolean {
  const isEmpty = last.messages === 0 && next.messages === 0;
  return isEmpty && last.lane === next.lane && next.exact && comparePoints(last.to, next.from) === 0;
}

/** Lanes that the stream names for the first time. */
export function openedBy(inputs: readonly StepInput[], lanes: readonly LaneCursor[], chain: StepChain): LaneOpened[] {
  const opened = new Map<number, LaneOpened>();
  for (const { lane } of inputs) {
    const cursor = lanes.find((l) => l.number === lane);
    invariant(cursor !== undefined, "a step consumes only lanes of its node");
    if (!chain.lanes.has(cursor.name)) opened.set(lane, { lane, name: cursor.name });
  }
  return [...opened.values()];
}

/** Deterministic, so that an append of unknown outcome can be recognised when it is retried (R17). 16 bytes. */
export function stepId(
  stream: string,
  epoch: number,
  expectedRevision: number,
  inputs: readonly StepInput[],
): Uint8Array {
  const hash = createHash("sha256").update(`${stream}\n${epoch}\n${expectedRevision}\n`);
  for (const i of inputs) hash.update(`${i.lane} ${i.from.pos} ${i.from.ord} ${i.to.pos} ${i.to.ord}\n`);
  return new Uint8Array(hash.digest().subarray(0, 16));
}

/** Dead items of pure nodes and of bisection, which the receiver writes down (R23). */
export function carriedDead(work: readonly StepWork[]): DeadLettered[] {
  const dead: DeadLettered[] = [];
  for (const { lane, frame } of work) {
    for (const d of frame.dead) {
      dead.push({ ...d, id: deadLetterId(lane.name, d.pos, d.ord, d.node), lane: lane.name });
    }
  }
  return dead;
}

/** What the step is a consequence of: that of the first frame which says. */
export function traceOf(work: readonly StepWork[]): Trace | null {
  for (const { frame } of work) if (frame.head.trace !== null) return frame.head.trace;
  return null;
}
