/** What a committed node takes next: what failed before, then frames of its mailbox as their lanes admit them. */

import type { Frame } from "../frame/frame.ts";
import { comparePoints } from "../frame/point.ts";
import type { Mailbox } from "../mailbox/mailbox.ts";
import type { Alignment } from "./alignment.ts";
import type { LaneCursor } from "./lane-cursor.ts";
import type { ProtocolRules } from "./protocol-rules.ts";
import type { StepWork } from "./step-work.ts";

export interface StepIntakeOptions {
  readonly mailbox: Mailbox;
  readonly lanes: readonly LaneCursor[];
  readonly rules: ProtocolRules;
  /** Absent: every lane is taken from as its frames come. */
  readonly alignment?: Alignment | undefined;
  /** Frames of another revision of the graph are left out. */
  readonly graphRevision: number;
}

export class StepIntake {
  readonly #mailbox: Mailbox;
  readonly #graphRevision: number;
  readonly #alignment: Alignment | undefined;
  readonly #byPath = new Map<number, LaneCursor>();
  readonly #hasLoop: boolean;
  readonly #again: StepWork[] = [];

  constructor({ mailbox, lanes, rules, alignment, graphRevision }: StepIntakeOptions) {
    this.#mailbox = mailbox;
    this.#alignment = alignment;
    this.#graphRevision = graphRevision;
    this.#hasLoop = rules.R25 && lanes.some((lane) => lane.feedback);
    for (const lane of lanes) this.#byPath.set(lane.path, rules.R1 ? lane : firstOf(lanes, lane));
  }

  /** Work that failed as part of a step waits, to be done first. */
  get hasFailed(): boolean {
    return this.#again.length > 0;
  }

  get isEmpty(): boolean {
    return this.#again.length === 0 && this.#mailbox.isEmpty;
  }

  /** Something has come back through a loop. It is taken even when outputs are backed up: only that makes room in the loop (R25). */
  get hasFeedback(): boolean {
    return this.#hasLoop && this.#mailbox.peek(this.#isFeedback) !== undefined;
  }

  /** Puts work in front of everything that waits. */
  putBack(work: readonly StepWork[]): void {
    this.#again.unshift(...work);
  }

  /** What the next step will consume: one piece of work that failed before, or as many waiting frames as fit. */
  gather(messagesMax: number, hasRoom: boolean): StepWork[] {
    const again = this.#again.shift();
    if (again !== undefined) return [again];
    const work: StepWork[] = [];
    for (let messages = 0; messages < messagesMax; ) {
      const frame = this.#nextFrame(hasRoom);
      if (frame === undefined) break;
      const admitted = this.#admit(frame);
      if (admitted === undefined) continue;
      admitted.lane.admitted(admitted.frame.head);
      this.#alignment?.admitted(admitted.frame.head);
      work.push(admitted);
      messages += admitted.frame.n;
    }
    return work;
  }

  readonly #isFeedback = (frame: Frame): boolean => this.#byPath.get(frame.head.path)?.feedback === true;

  /** Feedback first. */
  #nextFrame(hasRoom: boolean): Frame | undefined {
    const returned = this.#hasLoop ? this.#mailbox.take(this.#isFeedback) : undefined;
    return returned === undefined && hasRoom ? this.#mailbox.take(this.#alignment?.mayTake) : returned;
  }

  #admit(frame: Frame): StepWork | undefined {
    const lane = this.#byPath.get(frame.head.path);
    if (lane === undefined || frame.head.revision !== this.#graphRevision) return undefined;
    const admission = lane.admit(frame);
    if (admission.verdict === "take") return { lane, frame: admission.frame, attempts: 0 };
    if (admission.verdict === "gap") lane.ask(frame);
    else if (comparePoints(lane.durable, frame.head.to) >= 0) lane.settle(lane.durable, lane.durableAnchor);
    return undefined;
  }
}

/** One cursor for all lanes of an origin (R1 switched off). */
function firstOf(lanes: readonly LaneCursor[], lane: LaneCursor): LaneCursor {
  return lanes.find((other) => other.origin === lane.origin) ?? lane;
}
