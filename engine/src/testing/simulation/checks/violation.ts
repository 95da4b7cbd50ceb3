/** An invariant of step-protocol §9 (or one of the log) that does not hold. */
export class Violation extends Error {
  constructor(invariant: string, what: string) {
    super(`${invariant} ${what}`);
  }
}

export function holds(condition: boolean, invariant: string, what: () => string): asserts condition {
  if (!condition) throw new Violation(invariant, what());
}
