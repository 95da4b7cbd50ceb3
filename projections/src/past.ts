/**
 * Rows as they were: the log folded up to a position into memory. The newest few are kept, because a person who looks at one
 * moment asks more than once.
 */
import type { EventLog } from "@millrace/engine";
import { carriedRowsInMemory } from "./carried-rows.ts";
import { type Projection, presentEvent } from "./projection.ts";
import { MemoryRows } from "./row/memory-rows.ts";
import { Shapes } from "./row/row-codec.ts";
import { RowTable } from "./row/row-table.ts";

/** The rows of a projection at a position. */
export interface PastRows {
  readonly position: number;
  readonly rows: MemoryRows;
  readonly shapes: Shapes;
}

/** A moment: a position of the log, exclusive, or the end of a millisecond since 1970. */
export type Moment = { readonly position: number } | { readonly timeMs: number };

const KEPT_MAX = 4;

export class Past {
  readonly #log: EventLog;
  readonly #kept = new Map<string, Promise<PastRows>>();

  constructor(log: EventLog) {
    this.#log = log;
  }

  /** Kept by position: which one a moment is may still change while the log grows, what was there does not. */
  async at(projection: Projection, moment: Moment): Promise<PastRows> {
    const position = "position" in moment ? moment.position : await positionAfter(this.#log, moment.timeMs);
    const name = JSON.stringify([projection.name, projection.version, position]);
    const kept = this.#kept.get(name) ?? foldUpTo(this.#log, projection, position);
    this.#kept.delete(name);
    this.#kept.set(name, kept);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > KEPT_MAX && oldest !== undefined) this.#kept.delete(oldest);
    kept.catch(() => this.#kept.delete(name));
    return kept;
  }
}

/** Folds everything before a position. */
async function foldUpTo(log: EventLog, projection: Projection, end: number): Promise<PastRows> {
  const carried = await carriedRowsInMemory(log, projection);
  const { rows, shapes } = carried ?? { rows: new MemoryRows(), shapes: new Shapes() };
  const table = new RowTable(projection, shapes, rows);
  // What is asked for below what is left is LOG-PRUNED, and so is the past of rows that were not carried.
  const from = Math.min(carried?.position ?? 0, end);
  for await (const events of log.read({ from, filter: projection.handles })) {
    for (const event of events) {
      if (event.position >= end) return { position: end, rows, shapes };
      table.at(event.position);
      projection.fold(table, presentEvent(projection, event));
    }
  }
  return { position: end, rows, shapes };
}

type TimedLog = Pick<EventLog, "base" | "durableEnd" | "read">;

/**
 * The first position whose event is later than `timeMs`. Time never falls with position, so it is found by halving.
 *
 * @throws LOG-PRUNED that position was pruned
 */
export async function positionAfter(log: TimedLog, timeMs: number): Promise<number> {
  const base = log.base ?? 0;
  let low = base;
  let high = log.durableEnd;
  while (low < high) {
    // Positions of a log in EventStoreDB are places in its files: they outgrow 32 bits.
    const middle = Math.floor((low + high) / 2);
    if ((await timeAt(log, middle)) <= timeMs) low = middle + 1;
    else high = middle;
  }
  // Earlier than all that is left: which of the pruned ones it would have been, nobody can say.
  if (low === base && base > 0) await timeAt(log, base - 1);
  return low;
}

async function timeAt(log: TimedLog, position: number): Promise<number> {
  for await (const [event] of log.read({ from: position, limit: 1 })) if (event !== undefined) return event.timeMs;
  return Number.POSITIVE_INFINITY;
}
