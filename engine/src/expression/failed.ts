/**
 * Thrown inside compiled expressions when a message has no result. Not an `Error`: a frame may hold thousands of such
 * messages, and a stack trace of our own closures costs more than the evaluation and tells nobody anything.
 */
export class Failed {
  readonly message: string;
  /** Offset in the expression's source. */
  readonly at: number;

  constructor(message: string, at: number) {
    this.message = message;
    this.at = at;
  }
}

/** Thrown while compiling: what `failure` says holds for every message, because it is about constants. */
export class Hopeless {
  readonly failure: Failed;

  constructor(message: string, at: number) {
    this.failure = new Failed(message, at);
  }
}
