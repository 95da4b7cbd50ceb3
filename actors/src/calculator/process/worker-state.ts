import type { StateEvent } from "@millrace/engine";
import type { CalculatorState } from "../calculator-host.ts";
import { patchBetween, patched } from "./state-patch.ts";

/** The state of a calculator beside its process: as sealed steps left it, as the step in the making has it, and who holds it. */
export class WorkerState implements CalculatorState {
  #sealed: StateEvent = null;
  #current: StateEvent = null;
  /** Whether the process has the current state: a new one has none, and one that failed may have any. */
  isHeld = false;

  get current(): StateEvent {
    return this.#current;
  }

  /** What the rows of this step changed; `null` for nothing. */
  get patch(): StateEvent {
    return patchBetween(this.#sealed, this.#current);
  }

  /** The process says that it has come here. */
  reached(state: StateEvent): void {
    this.#current = state;
    this.isHeld = true;
  }

  seal(): void {
    this.#sealed = this.#current;
  }

  discard(): void {
    if (this.#current !== this.#sealed) this.isHeld = false;
    this.#current = this.#sealed;
  }

  fold(patch: StateEvent): void {
    this.#current = patched(this.#current, patch);
    this.isHeld = false;
  }

  snapshot(): StateEvent {
    return this.#sealed;
  }

  restore(state: StateEvent): void {
    this.#sealed = state;
    this.#current = state;
    this.isHeld = false;
  }
}
