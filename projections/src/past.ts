/**
 * Rows as they were: the log folded up to a position, in tables of the store beside those of the rows that are live. The newest few are
 * kept, because a person who looks at one moment asks more than once. There are no more tables than that, and few are filled at once:
 * whoever asks for one more is told to come back.
 */
import type { EventLog, OrderedStore } from "@millrace/engine";
import { projectionError } from "./errors.ts";
import { emptyTable, PastFold } from "./past-fold.ts";
import type { Projection } from "./projection.ts";
import type { RowRange } from "./query.ts";
import type { Shapes } from "./row/row-codec.ts";

/** The rows of a projection at a position. */
export interface PastRows {
  readonly position: number;
  readonly rows: RowRange;
  readonly shapes: Shapes;
}

/** A moment: a position of the log, exclusive, or the end of a millisecond since 1970. */
export type Moment = { readonly position: number } | { readonly timeMs: number };

const KEPT_MAX = 4;
const FOLDING_MAX = 2;
const RETRY_AFTER_MS = 2000;

export interface PastOptions {
  readonly log: EventLog;
  readonly store: OrderedStore;
  /** Most bytes of rows at one moment. */
  readonly bytesMax: number;
}

export class Past {
  readonly #options: PastOptions;
  /** By projection and position; those that were asked for last are last. */
  readonly #kept = new Map<string, PastFold>();
  readonly #free: string[] = Array.from({ length: KEPT_MAX }, (_, i) => `projection-past/${i}`);
  readonly #folding = new Set<PastFold>();
  readonly #releasing = new Set<Promise<void>>();

  constructor(options: PastOptions) {
    this.#options = options;
  }

  /**
   * Gives what `read` makes of the rows at a moment. Kept by position: which one a moment is may still change while the log grows,
   * what was there does not.
   *
   * @throws PROJECTION-BUSY, PROJECTION-PAST-SIZE, the signal's reason
   */
  async read<T>(projection: Projection, moment: Moment, signal: AbortSignal, read: (past: PastRows) => T): Promise<T> {
    const { log, store } = this.#options;
    const position = "position" in moment ? moment.position : await positionAfter(log, moment.timeMs);
    const name = JSON.stringify([projection.name, projection.version, position]);
    const kept = this.#kept.get(name);
    const fold = kept === undefined || kept.isAbandoned ? this.#begin(name, projection, position) : kept;
    this.#kept.delete(name);
    this.#kept.set(name, fold);
    return fold.use(signal, () => {
      const { table, shapes } = fold;
      const range: RowRange["range"] = (gte, lt, reverse) => store.range(table, { gte, lt, reverse });
      return read({ position, rows: { range }, shapes });
    });
  }

  /** Deletes what a process left that ended without a stop. */
  start(): void {
    const { store } = this.#options;
    for (const table of this.#free.splice(0)) {
      const [left] = store.range(table, { limit: 1 });
      if (left === undefined) this.#free.push(table);
      else void this.#release(table);
    }
  }

  /** Ends what is under way, and deletes all that was kept. */
  async clear(): Promise<void> {
    for (const fold of this.#folding) fold.abandon();
    await Promise.allSettled(Array.from(this.#folding, ({ done }) => done));
    for (const [name, { table }] of this.#kept) {
      this.#kept.delete(name);
      void this.#release(table);
    }
    await Promise.all(this.#releasing);
  }

  /** @throws PROJECTION-BUSY */
  #begin(name: string, projection: Projection, end: number): PastFold {
    const table = this.#folding.size < FOLDING_MAX ? (this.#free.pop() ?? this.#evicted()) : undefined;
    if (table === undefined) throw busy(projection);
    const fold = new PastFold({ ...this.#options, projection, end, table });
    this.#folding.add(fold);
    void fold.done.then(
      () => this.#settled(name, fold, true),
      () => this.#settled(name, fold, false),
    );
    return fold;
  }

  /** Another may have been begun for the same moment when all who waited for this one had left. */
  #settled(name: string, fold: PastFold, isWhole: boolean): void {
    this.#folding.delete(fold);
    const isKept = this.#kept.get(name) === fold;
    if (isKept && isWhole) return;
    if (isKept) this.#kept.delete(name);
    void this.#release(fold.table);
  }

  /** The table of the rows that nobody has asked for longest. */
  #evicted(): string | undefined {
    for (const [name, fold] of this.#kept) {
      if (!fold.isDone || fold.isUsed) continue;
      this.#kept.delete(name);
      return fold.table;
    }
    return undefined;
  }

  /** Whoever uses the table next empties it as well, and is told why it cannot be. */
  async #release(table: string): Promise<void> {
    const emptied = emptyTable(this.#options.store, table).catch(() => undefined);
    this.#releasing.add(emptied);
    await emptied;
    this.#releasing.delete(emptied);
    this.#free.push(table);
  }
}

function busy({ name }: Projection): Error {
  const message = `the rows of ${name} at one more moment cannot be made now: those at ${FOLDING_MAX} others are being made`;
  return projectionError("PROJECTION-BUSY", message, {
    retryAfterMs: RETRY_AFTER_MS,
    details: { projection: name, atOnce: FOLDING_MAX },
  });
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
