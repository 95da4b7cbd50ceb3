import { comparePoints, END, formatPoint, type Point } from "../../../frame/point.ts";
import type { StepInput, StepRecord } from "../../../step/step-record.ts";
import { itemsWithin, type ModelLane } from "./lane-model.ts";
import type { LoggedStep, NodeHistory } from "./node-history.ts";
import { holds, Violation } from "./violation.ts";

/** Where a lane stands while its node's stream is gone through. */
interface Standing {
  readonly lane: ModelLane;
  cursor: Point;
}

/** I1, I3, I4, I6, I9 and I10 of one node, from its stream and from what its lanes carry. */
export function checkSteps(history: NodeHistory, lanes: readonly ModelLane[]): void {
  const check = new StepCheck(history.node, lanes);
  check.owners(history.owners);
  for (const logged of history.steps) check.step(logged);
  check.end();
}

class StepCheck {
  readonly #node: string;
  readonly #lanes: ReadonlyMap<string, ModelLane>;
  readonly #standing: Standing[] = [];
  readonly #nextSeq = new Map<string, number>();
  readonly #dead = new Set<string>();
  #at = 0;
  #watermark = Number.NEGATIVE_INFINITY;
  #since = Number.NEGATIVE_INFINITY;
  #epoch = -1;

  constructor(node: string, lanes: readonly ModelLane[]) {
    this.#node = node;
    this.#lanes = new Map(lanes.map((lane) => [lane.name, lane]));
  }

  owners(epochs: readonly number[]): void {
    epochs.forEach((epoch, i) => {
      holds(
        i === 0 || epoch > (epochs[i - 1] as number),
        "FENCE",
        () => `${this.#node}: owner ${epoch} follows a later one`,
      );
    });
  }

  step({ revision, epoch, step }: LoggedStep): void {
    const place = (): string => `${this.#node} step ${revision}`;
    for (const { lane, name } of step.opened) this.#open(lane, name, place());
    holds(epoch >= this.#epoch, "FENCE", () => `${place()}: epoch ${epoch} after ${this.#epoch}`);
    holds(step.at >= this.#at, "I4", () => `${place()}: tick falls from ${this.#at} to ${step.at}`);
    holds(step.out.watermark >= this.#watermark, "I4", () => `${place()}: output watermark falls`);
    holds(step.since >= this.#since, "I4", () => `${place()}: node watermark falls`);
    this.#epoch = epoch;
    this.#at = step.at;
    this.#watermark = step.out.watermark;
    this.#since = step.since;
    for (const input of step.inputs) this.#input(input, place());
    for (const { port, firstSeq, count } of step.emitted) {
      const next = this.#nextSeq.get(port) ?? 0;
      holds(firstSeq === next, "I3", () => `${place()}: port ${port} goes on at ${firstSeq}, not ${next}`);
      this.#nextSeq.set(port, next + count);
    }
    for (const { id, lane, pos, ord } of step.dead) {
      holds(!this.#dead.has(id), "I1", () => `${place()}: ${lane}@${pos}.${ord} is dead-lettered twice`);
      this.#dead.add(id);
    }
    this.#carriedDead(revision, step);
  }

  /** Every lane was consumed to its end (I9). */
  end(): void {
    for (const lane of this.#lanes.values()) {
      const standing = this.#standing.find((s) => s?.lane === lane);
      const last = lane.items.at(-1);
      if (last === undefined) continue;
      const behind = standing === undefined || comparePoints(standing.cursor, last) < 0;
      holds(!behind, "I9", () => `${lane.name} ends at ${formatPoint(last)} and was not consumed to it`);
    }
  }

  #open(number: number, name: string, place: string): void {
    const lane = this.#lanes.get(name);
    if (lane === undefined) throw new Violation("I8", `${place}: lane ${name} is not in the plan`);
    holds(this.#standing[number] === undefined, "I1", () => `${place}: lane number ${number} is given twice`);
    this.#standing[number] = { lane, cursor: lane.begin };
  }

  #input(input: StepInput, place: string): void {
    const standing = this.#standing[input.lane];
    if (standing === undefined) throw new Violation("I1", `${place}: lane ${input.lane} was never opened`);
    const { lane, cursor } = standing;
    const range = (): string => `${lane.name} (${formatPoint(input.from)}, ${formatPoint(input.to)}]`;
    holds(comparePoints(input.from, cursor) === 0, "I1", () => `${place}: ${range()} follows ${formatPoint(cursor)}`);
    holds(comparePoints(input.to, cursor) >= 0, "I4", () => `${place}: cursor of ${range()} falls`);
    standing.cursor = input.to;
    const carried = itemsWithin(lane.items, input.from, input.to).length;
    // A frame that was trimmed after an overflow still counts what it shed before the trimmed part.
    const accounted = input.messages <= carried && carried <= input.messages + input.shed;
    holds(
      accounted,
      "I10",
      () => `${place}: ${range()} has ${carried} messages, ${input.messages} came and ${input.shed} were shed`,
    );
    this.#exactWatermark(lane, input, place);
  }

  /** I6: on a lane of a source the watermark is a function of the position; only its end says more. */
  #exactWatermark(lane: ModelLane, input: StepInput, place: string): void {
    if (lane.watermarks === undefined || !input.exact || input.watermark === Number.POSITIVE_INFINITY) return;
    holds(input.to.ord === END, "I6", () => `${place}: ${lane.name} has an exact watermark inside a position`);
    let expected = Number.NEGATIVE_INFINITY;
    for (const { pos, watermark } of lane.watermarks) if (pos <= input.to.pos) expected = watermark;
    holds(
      input.watermark === expected,
      "I6",
      () => `${place}: ${lane.name} has watermark ${input.watermark} at ${formatPoint(input.to)}, not ${expected}`,
    );
  }

  /** Dead items that came with frames are written down by this receiver, once, and nothing else is. */
  #carriedDead(revision: number, step: StepRecord): void {
    const expected = new Set<string>();
    for (const { lane: number, from, to } of step.inputs) {
      const { lane } = this.#standing[number] as Standing;
      for (const item of itemsWithin(lane.items, from, to))
        if (item.deadAt !== undefined) expected.add(`${lane.name}@${formatPoint(item)} ${item.deadAt}`);
    }
    const written = step.dead.filter((d) => d.node !== this.#node).map((d) => `${d.lane}@${formatPoint(d)} ${d.node}`);
    for (const one of written) {
      holds(
        expected.delete(one),
        "I1",
        () => `${this.#node} step ${revision}: dead letter ${one} does not belong there`,
      );
    }
    const [left] = expected;
    holds(left === undefined, "I10", () => `${this.#node} step ${revision}: dead letter ${left} is missing`);
  }
}
