/** Payloads that steps name: held from the draft until the outputs hold them (P-R15). */
import type { PayloadHolds } from "../payload/frame-holds.ts";
import { type PayloadReference, referencesIn } from "../payload/payload-value.ts";

export type NamedPayloads = readonly PayloadReference[];

export class StepPayloads {
  readonly #payloads: PayloadHolds | undefined;
  /** Of steps that are neither durable nor lost. */
  readonly #named = new Set<NamedPayloads>();

  constructor(payloads: PayloadHolds | undefined) {
    this.#payloads = payloads;
  }

  /** Holds what a step names while it is on its way; `undefined`: it names none. */
  hold(step: object): NamedPayloads | undefined {
    const payloads = this.#payloads;
    if (payloads?.isUsed !== true) return undefined;
    const references = [...referencesIn(step).values()];
    if (references.length === 0) return undefined;
    for (const reference of references) payloads.retain(reference);
    this.#named.add(references);
    return references;
  }

  /** The step is durable: the log names them now. */
  landed(references: NamedPayloads): void {
    this.#payloads?.keep(references);
    this.#letGo(references, false);
  }

  /** What was appended may be durable all the same: the next start finds out. */
  stop(): void {
    for (const references of [...this.#named]) this.#letGo(references, true);
  }

  #letGo(references: NamedPayloads, isUnsure: boolean): void {
    if (!this.#named.delete(references)) return;
    for (const reference of references) this.#payloads?.release(reference, isUnsure);
  }
}
