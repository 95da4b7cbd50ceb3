/**
 * Coordination among the processes of one machine, over a directory. Values and places of members are {@link EpochFiles};
 * a member's sign of life is a number in a file that only it writes. Watching is reading again.
 *
 * Calls are synchronous underneath: they touch a few small files, and rarely.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type CompareAndSet,
  type Coordination,
  type CoordinationEntry,
  checkCoordinationKey,
  coordinationError,
  type Env,
  type Member,
  type Membership,
  MillraceError,
  sleep,
  type Timer,
} from "@millrace/engine";
import { EpochFiles, ifThere } from "./epoch-files.ts";

export interface DirectoryCoordinationOptions {
  /** On a local file system, shared by the processes. Created with mode 0700. */
  readonly dir: string;
  readonly env: Env;
  /** Time in ms without a sign of life after which a member counts as dead; the same for all. Default 5000. */
  readonly ttlMs?: number;
  /** Time in ms between two looks of a watch. Default 200. */
  readonly pollMs?: number;
}

const TTL_MS = 5000;
const POLL_MS = 200;
/** Signs of life per time to live: one or two may be late. */
const BEATS_PER_TTL = 4;

/** @throws COORDINATION-FAILED the directory cannot be used */
export function openDirectoryCoordination(options: DirectoryCoordinationOptions): Coordination {
  return guarded(() => new DirectoryCoordination(options));
}

interface Seen {
  readonly beat: string;
  /** By this process's monotonic clock. */
  readonly sinceMs: number;
}

class DirectoryCoordination implements Coordination {
  readonly #dir: string;
  readonly #env: Env;
  readonly #ttlMs: number;
  readonly #pollMs: number;
  readonly #values: EpochFiles;
  readonly #places: EpochFiles;
  /** Last sign of life of each incarnation, as this process has seen it. */
  #seen = new Map<string, Seen>();
  readonly #beating = new Set<Timer>();
  readonly #closed = new AbortController();

  constructor({ dir, env, ttlMs = TTL_MS, pollMs = POLL_MS }: DirectoryCoordinationOptions) {
    this.#dir = dir;
    this.#env = env;
    this.#ttlMs = ttlMs;
    this.#pollMs = pollMs;
    const draft = (): string => hex(env.random.bytes(16));
    this.#values = new EpochFiles(join(dir, "values"), draft);
    this.#places = new EpochFiles(join(dir, "members"), draft);
    mkdirSync(join(dir, "beats"), { recursive: true, mode: 0o700 });
  }

  async get(key: string): Promise<CoordinationEntry | undefined> {
    return this.#do(() => this.#entry(key));
  }

  async put(key: string, value: Uint8Array, expected: number | "none"): Promise<CompareAndSet> {
    checkCoordinationKey(key);
    return this.#do(() => this.#swap(key, expected, value));
  }

  async delete(key: string, expected: number): Promise<CompareAndSet> {
    checkCoordinationKey(key);
    return this.#do(() => this.#swap(key, expected, undefined));
  }

  async list(prefix: string): Promise<readonly CoordinationEntry[]> {
    return this.#do(() => this.#values.list(prefix));
  }

  watch(prefix: string, signal: AbortSignal): AsyncIterable<readonly CoordinationEntry[]> {
    const version = (entries: readonly CoordinationEntry[]): string => entries.map((e) => `${e.key}@${e.epoch}`).join();
    return this.#states(signal, () => this.#values.list(prefix), version);
  }

  async join(id: string, data: Uint8Array): Promise<Membership> {
    checkCoordinationKey(id);
    return this.#do(() => {
      const incarnation = hex(this.#env.random.bytes(8));
      this.#beat(incarnation, 0);
      const place = Buffer.concat([Buffer.from(incarnation), data]);
      let epoch: number;
      do epoch = this.#places.newest(id)?.epoch ?? 0;
      while (!this.#places.write(id, epoch, place));
      return this.#live(id, incarnation, epoch + 1);
    });
  }

  async members(): Promise<readonly Member[]> {
    return this.#do(() => this.#members());
  }

  watchMembers(signal: AbortSignal): AsyncIterable<readonly Member[]> {
    const version = (members: readonly Member[]): string => members.map((m) => m.incarnation).join();
    return this.#states(signal, () => this.#members(), version);
  }

  async close(): Promise<void> {
    this.#closed.abort();
    for (const timer of this.#beating) timer.cancel();
    this.#beating.clear();
  }

  /** Gives signs of life until the member leaves, is replaced, or this coordination is closed. */
  #live(id: string, incarnation: string, epoch: number): Membership {
    const lost = new AbortController();
    let timer: Timer | undefined;
    const end = (): void => {
      timer?.cancel();
      if (timer !== undefined) this.#beating.delete(timer);
      rmSync(this.#beatPath(incarnation), { force: true });
    };
    const schedule = (count: number): void => {
      if (timer !== undefined) this.#beating.delete(timer);
      timer = this.#env.timers.after(this.#ttlMs / BEATS_PER_TTL, () => next(count));
      this.#beating.add(timer);
    };
    const next = (count: number): void => {
      try {
        if (this.#places.newest(id)?.epoch !== epoch) {
          end();
          lost.abort();
          return;
        }
        this.#beat(incarnation, count);
      } catch {
        // A sign of life that cannot be given is one that is missed: the others judge, and the next may succeed.
      }
      schedule(count + 1);
    };
    schedule(1);
    return {
      incarnation,
      lost: lost.signal,
      leave: async () =>
        this.#do(() => {
          end();
          this.#places.write(id, epoch, undefined);
        }),
    };
  }

  #members(): readonly Member[] {
    const now = this.#env.clock.monotonic();
    const seen = new Map<string, Seen>();
    const alive: Member[] = [];
    for (const { key, value } of this.#places.list("")) {
      const incarnation = Buffer.from(value.subarray(0, 16)).toString();
      const beat = ifThere(() => readFileSync(this.#beatPath(incarnation), "utf8")) ?? "";
      const before = this.#seen.get(incarnation);
      const sinceMs = before?.beat === beat ? before.sinceMs : now;
      seen.set(incarnation, { beat, sinceMs });
      if (now - sinceMs < this.#ttlMs) alive.push({ id: key, incarnation, data: value.slice(16) });
    }
    this.#seen = seen;
    return alive;
  }

  #beat(incarnation: string, count: number): void {
    const path = this.#beatPath(incarnation);
    writeFileSync(`${path}.tmp`, String(count));
    renameSync(`${path}.tmp`, path);
  }

  #beatPath(incarnation: string): string {
    return join(this.#dir, "beats", incarnation);
  }

  async *#states<T>(signal: AbortSignal, read: () => T, version: (state: T) => string): AsyncGenerator<T> {
    const ended = AbortSignal.any([signal, this.#closed.signal]);
    let last: string | undefined;
    while (!ended.aborted) {
      const state = guarded(read);
      if (version(state) !== last) {
        last = version(state);
        yield state;
      } else {
        await sleep(this.#env, this.#pollMs, ended).catch(() => undefined);
      }
    }
  }

  #swap(key: string, expected: number | "none", value: Uint8Array | undefined): CompareAndSet {
    const newest = this.#values.newest(key);
    const epoch = newest?.epoch ?? 0;
    const now = newest?.value === undefined ? "none" : epoch;
    const written = now === expected && this.#values.write(key, epoch, value);
    return written ? { ok: true, epoch: epoch + 1 } : { ok: false, current: this.#entry(key) };
  }

  #entry(key: string): CoordinationEntry | undefined {
    const { epoch = 0, value } = this.#values.newest(key) ?? {};
    return value === undefined ? undefined : { key, epoch, value };
  }

  #do<T>(run: () => T): T {
    if (this.#closed.signal.aborted) throw coordinationError("COORDINATION-CLOSED", "coordination is closed");
    return guarded(run);
  }
}

function guarded<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof MillraceError) throw error;
    throw coordinationError("COORDINATION-FAILED", "the coordination directory failed", { cause: error });
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
