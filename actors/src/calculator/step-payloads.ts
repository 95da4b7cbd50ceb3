/** What becomes of payloads in the step of a calculator: lent, validated, put, and held until the step is over. */
import {
  type Json,
  type LentPayload,
  MillraceError,
  type PayloadExchange,
  type PayloadReference,
  payloadError,
  referencesIn,
} from "@millrace/engine";
import type { Outcome } from "./calculator-host.ts";
import { type BatchPayloads, type CalculatorPayloads, type PayloadUse, withValues } from "./calculator-payloads.ts";

/** A step's payloads: what it made is held until it is sealed or discarded (P-R19). */
export class StepPayloads {
  readonly #payloads: CalculatorPayloads;
  #scope: ReturnType<PayloadExchange["scope"]> | undefined;

  constructor(payloads: CalculatorPayloads) {
    this.#payloads = payloads;
  }

  end(): void {
    this.#scope?.end();
  }

  /**
   * Lends what the rows name, runs them, and believes the outcomes only if every byte that was read was the payload's (P-R6,
   * P-R7). A row whose payload nobody has any more fails alone.
   *
   * @throws PAYLOAD-LEASE-LOST (transient) the rows must be calculated again
   */
  async run(
    rows: readonly Json[],
    calculate: (rows: readonly Json[], payloads: BatchPayloads) => Promise<readonly Outcome[]>,
  ): Promise<readonly Outcome[]> {
    const { exchange } = this.#payloads;
    if (!exchange.isUsed)
      return calculate(
        rows,
        this.#batch([], () => undefined),
      );
    const lent = new Map<string, LentPayload>();
    let isLost = false;
    try {
      const missing = await this.#lend(rows, lent);
      const able = missing.size === 0 ? rows : rows.filter((_, i) => !missing.has(i));
      const batch = this.#batch([...lent.values()], (use) => {
        isLost ||= use.isLost;
      });
      const outcomes = able.length === 0 ? [] : await calculate(able, batch);
      for (const payload of lent.values()) isLost = !payload.release() || isLost;
      if (isLost && this.#mustValidate(outcomes))
        throw payloadError("PAYLOAD-LEASE-LOST", "a payload was freed while the calculator read it");
      if (missing.size === 0) return outcomes;
      const next = outcomes[Symbol.iterator]();
      return rows.map((_, i) => missing.get(i) ?? (next.next().value as Outcome));
    } finally {
      for (const payload of lent.values()) payload.release();
    }
  }

  #mustValidate(outcomes: readonly Outcome[]): boolean {
    const { rules } = this.#payloads.exchange;
    const hasFailed = outcomes.some((outcome) => "error" in outcome);
    return hasFailed ? rules["P-R7"] : rules["P-R6"];
  }

  #batch(lent: readonly LentPayload[], used: (use: PayloadUse) => void): BatchPayloads {
    const { exchange, intake } = this.#payloads;
    this.#scope ??= exchange.scope();
    const scope = this.#scope;
    return {
      lent,
      take: (messages) => withValues(messages, (bytes, format) => intake.take(bytes, format, scope)),
      note(use) {
        exchange.note(use);
        used(use);
      },
    };
  }

  /** By index of their row, the failures of rows whose payloads are gone. */
  async #lend(rows: readonly Json[], lent: Map<string, LentPayload>): Promise<ReadonlyMap<number, Outcome>> {
    const missing = new Map<number, Outcome>();
    for (const [i, row] of rows.entries()) {
      for (const reference of referencesIn(row).values()) {
        const failure = lent.has(reference.sha256) ? undefined : await this.#lendOne(reference, lent);
        if (failure !== undefined) missing.set(i, failure);
      }
    }
    return missing;
  }

  async #lendOne(reference: PayloadReference, lent: Map<string, LentPayload>): Promise<Outcome | undefined> {
    try {
      lent.set(reference.sha256, await this.#payloads.exchange.lend(reference));
      return undefined;
    } catch (error) {
      if (error instanceof MillraceError && error.code === "PAYLOAD-MISSING") return { error, attempts: 1 };
      throw error;
    }
  }
}
