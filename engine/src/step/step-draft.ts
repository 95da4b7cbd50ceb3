import type { Draft, InputSlice, LateEmit, StateEvent } from "../behavior/committed-behavior.ts";
import type { MessageFailure } from "../behavior/pure-behavior.ts";
import { engineError, invariant, reportOf } from "../errors.ts";
import type { Batch } from "../frame/batch.ts";
import type { Json } from "../frame/json.ts";
import { deadLetterId } from "./dead-letter-id.ts";
import { ALL_RULES, type ProtocolRules } from "./protocol-rules.ts";
import type { DeadLettered, Dropped } from "./step-record.ts";

const NO_LATE: readonly LateEmit[] = [];

/** A step in the making: collects what a behavior does, so that it can become one append or be thrown away (R14). */
export class StepDraft implements Draft {
  readonly at: number;
  readonly emits: { readonly port: string; readonly batch: Batch; readonly late: readonly LateEmit[] }[] = [];
  readonly changes: StateEvent[] = [];
  readonly dead: DeadLettered[] = [];
  readonly recorded: Json[] = [];
  readonly #drops = new Map<string, number>();
  readonly #node: string;
  readonly #replayed: readonly Json[] | undefined;
  readonly #rules: ProtocolRules;
  /** Output watermark asked for by a node without inputs. */
  watermark: number | undefined;
  /** A node without inputs has nothing now. */
  rests = false;

  /** With `replayed`, results come from an earlier execution of the same step, in call order (R13). */
  constructor(node: string, at: number, replayed?: readonly Json[], rules: ProtocolRules = ALL_RULES) {
    this.#node = node;
    this.at = at;
    this.#replayed = replayed;
    this.#rules = rules;
  }

  get drops(): readonly Dropped[] {
    return [...this.#drops].map(([reason, count]) => ({ reason, count }));
  }

  emit(port: string, batch: Batch, late: readonly LateEmit[] = NO_LATE): void {
    if (batch.n > 0) this.emits.push({ port, batch, late });
  }

  change(event: StateEvent): void {
    this.changes.push(event);
  }

  reject(slice: InputSlice, failures: readonly MessageFailure[], attempts = 1): void {
    for (const { index, error } of failures) {
      const { pos, ord } = slice.positions.point(index);
      const id = deadLetterId(slice.lane, pos, ord, this.#node);
      this.dead.push({
        id,
        lane: slice.lane,
        pos,
        ord,
        node: this.#node,
        attempts,
        error: reportOf(error),
        input: slice.batch.row(index),
      });
    }
  }

  drop(count: number, reason: string): void {
    if (count > 0) this.#drops.set(reason, (this.#drops.get(reason) ?? 0) + count);
  }

  advanceOutput(watermarkMs: number): void {
    this.watermark = watermarkMs;
  }

  restOutput(): void {
    this.rests = true;
  }

  record<T extends Json>(obtain: () => T): T {
    const value = this.#replayed === undefined ? obtain() : this.#next<T>();
    this.recorded.push(value);
    return value;
  }

  async recordAsync<T extends Json>(obtain: () => Promise<T>): Promise<T> {
    if (!this.#rules["R13-order"]) return this.#recordAnswer(obtain);
    const at = this.recorded.push(null) - 1;
    const value = this.#replayed === undefined ? await obtain() : this.#recordedAt<T>(at);
    this.recorded[at] = value;
    return value;
  }

  /** Where a result stands without the rule: behind whatever was answered before it. */
  async #recordAnswer<T extends Json>(obtain: () => Promise<T>): Promise<T> {
    const value = await obtain();
    this.recorded.push(value);
    return value;
  }

  #next<T extends Json>(): T {
    return this.#recordedAt<T>(this.recorded.length);
  }

  #recordedAt<T extends Json>(at: number): T {
    invariant(this.#replayed !== undefined, "only a replayed draft has recorded results");
    if (at >= this.#replayed.length) {
      throw engineError(
        "NODE-NONDETERMINISM",
        `node ${this.#node} asked for result ${at} of a step that recorded ${this.#replayed.length}`,
      );
    }
    return this.#replayed[at] as T;
  }
}
