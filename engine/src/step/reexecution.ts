/**
 * Executes a node's logged steps again: the same slices in the same order, the same tick and recorded results must give the
 * same state events, outputs and dead letters, byte for byte (I5). Audit uses it to prove what the code did, simulation to
 * prove that a step records everything that decided it.
 */
import type { CommittedBehavior, Draft, InputSlice } from "../behavior/committed-behavior.ts";
import { encodeBatch } from "../frame/batch-codec.ts";
import { packState } from "../log/packed-payload.ts";
import { type LaneProgress, progressAfter, START_PROGRESS } from "./lane-cursor.ts";
import { leastWatermark } from "./step-chain.ts";
import { StepDraft } from "./step-draft.ts";
import type { StepRecord } from "./step-record.ts";

export interface ReexecutedLane {
  readonly name: string;
  readonly feedback: boolean;
  /** Watermark where the lane begins: at the cut of a revision its origin's, else `-Infinity`. */
  readonly beginWatermark: number;
  /** Revisions of the graph that have it. */
  readonly revisions: readonly number[];
}

export interface ReexecutionOptions {
  readonly node: string;
  /** Fresh, and made of the code that wrote the steps. */
  readonly behavior: CommittedBehavior;
  /** Every lane of the node, over all revisions of the graph. */
  readonly lanes: readonly ReexecutedLane[];
  /** Ports that lead anywhere: what others emit is dropped, not logged. */
  readonly connectedPorts: ReadonlySet<string>;
}

export interface StepInputs {
  /** Of the graph, when the step was made. */
  readonly graphRevision: number;
  /** By input of the step; `undefined` where it brought no messages. Poison messages of the node itself are left out. */
  readonly slices: readonly (InputSlice | undefined)[];
  /** What the behavior asked to run, for a step that it asked for. */
  readonly request?: ((draft: Draft) => void | Promise<void>) | undefined;
}

/** Runs through a stream from its first step. */
export class Reexecution {
  readonly #options: ReexecutionOptions;
  readonly #lanes: ReadonlyMap<string, ReexecutedLane & { progress: LaneProgress }>;
  readonly #names: string[] = [];
  readonly #nextSeq = new Map<string, number>();
  #watermark = Number.NEGATIVE_INFINITY;

  constructor(options: ReexecutionOptions) {
    this.#options = options;
    this.#lanes = new Map(
      options.lanes.map((lane) => [
        lane.name,
        { ...lane, progress: { ...START_PROGRESS, watermark: lane.beginWatermark } },
      ]),
    );
  }

  /** Executes the next step; returns how it differs from the record, or `undefined`. Throws what the behavior throws. */
  async execute(step: StepRecord, inputs: StepInputs): Promise<string | undefined> {
    const { behavior, node } = this.#options;
    const draft = new StepDraft(node, step.at, step.recorded);
    for (const { lane, name } of step.opened) this.#names[lane] = name;
    // Inputs without messages that moved the watermark earlier: by themselves they had no effect.
    this.#advance(draft, step.since);
    step.inputs.forEach((input, i) => {
      const slice = inputs.slices[i];
      if (slice !== undefined && slice.batch.n > 0) behavior.take(draft, slice);
      const lane = this.#lanes.get(this.#names[input.lane] ?? "");
      if (lane !== undefined) lane.progress = progressAfter(lane.progress, input);
    });
    const present = [...this.#lanes.values()].filter((lane) => lane.revisions.includes(inputs.graphRevision));
    const least = leastWatermark(present);
    if (least !== undefined) this.#advance(draft, least);
    await (inputs.request === undefined ? behavior.finish?.(draft) : inputs.request(draft));
    const difference = this.#difference(draft, step);
    behavior.seal();
    return difference;
  }

  #advance(draft: StepDraft, to: number): void {
    if (to <= this.#watermark) return;
    this.#options.behavior.advance?.(draft, to);
    this.#watermark = to;
  }

  #difference(draft: StepDraft, step: StepRecord): string | undefined {
    if (!sameBytes(packState(draft.changes), packState(step.state))) return "its state events differ";
    if (!sameBytes(packState(draft.recorded), packState(step.recorded))) return "its recorded results differ";
    if (!this.#emitsSame(draft, step)) return "its outputs differ";
    const own = new Set(draft.dead.map((d) => d.id));
    const missing = draft.dead.length > 0 && step.dead.filter((d) => own.has(d.id)).length !== own.size;
    return missing ? "its dead letters differ" : undefined;
  }

  #emitsSame(draft: StepDraft, step: StepRecord): boolean {
    const emits = draft.emits.filter((e) => this.#options.connectedPorts.has(e.port));
    if (emits.length !== step.emitted.length) return false;
    return emits.every(({ port, batch, late }, i) => {
      const logged = step.emitted[i];
      const firstSeq = this.#nextSeq.get(port) ?? 0;
      this.#nextSeq.set(port, firstSeq + batch.n);
      if (logged === undefined || logged.port !== port || logged.firstSeq !== firstSeq) return false;
      const marks = late.map(({ index, watermark }) => [firstSeq + index, watermark]);
      const loggedMarks = logged.late.map(({ pos, watermark }) => [pos, watermark]);
      return sameBytes(packState([encodeBatch(batch), marks]), packState([logged.batch, loggedMarks]));
    });
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
