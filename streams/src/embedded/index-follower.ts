/**
 * The follower that keeps the index: it has durable blocks indexed behind the writer, always up to the end of a block. It runs off
 * the append path; when the store fails, the follower waits and tries again, and appends go on until the un-indexed tail reaches
 * its bound.
 */
import type { Env } from "@millrace/engine";
import type { Dictionary } from "./dictionary.ts";
import type { IndexCursor } from "./log-index.ts";
import type { LogIndexer } from "./log-indexer.ts";
import { pause } from "./pause.ts";
import type { BlockLocation, TailTable } from "./tail-table.ts";

const RETRY_MS = 1000;

export interface IndexFollowerOptions {
  readonly env: Env;
  readonly logId: string;
  readonly indexer: LogIndexer;
  readonly tail: TailTable;
  readonly names: Dictionary;
  /** How long to let blocks gather before a job, so that a busy log pays for fewer of them. */
  readonly lingerMs: number;
  /** From so many events behind on, the follower no longer rests between jobs. */
  readonly urgentEvents: number;
  /** Called after each job. */
  readonly onProgress: () => void;
}

export class IndexFollower {
  readonly #options: IndexFollowerOptions;
  #running: Promise<void> | undefined;
  #stopped = false;
  #rest = new AbortController();
  /** False while it waits to try again. */
  #isResting = false;
  #hurriedTo = 0;
  #failure: unknown;

  constructor(options: IndexFollowerOptions) {
    this.#options = options;
  }

  /** Why the last job failed, until one succeeds. */
  get failure(): unknown {
    return this.#failure;
  }

  /** No rests until everything that is durable now is indexed. */
  hurry(): void {
    this.#hurriedTo = this.#options.tail.end;
    this.#rest.abort();
    this.wake();
  }

  /** There may be more to index. */
  wake(): void {
    // A rest that began when there was time for it may be far too long for what has come since.
    if (this.#isResting && this.#isUrgent()) this.#rest.abort();
    if (this.#running !== undefined || this.#stopped) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      if (this.#hasWork()) this.wake();
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#rest.abort();
    await this.#running;
    await this.#options.indexer.close();
  }

  #hasWork(): boolean {
    return !this.#stopped && this.#options.tail.blocks.length > 0;
  }

  async #run(): Promise<void> {
    const { env, indexer, lingerMs, onProgress } = this.#options;
    let restMs = lingerMs;
    while (this.#hasWork()) {
      this.#isResting = true;
      if (!this.#isUrgent()) await this.#pause(restMs);
      this.#isResting = false;
      if (this.#stopped) return;
      const startedMs = env.clock.monotonic();
      try {
        await this.#indexSome();
        this.#failure = undefined;
        restMs = Math.max(lingerMs, indexer.restShare * (env.clock.monotonic() - startedMs));
      } catch (thrown) {
        this.#failure = thrown;
        onProgress();
        await this.#pause(RETRY_MS);
      }
    }
  }

  #isUrgent(): boolean {
    const { tail, urgentEvents } = this.#options;
    return tail.base < this.#hurriedTo || tail.size >= urgentEvents;
  }

  /** Ends early when the follower is stopped or hurried, and a rest also when there is no more time for it. */
  #pause(delayMs: number): Promise<void> {
    this.#rest = new AbortController();
    return pause(this.#options.env, delayMs, this.#rest.signal);
  }

  async #indexSome(): Promise<void> {
    const { tail, indexer, names, onProgress } = this.#options;
    const first = tail.blocks[0] as BlockLocation;
    const last = lastOf(tail.blocks, indexer.jobEventsMax);
    const end = last.first + last.count;
    await indexer.index({
      from: { serial: first.serial, offset: first.offset },
      events: end - first.first,
      cursor: this.#cursorAt(last),
    });
    tail.release(end);
    names.indexed(tail.base, tail.end);
    onProgress();
  }

  #cursorAt(last: BlockLocation): IndexCursor {
    return {
      logId: this.#options.logId,
      pos: last.first + last.count,
      chain: last.headCrc,
      serial: last.serial,
      offset: last.offset,
      bytes: last.bytes,
      names: this.#options.names.nextNumbers(),
    };
  }
}

/** The block with which about `eventsMax` events are reached. */
function lastOf(blocks: readonly BlockLocation[], eventsMax: number): BlockLocation {
  let events = 0;
  for (const block of blocks) {
    events += block.count;
    if (events >= eventsMax) return block;
  }
  return blocks.at(-1) as BlockLocation;
}
