/** Payloads that the frames of one origin name: held until every lane has durably passed the frame (P-R15). */
import type { Batch } from "../frame/batch.ts";
import { ColumnBatch } from "../frame/batch.ts";
import type { Frame } from "../frame/frame.ts";
import { comparePoints, type Point } from "../frame/point.ts";
import type { PayloadExchange } from "./payload-exchange.ts";
import { type PayloadReference, referencesIn } from "./payload-value.ts";

/** What the kernel asks of the exchange. */
export type PayloadHolds = Pick<PayloadExchange, "isUsed" | "retain" | "release" | "keep">;

export class FrameHolds {
  readonly #payloads: PayloadHolds | undefined;
  #held: { readonly to: Point; readonly references: readonly PayloadReference[] }[] = [];
  #bytes = 0;

  constructor(payloads: PayloadHolds | undefined) {
    this.#payloads = payloads;
  }

  /** Bytes of payloads that are held, each as often as a frame names it. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A graph whose host has seen no payload pays one condition for a frame. `named`: what the frame names, where that is known. */
  hold(frame: Frame, named?: readonly PayloadReference[]): void {
    const payloads = this.#payloads;
    if (payloads?.isUsed !== true) return;
    const references = named ?? [...referencesOfFrame(frame).values()];
    if (references.length === 0) return;
    for (const reference of references) {
      payloads.retain(reference);
      this.#bytes += reference.length;
    }
    this.#held.push({ to: frame.head.to, references });
  }

  /** Every lane has durably passed this point. */
  releaseThrough(point: Point): void {
    if (this.#held.length === 0) return;
    let passed = 0;
    for (const { to, references } of this.#held) {
      if (comparePoints(to, point) > 0) break;
      this.#release(references);
      passed++;
    }
    this.#held.splice(0, passed);
  }

  /** The origin stops, or goes back: what is sent again is held again. `isUnsure`: receivers may have logged it. */
  releaseAll(isUnsure = false): void {
    for (const { references } of this.#held.splice(0)) this.#release(references, isUnsure);
  }

  #release(references: readonly PayloadReference[], isUnsure = false): void {
    for (const reference of references) {
      this.#payloads?.release(reference, isUnsure);
      this.#bytes -= reference.length;
    }
  }
}

/** Of its messages, and of inputs that became dead letters on the way. */
export function referencesOfFrame({ batch, dead }: Frame): Map<string, PayloadReference> {
  const found = referencesOfBatch(batch);
  for (const { input } of dead) referencesIn(input, found);
  return found;
}

/** Payloads are objects, which stand in columns of JSON values only. */
function referencesOfBatch(batch: Batch): Map<string, PayloadReference> {
  if (!(batch instanceof ColumnBatch)) return referencesIn(batch.rows());
  const found = new Map<string, PayloadReference>();
  for (const column of batch.columns.values()) {
    if (column.type !== "json") continue;
    for (let i = 0; i < batch.n; i++) referencesIn(column.values[batch.at(i)], found);
  }
  return found;
}
