/** Runs projections over one log and answers questions about their rows. Each stands alone: one that fails stops no other. */
import { type Env, type EventLog, type JsonObject, type OrderedStore, sleep } from "@millrace/engine";
import { type CarriedProjections, carryProjections } from "./carried-rows.ts";
import { projectionError } from "./errors.ts";
import { Follower } from "./follower.ts";
import { Past } from "./past.ts";
import type { Projection } from "./projection.ts";
import { type Page, type PageQuery, type RowRange, readPage } from "./query.ts";
import { type Build, freshBuild, readRecord, writeRecord } from "./record.ts";
import { indexKey } from "./row/key-codec.ts";
import { readRow, Shapes } from "./row/row-codec.ts";

export interface ProjectionRunnerOptions {
  readonly log: EventLog;
  /** Holds rows and checkpoints. Others may use it too: tables are named `projection/…` and `projections`. */
  readonly store: OrderedStore;
  readonly projections: readonly Projection[];
  readonly env: Env;
  /** A transaction ends after this many rows, at an event's end. Default 4096. */
  readonly transactionRowsMax?: number;
  /** Pause in ms after a commit at the log's end. Default 20. */
  readonly lingerMs?: number;
  /** Longest wait in ms for `minPosition`. Default 5000. */
  readonly waitMsMax?: number;
  /** Most bytes of the rows at one past moment, of which four are kept in the store. Default 256 MiB. */
  readonly pastBytesMax?: number;
}

export interface ProjectionStatus {
  readonly name: string;
  /** Version of the rows that queries see. */
  readonly version: number;
  /** The rows are the fold of the log up to here, exclusive. */
  readonly asOf: number;
  /** Events of the log that the fold has still to look at. */
  readonly lag: number;
  /** Time since it was last at the log's end, in ms; 0 while it is there. */
  readonly lagMs: number;
  /** `building` catches up, maybe beside rows of an older version; `failed` stands still, `reason` says why. */
  readonly state: "building" | "live" | "failed";
  readonly reason?: string;
  readonly rows: number;
  readonly key: readonly string[];
  /** Every field that any row has had; absent where they are very many. */
  readonly fields?: readonly string[];
}

export interface ProjectionQuery extends PageQuery {
  /** Waits until this position is folded: one's own write. Refused with PROJECTION-BEHIND after the longest wait. */
  readonly minPosition?: number;
  /** Rows as they were before this position. */
  readonly asOf?: number;
  /** Rows as they were at the end of this millisecond since 1970. */
  readonly asOfTimeMs?: number;
}

export interface ProjectionPage extends Page {
  /** The rows are exactly the fold of the log up to here, exclusive. */
  readonly asOf: number;
}

export interface ProjectionRunner {
  /** Begins to follow the log. */
  start(): void;
  list(): readonly ProjectionStatus[];
  /**
   * @param signal ends the query when whoever asked has gone; then it throws the signal's reason
   * @throws PROJECTION-UNKNOWN there is no such projection
   * @throws PROJECTION-QUERY a parameter makes no sense
   * @throws PROJECTION-BEHIND `minPosition` is not folded yet
   * @throws PROJECTION-BUSY rows of two other past moments are being made
   * @throws PROJECTION-PAST-SIZE the rows of that moment take too much room
   */
  query(name: string, query?: ProjectionQuery, signal?: AbortSignal): Promise<ProjectionPage>;
  /** The row whose index field has this value, of projections that declare one. */
  find(name: string, value: string): JsonObject | undefined;
  /** Resolves when everything below `position` is folded by all that run. */
  reached(position: number): Promise<void>;
  /** What has to be carried when everything below `end` is pruned, so that the rows can be built again. */
  carry(end: number): Promise<CarriedProjections>;
  /** Builds the rows again beside the present ones, and swaps. */
  rebuild(name: string): Promise<void>;
  /** Ends after the transactions in flight. */
  stop(): Promise<void>;
}

export function projectionRunner(options: ProjectionRunnerOptions): ProjectionRunner {
  return new Runner(options);
}

const TRANSACTION_ROWS_MAX = 4096;
const LINGER_MS = 20;
const WAIT_MS_MAX = 5000;
const PAST_BYTES_MAX = 256 * 1024 * 1024;
/** Lists of fields in which names are looked up to tell them. */
const FIELD_LISTS_MAX = 64;
/** Counting walks the rows: its result is shown for so long at least, and for so many times as long as it took. */
const COUNT_MS = 2000;
const COUNT_SHARE = 500;

interface Counted {
  readonly table: string;
  /** What was committed when it was counted. */
  readonly committed: number;
  readonly rows: number;
  /** Not counted again before. */
  readonly untilMs: number;
}

class Runner implements ProjectionRunner {
  readonly #options: ProjectionRunnerOptions;
  readonly #followers = new Map<string, Follower>();
  readonly #counted = new Map<string, Counted>();
  readonly #past: Past;
  #started = false;

  constructor(options: ProjectionRunnerOptions) {
    this.#options = options;
    const { log, store, pastBytesMax = PAST_BYTES_MAX } = options;
    this.#past = new Past({ log, store, bytesMax: pastBytesMax });
    for (const projection of options.projections) {
      if (this.#followers.has(projection.name)) {
        throw projectionError("PROJECTION-QUERY", `there are two projections called ${projection.name}`);
      }
      this.#followers.set(projection.name, this.#follower(projection));
    }
  }

  start(): void {
    this.#started = true;
    this.#past.start();
    for (const follower of this.#followers.values()) follower.start();
  }

  list(): readonly ProjectionStatus[] {
    return Array.from(this.#followers.values(), (follower) => this.#status(follower));
  }

  async query(name: string, query: ProjectionQuery = {}, asker?: AbortSignal): Promise<ProjectionPage> {
    const signal = asker ?? new AbortController().signal;
    const follower = this.#get(name);
    if (query.minPosition !== undefined) await this.#wait(follower, query.minPosition, signal);
    const moment = this.#momentOf(query);
    const { key } = follower.projection;
    if (moment !== undefined)
      return this.#past.read(follower.projection, moment, signal, ({ rows, shapes, position }) => ({
        asOf: position,
        ...readPage(rows, shapes, key, query),
      }));
    const build = follower.view();
    if (build === undefined) return { asOf: 0, rows: [], next: null };
    return { asOf: build.position, ...readPage(this.#rowsOf(build), new Shapes(build.shapes), key, query) };
  }

  find(name: string, value: string): JsonObject | undefined {
    const build = this.#get(name).view();
    if (build === undefined) return undefined;
    const key = this.#options.store.get(build.table, indexKey(value));
    const row = key === undefined ? undefined : this.#options.store.get(build.table, key);
    return row === undefined ? undefined : readRow(row, new Shapes(build.shapes));
  }

  async reached(position: number): Promise<void> {
    const never = new AbortController().signal;
    await Promise.all(Array.from(this.#followers.values(), (follower) => follower.reached(position, never)));
  }

  carry(end: number): Promise<CarriedProjections> {
    const projections = Array.from(this.#followers.values(), ({ projection }) => projection);
    const { log, store } = this.#options;
    return carryProjections(log, store, projections, end);
  }

  async rebuild(name: string): Promise<void> {
    const follower = this.#get(name);
    await follower.stop();
    const { store, log } = this.#options;
    const record = readRecord(store, name);
    const builds = record.builds + 1;
    const next = freshBuild(follower.projection, builds, log.id);
    await store.transact((tx) => writeRecord(tx, name, { ...record, next, builds }));
    if (record.next !== null) await store.drop(record.next.table);
    const again = this.#follower(follower.projection);
    this.#followers.set(name, again);
    if (this.#started) again.start();
  }

  async stop(): Promise<void> {
    this.#started = false;
    await this.#past.clear();
    await Promise.all(Array.from(this.#followers.values(), (follower) => follower.stop()));
  }

  #follower(projection: Projection): Follower {
    const { log, store, env, transactionRowsMax = TRANSACTION_ROWS_MAX, lingerMs = LINGER_MS } = this.#options;
    return new Follower({ projection, log, store, env, transactionRowsMax, lingerMs });
  }

  #get(name: string): Follower {
    const follower = this.#followers.get(name);
    if (follower === undefined) throw projectionError("PROJECTION-UNKNOWN", `there is no projection ${name}`);
    return follower;
  }

  async #wait(follower: Follower, minPosition: number, signal: AbortSignal): Promise<void> {
    const { env, waitMsMax = WAIT_MS_MAX } = this.#options;
    const abort = new AbortController();
    const over = AbortSignal.any([abort.signal, signal]);
    const late = sleep(env, waitMsMax, over).catch(() => undefined);
    await Promise.race([follower.reached(minPosition + 1, over), late]);
    abort.abort();
    signal.throwIfAborted();
    if ((follower.view()?.position ?? 0) > minPosition) return;
    const { name } = follower.projection;
    const why = follower.failure === undefined ? "" : `, and has failed: ${describe(follower.failure)}`;
    throw projectionError(
      "PROJECTION-BEHIND",
      `${name} is at ${follower.position}, not yet past ${minPosition}${why}`,
      {
        retryAfterMs: 1000,
        details: { projection: name, position: follower.position, minPosition },
      },
    );
  }

  #momentOf({ asOf, asOfTimeMs }: ProjectionQuery): { position: number } | { timeMs: number } | undefined {
    if (asOfTimeMs !== undefined) return { timeMs: asOfTimeMs };
    if (asOf === undefined) return undefined;
    const end = this.#options.log.durableEnd;
    if (Number.isSafeInteger(asOf) && asOf >= 0 && asOf <= end) return { position: asOf };
    throw projectionError("PROJECTION-QUERY", `asOf is ${asOf}; the log has positions up to ${end}`);
  }

  #rowsOf({ table }: Build): RowRange {
    const { store } = this.#options;
    return { range: (gte, lt, reverse) => store.range(table, { gte, lt, reverse }) };
  }

  #status(follower: Follower): ProjectionStatus {
    const { log, env } = this.#options;
    const { projection, state, failure } = follower;
    const build = follower.view();
    const lag = Math.max(0, log.durableEnd - follower.position);
    const reason = failure === undefined ? {} : { reason: describe(failure) };
    return {
      name: projection.name,
      version: build?.version ?? projection.version,
      asOf: build?.position ?? 0,
      lag,
      lagMs: lag === 0 ? 0 : Math.max(0, env.clock.monotonic() - follower.caughtUpMs),
      state: state === "stopped" ? "live" : state,
      ...reason,
      rows: build === undefined ? 0 : this.#count(follower, build),
      key: projection.key,
      ...fieldsOf(build?.shapes ?? []),
    };
  }

  #count({ projection, committed }: Follower, { table }: Build): number {
    const { clock } = this.#options.env;
    const startMs = clock.monotonic();
    const known = this.#counted.get(projection.name);
    const isCurrent = known?.committed === committed || startMs < (known?.untilMs ?? 0);
    if (known?.table === table && isCurrent) return known.rows;
    // Every row of a projection with an index has an entry there too.
    const rows = this.#options.store.count(table) / (projection.index === undefined ? 1 : 2);
    const tookMs = clock.monotonic() - startMs;
    const untilMs = startMs + Math.max(COUNT_MS, tookMs * COUNT_SHARE);
    this.#counted.set(projection.name, { table, committed, rows, untilMs });
    return rows;
  }
}

function fieldsOf(shapes: Build["shapes"]): Pick<ProjectionStatus, "fields"> {
  return shapes.length > FIELD_LISTS_MAX ? {} : { fields: [...new Set(shapes.flat())] };
}

function describe({ code, message, causes }: { code: string; message: string; causes?: readonly string[] }): string {
  return [`${code}: ${message}`, ...(causes ?? [])].join(": ");
}
