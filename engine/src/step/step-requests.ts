/** Steps without inputs that were asked for (R13): each is answered once, when its step is durable or can't be. */
import type { Draft } from "../behavior/committed-behavior.ts";

/** What the step shall do. */
export type StepRun = (draft: Draft) => void | Promise<void>;

export interface StepRequest {
  readonly run: StepRun;
  readonly landed: (position: number) => void;
  readonly refused: (error: unknown) => void;
}

export class StepRequests {
  readonly #waiting: StepRequest[] = [];
  /** Those that were begun and are neither durable nor refused. */
  readonly #begun = new Set<StepRequest>();
  #paused = false;

  /** Nothing waits that may be begun. */
  get isEmpty(): boolean {
    return this.#paused || this.#waiting.length === 0;
  }

  /** Lets requests wait until {@link unpause}. */
  pause(): void {
    this.#paused = true;
  }

  unpause(): void {
    this.#paused = false;
  }

  /** Resolves with the position of the step. */
  ask(run: StepRun): Promise<number> {
    return new Promise((landed, refused) => {
      this.#waiting.push({ run, landed, refused });
    });
  }

  begin(): StepRequest | undefined {
    const request = this.#paused ? undefined : this.#waiting.shift();
    if (request !== undefined) this.#begun.add(request);
    return request;
  }

  land(request: StepRequest, position: number): void {
    this.#begun.delete(request);
    request.landed(position);
  }

  refuse(request: StepRequest, error: unknown): void {
    this.#begun.delete(request);
    request.refused(error);
  }

  refuseAll(error: unknown): void {
    for (const request of [...this.#begun, ...this.#waiting.splice(0)]) request.refused(error);
    this.#begun.clear();
  }
}
