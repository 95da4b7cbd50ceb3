/**
 * Says in a step of its own that a source is idle: nothing came for a while, though something could have. Only the source knows
 * that; a receiver cannot tell silence from a failure. Until the source emits again nobody waits for its watermark.
 */
import type { CommittedContext, Env, Timer } from "@millrace/engine";

export interface SilenceOptions {
  readonly env: Pick<Env, "clock" | "timers">;
  readonly afterMs: number;
  /** False while something is under way, or could not come: then the silence has not begun. */
  readonly isQuiet: () => boolean;
}

/** How often it is looked within the silence, so that a source that could not be reached is given time once it is. */
const LOOKS = 4;

export class Silence {
  readonly #options: SilenceOptions;
  readonly #context: CommittedContext;
  #isSaid: boolean;
  #heardMs: number;
  #timer: Timer | undefined;

  /** Begins with the node; what was said before a restart holds. */
  constructor(context: CommittedContext, options: SilenceOptions) {
    this.#options = options;
    this.#context = context;
    this.#isSaid = context.output.idle;
    this.#heardMs = options.env.clock.monotonic();
    context.signal.addEventListener("abort", () => this.#timer?.cancel(), { once: true });
    if (!this.#isSaid) this.#wait();
  }

  /** Something came. */
  broken(): void {
    this.#isSaid = false;
    this.#heardMs = this.#options.env.clock.monotonic();
    this.#wait();
  }

  #wait(): void {
    if (this.#context.signal.aborted) return;
    const { env, afterMs } = this.#options;
    this.#timer ??= env.timers.after(Math.max(1, afterMs / LOOKS), () => {
      this.#timer = undefined;
      this.#look();
    });
  }

  #look(): void {
    const { env, afterMs, isQuiet } = this.#options;
    const now = env.clock.monotonic();
    if (!isQuiet()) this.#heardMs = now;
    if (now - this.#heardMs < afterMs) this.#wait();
    else this.#say();
  }

  #say(): void {
    this.#isSaid = true;
    const said = this.#context.request((draft) => {
      if (this.#isSaid) draft.restOutput();
    });
    // A refused step is asked for again after another silence.
    said.catch(() => this.broken());
  }
}
