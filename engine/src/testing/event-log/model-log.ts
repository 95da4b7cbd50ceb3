/** What a log must hold, as an array and the heads that follow from it. Models of what is built on a log are built on this one. */
import type { ExpectedRevision } from "../../log/event-log.ts";

export interface ModelEvent<E> {
  readonly stream: string;
  readonly revision: number;
  readonly event: E;
}

export interface ModelAppend<E> {
  readonly stream: string;
  readonly expected: ExpectedRevision;
  readonly events: readonly E[];
}

export class ModelLog<E> {
  /** By position. */
  readonly events: ModelEvent<E>[] = [];

  /** Revision of the last event of a stream, -1 when there is none. */
  head(stream: string): number {
    return this.last(stream)?.revision ?? -1;
  }

  last(stream: string): ModelEvent<E> | undefined {
    return this.events.findLast((one) => one.stream === stream);
  }

  holds(stream: string, expected: ExpectedRevision): boolean {
    const head = this.head(stream);
    if (expected === "any") return true;
    if (expected === "none") return head === -1;
    return expected === "exists" ? head >= 0 : head === expected;
  }

  /** All or nothing; false when an expectation does not hold. */
  append(appends: readonly ModelAppend<E>[]): boolean {
    if (!appends.every(({ stream, expected }) => this.holds(stream, expected))) return false;
    for (const { stream, events } of appends) {
      const head = this.head(stream);
      for (const [i, event] of events.entries()) this.events.push({ stream, revision: head + 1 + i, event });
    }
    return true;
  }

  /** Positions of the events of one stream, of all without one. */
  places(stream?: string): readonly number[] {
    return this.events.flatMap((one, position) => (stream === undefined || one.stream === stream ? [position] : []));
  }
}

/** What a reader who begins at the index `at` gets of a list. */
export function sliceFrom<T>(
  list: readonly T[],
  at: number,
  isBackward: boolean,
  limit = Number.POSITIVE_INFINITY,
): T[] {
  const chosen = list.filter((_, i) => (isBackward ? i <= at : i >= at));
  if (isBackward) chosen.reverse();
  return chosen.slice(0, limit);
}
