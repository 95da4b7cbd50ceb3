/**
 * One look at the past: the log folded up to a position into a table of the store, so that it takes as little memory as following
 * the log does, however many rows there are. It goes on for as long as somebody waits for it.
 */
import type { EventLog, OrderedStore, RecordedEvent } from "@millrace/engine";
import { carriedRows, putPart } from "./carried-rows.ts";
import { projectionError } from "./errors.ts";
import { passingEvents } from "./passing-events.ts";
import { type Projection, presentEvent } from "./projection.ts";
import { Shapes } from "./row/row-codec.ts";
import { RowTable } from "./row/row-table.ts";
import { NOWHERE, type RowSpace } from "./row/rows.ts";
import { tableSpace } from "./row/table-space.ts";

export interface PastFoldOptions {
  readonly log: EventLog;
  readonly store: OrderedStore;
  readonly projection: Projection;
  /** Everything before this position is folded. */
  readonly end: number;
  /** Table of the store that gets the rows; nothing of what it held stays. */
  readonly table: string;
  /** Most bytes of keys and rows. */
  readonly bytesMax: number;
}

/** A transaction ends after so many rows: the rows that are live commit between them. */
const TRANSACTION_ROWS_MAX = 4096;

export class PastFold {
  /** Resolves when everything is folded. @throws PROJECTION-PAST-SIZE, and what the log, the store and the fold throw */
  readonly done: Promise<void>;
  readonly #options: PastFoldOptions;
  readonly #abort: AbortController = new AbortController();
  #shapes: Shapes = new Shapes();
  #bytes = 0;
  #users = 0;
  #isDone = false;

  constructor(options: PastFoldOptions) {
    this.#options = options;
    this.done = this.#fold().then(() => {
      this.#isDone = true;
    });
  }

  get table(): string {
    return this.#options.table;
  }

  get shapes(): Shapes {
    return this.#shapes;
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  /** True while somebody reads it, or waits for it. */
  get isUsed(): boolean {
    return this.#users > 0;
  }

  /** True from when the last who waited has left before it was done: it ends. */
  get isAbandoned(): boolean {
    return this.#abort.signal.aborted && !this.#isDone;
  }

  /** Waits for the rows, and gives what `read` makes of them. @throws the signal's reason */
  async use<T>(signal: AbortSignal, read: () => T): Promise<T> {
    this.#users += 1;
    try {
      await whileAsked(this.done, signal);
      return read();
    } finally {
      this.#users -= 1;
      if (this.#users === 0 && !this.#isDone) this.#abort.abort();
    }
  }

  abandon(): void {
    this.#abort.abort();
  }

  async #fold(): Promise<void> {
    const { log, store, projection, end, table } = this.#options;
    const { signal } = this.#abort;
    await emptyTable(store, table);
    const carried = await carriedRows(log, projection);
    if (carried !== undefined) {
      this.#shapes = carried.shapes;
      for await (const part of carried.parts()) {
        signal.throwIfAborted();
        await store.transact((tx) => putPart(this.#sized(tableSpace(tx, table)), part));
      }
    }
    const rows = new RowTable(projection, this.#shapes, NOWHERE);
    // What is asked for below what is left is LOG-PRUNED, and so is the past of rows that were not carried.
    const from = Math.min(carried?.position ?? 0, end);
    for await (const events of passingEvents(log, { from, to: end, filter: projection.handles }, signal)) {
      for (let at = 0; at < events.length; signal.throwIfAborted()) {
        const begin = at;
        at = await store.transact((tx) => {
          rows.enter(this.#sized(tableSpace(tx, table)));
          return foldSome(projection, rows, events, begin);
        });
      }
    }
  }

  /** Counts what the rows take. @throws PROJECTION-PAST-SIZE */
  #sized(space: RowSpace): RowSpace {
    const grow = (by: number): void => {
      this.#bytes += by;
      if (this.#bytes > this.#options.bytesMax) throw this.#tooLarge();
    };
    const bytesAt = (key: Uint8Array): number => {
      const value = space.get(key);
      return value === undefined ? 0 : key.length + value.length;
    };
    return {
      get: (key) => space.get(key),
      put: (key, value) => {
        grow(key.length + value.length - bytesAt(key));
        space.put(key, value);
      },
      delete: (key) => {
        grow(-bytesAt(key));
        space.delete(key);
      },
    };
  }

  #tooLarge(): Error {
    const { projection, end, bytesMax } = this.#options;
    const { name } = projection;
    return projectionError(
      "PROJECTION-PAST-SIZE",
      `the rows of ${name} before position ${end} take more than ${bytesMax} bytes`,
      { details: { projection: name, position: end, bytesMax } },
    );
  }
}

/** Folds events from `begin` on in one transaction; returns the index of the first that is left. */
function foldSome(projection: Projection, rows: RowTable, events: readonly RecordedEvent[], begin: number): number {
  rows.written = 0;
  let i = begin;
  for (; i < events.length && rows.written < TRANSACTION_ROWS_MAX; i++) {
    const event = events[i] as RecordedEvent;
    rows.at(event.position);
    projection.fold(rows, presentEvent(projection, event));
  }
  return i;
}

/** Deletes the rows of a table, a transaction's worth at a time: nobody else waits for all of it. */
export async function emptyTable(store: OrderedStore, table: string): Promise<void> {
  for (;;) {
    const keys = Array.from(store.range(table, { limit: TRANSACTION_ROWS_MAX }), ({ key }) => key);
    if (keys.length === 0) return;
    await store.transact((tx) => {
      for (const key of keys) tx.delete(table, key);
    });
  }
}

/** @throws the signal's reason when it aborts first */
async function whileAsked(done: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  let leave = (): void => undefined;
  const left = new Promise<never>((_, reject) => {
    leave = () => reject(signal.reason);
    signal.addEventListener("abort", leave, { once: true });
  });
  try {
    await Promise.race([done, left]);
  } finally {
    signal.removeEventListener("abort", leave);
  }
}
