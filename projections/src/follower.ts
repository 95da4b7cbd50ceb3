/**
 * Follows the log for one projection: folds events into rows, commits rows and checkpoint together, parks where a fold
 * throws, and swaps a finished build in. What it has folded in memory only (progress over events that do not concern it) may
 * be lost at a crash and is found again.
 */
import {
  type Env,
  type ErrorReport,
  type EventLog,
  type OrderedStore,
  type RecordedEvent,
  reportOf,
  sleep,
} from "@millrace/engine";
import { carriedRows, putPart } from "./carried-rows.ts";
import { projectionError } from "./errors.ts";
import { type Projection, presentEvent } from "./projection.ts";
import { type Build, type ProjectionRecord, prepared, readRecord, writeRecord } from "./record.ts";
import { Shapes } from "./row/row-codec.ts";
import { RowTable } from "./row/row-table.ts";
import { NOWHERE } from "./row/rows.ts";
import { tableSpace } from "./row/table-space.ts";

export interface FollowerOptions {
  readonly projection: Projection;
  readonly log: EventLog;
  readonly store: OrderedStore;
  readonly env: Env;
  /** A transaction ends after this many rows, at an event's end. */
  readonly transactionRowsMax: number;
  /** Pause after a commit at the log's end, so that a trickle of events shares commits. */
  readonly lingerMs: number;
}

export type FollowerState = "building" | "live" | "failed" | "stopped";

/** Positions over which progress without rows is committed. */
const PROGRESS_MAX = 10_000;
const RETRY_MS = 1000;

interface Waiter {
  readonly position: number;
  readonly done: () => void;
}

export class Follower {
  readonly projection: Projection;
  readonly #options: FollowerOptions;
  readonly #abort: AbortController = new AbortController();
  readonly #shapes: Shapes = new Shapes();
  readonly #rows: RowTable;
  #record: ProjectionRecord;
  /** Everything below is folded; what is beyond the committed position concerned no row. */
  #position = 0;
  #caughtUpMs: number;
  #state: FollowerState = "building";
  #failure: ErrorReport | undefined;
  #waiting: Waiter[] = [];
  #running: Promise<void> | undefined;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#caughtUpMs = options.env.clock.monotonic();
    this.projection = options.projection;
    this.#record = readRecord(options.store, options.projection.name);
    this.#rows = new RowTable(options.projection, this.#shapes, NOWHERE);
  }

  get state(): FollowerState {
    return this.#state;
  }

  get failure(): ErrorReport | undefined {
    return this.#failure;
  }

  /** How far the fold is. While a build is made beside another, queries see the other's position. */
  get position(): number {
    return this.#position;
  }

  /** Position of the last commit: rows do not change without it. */
  get committed(): number {
    return this.#record.next?.position ?? this.#record.active?.position ?? 0;
  }

  /** When it was last at the log's end, or began to follow it, in ms of the monotonic clock. */
  get caughtUpMs(): number {
    return this.#caughtUpMs;
  }

  /** The build that queries read, with the position up to which its rows are the fold of the log. */
  view(): Build | undefined {
    const { active } = readRecord(this.#options.store, this.projection.name);
    if (active === null) return undefined;
    const isOurs = this.#record.next === null && active.table === this.#record.active?.table;
    return isOurs && active.position === this.#record.active?.position
      ? { ...active, position: Math.max(active.position, this.#position) }
      : active;
  }

  start(): void {
    this.#running ??= this.#follow().catch((error: unknown) => this.#fail(error));
  }

  /** Ends after the transaction in flight and notes the progress. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
    for (const { done } of this.#waiting.splice(0)) done();
  }

  /** Resolves when everything below `position` is folded, when the follower ends, or when `signal` aborts. */
  async reached(position: number, signal: AbortSignal): Promise<void> {
    if (this.#position >= position || signal.aborted || this.#state === "failed") return;
    await new Promise<void>((resolve) => {
      const waiter = { position, done: resolve };
      this.#waiting.push(waiter);
      signal.addEventListener("abort", () => {
        this.#waiting = this.#waiting.filter((other) => other !== waiter);
        resolve();
      });
    });
  }

  async #follow(): Promise<void> {
    await this.#prepare();
    const { log, projection, lingerMs } = this.#options;
    const { signal } = this.#abort;
    // A projection that begins on a pruned log begins with what is left of it.
    const from = this.#position === 0 ? (log.base ?? 0) : this.#position;
    for await (const batch of log.subscribe({ from, filter: projection.handles, signal })) {
      for (let i = 0; i < batch.events.length && !signal.aborted; )
        i = await this.#foldSome(batch.events, i, batch.end);
      if (signal.aborted) break;
      await this.#advance(batch.end, batch.live);
      if (batch.live && lingerMs > 0) await sleep(this.#options.env, lingerMs, signal).catch(() => undefined);
    }
    if (this.#position > this.#build.position) await this.#commit(() => this.#position);
    this.#state = "stopped";
  }

  /** Finds the build to go on with, and begins one if there is none for this version and log. */
  async #prepare(): Promise<void> {
    const { store, log, projection } = this.#options;
    const { record, dropped } = prepared(this.#record, projection, log.id);
    if (record !== this.#record) await this.#note(record);
    for (const table of dropped) await this.#patiently(() => store.drop(table));
    if (this.#build.position === 0 && (log.base ?? 0) > 0) await this.#beginCarried();
    const { position, shapes } = this.#build;
    this.#shapes.restore(shapes);
    this.#position = position;
    if (position <= log.durableEnd) return;
    throw projectionError(
      "PROJECTION-AHEAD",
      `${projection.name} is at ${position}, the log ends at ${log.durableEnd}`,
      {
        details: { projection: projection.name, position, durableEnd: log.durableEnd },
      },
    );
  }

  /** A build on a pruned log begins with the rows that were carried, if there are any. */
  async #beginCarried(): Promise<void> {
    const { store, log, projection } = this.#options;
    const carried = await carriedRows(log, projection);
    if (carried === undefined) return;
    const { table } = this.#build;
    for await (const part of carried.parts())
      await this.#patiently(() => store.transact((tx) => putPart(tableSpace(tx, table), part)));
    const build = { ...this.#build, position: carried.position, shapes: carried.shapes.all };
    await this.#note(
      this.#record.next === null ? { ...this.#record, active: build } : { ...this.#record, next: build },
    );
  }

  async #note(record: ProjectionRecord): Promise<void> {
    const { store, projection } = this.#options;
    await this.#patiently(() => store.transact((tx) => writeRecord(tx, projection.name, record)));
    this.#record = record;
  }

  /** The build that is folded into. */
  get #build(): Build {
    return (this.#record.next ?? this.#record.active) as Build;
  }

  /** Folds events from `start` on in one transaction; returns the index of the first that is left. */
  async #foldSome(events: readonly RecordedEvent[], start: number, end: number): Promise<number> {
    try {
      return await this.#foldUpTo(events, start, events.length, end);
    } catch (error) {
      if (!(error instanceof FoldFailure)) throw error;
      // Those before it are good: they are folded again and committed, then the projection stands before this one.
      if (error.index > start) await this.#foldUpTo(events, start, error.index, end);
      throw this.#parked(events[error.index] as RecordedEvent, error.cause);
    }
  }

  #foldUpTo(events: readonly RecordedEvent[], start: number, stop: number, end: number): Promise<number> {
    let i = start;
    return this.#commit(() => {
      for (i = start; i < stop && this.#rows.written < this.#options.transactionRowsMax; i++) {
        const event = events[i] as RecordedEvent;
        this.#foldOne(event, i);
      }
      return events[i]?.position ?? end;
    }).then(() => i);
  }

  #foldOne(event: RecordedEvent, index: number): void {
    this.#rows.at(event.position);
    try {
      this.projection.fold(this.#rows, presentEvent(this.projection, event));
    } catch (error) {
      throw new FoldFailure(index, error);
    }
  }

  /** Rows and checkpoint in one transaction. `fold` returns the position that it leads to. */
  async #commit(fold: () => number): Promise<void> {
    const { store, projection } = this.#options;
    const record = await this.#patiently(() =>
      store.transact((tx) => {
        this.#rows.written = 0;
        this.#rows.enter(tableSpace(tx, this.#build.table));
        const position = fold();
        const build = { ...this.#build, position, shapes: this.#shapes.all };
        const changed =
          this.#record.next === null ? { ...this.#record, active: build } : { ...this.#record, next: build };
        writeRecord(tx, projection.name, changed);
        return changed;
      }),
    );
    this.#record = record;
    this.#moved(this.#build.position);
  }

  async #advance(end: number, live: boolean): Promise<void> {
    if (end - this.#build.position >= PROGRESS_MAX) await this.#commit(() => end);
    if (live && this.#record.next !== null) await this.#swap(end);
    this.#moved(end);
    if (live) this.#caughtUpMs = this.#options.env.clock.monotonic();
    if (live && this.#state === "building") this.#state = "live";
  }

  /** The new build is at the log's end: from here on it answers, and the old rows go. */
  async #swap(end: number): Promise<void> {
    const { store } = this.#options;
    const old = this.#record.active;
    await this.#note({ ...this.#record, active: { ...this.#build, position: end }, next: null });
    if (old !== null) await this.#patiently(() => store.drop(old.table));
  }

  #moved(position: number): void {
    this.#position = Math.max(this.#position, position);
    if (this.#waiting.length === 0) return;
    const reached = this.#waiting.filter((w) => w.position <= this.#position);
    this.#waiting = this.#waiting.filter((w) => w.position > this.#position);
    for (const { done } of reached) done();
  }

  /** Waits out what may pass, as a full disk, whatever the store is asked; anything else ends the follower. */
  async #patiently<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        const report = reportOf(error);
        if (report.kind !== "transient") throw error;
        this.#failure = report;
        await sleep(this.#options.env, RETRY_MS, this.#abort.signal);
        this.#failure = undefined;
      }
    }
  }

  #parked({ position, type, stream }: RecordedEvent, cause: unknown): Error {
    const { name } = this.projection;
    return projectionError("PROJECTION-PARKED", `${name} cannot fold ${type} at position ${position}`, {
      cause,
      place: { stream, position },
      details: { projection: name, position, type },
    });
  }

  #fail(error: unknown): void {
    if (this.#abort.signal.aborted || reportOf(error).code === "LOG-CLOSED") {
      this.#state = "stopped";
    } else {
      this.#failure = reportOf(error);
      this.#state = "failed";
    }
    for (const { done } of this.#waiting.splice(0)) done();
  }
}

class FoldFailure extends Error {
  readonly index: number;

  constructor(index: number, cause: unknown) {
    super("a fold failed", { cause });
    this.index = index;
  }
}
