/** What one prune carries, and who needs what it would take: of graphs, of projections, and of persistent subscriptions. */
import { carryEvents, type Disk, type Env, messageOf, type RecordedEvent, type StreamCarry } from "@millrace/engine";
import { carryGroups, isGroupState } from "@millrace/gateway";
import type { ProjectionRunner } from "@millrace/projections";
import type { EmbeddedLog, RetentionNeed } from "@millrace/streams/embedded";
import { ERASURE_STREAM } from "../personal/erase-subject.ts";
import { CarrySpool } from "./carry-spool.ts";
import { graphCarry } from "./graph-carry.ts";
import { RETENTION_STREAM, retentionEventKey } from "./legal-holds.ts";

/** Streams of a host's own that are read at every start, with the name under which an event takes the place of an earlier one. */
const SYSTEM_STREAMS: readonly (readonly [string, (event: RecordedEvent) => string])[] = [
  [RETENTION_STREAM, retentionEventKey],
  // Each tells of another key.
  [ERASURE_STREAM, ({ revision }) => String(revision)],
  // Of the EventStoreDB protocol: each defines a projection or ends it.
  ["$projections-$all", ({ revision }) => String(revision)],
];

const CARRIED: ReadonlySet<string> = new Set(SYSTEM_STREAMS.map(([stream]) => stream));

/** A stream of the system of which what still counts is carried. */
export function isCarried(stream: string): boolean {
  return CARRIED.has(stream) || isGroupState(stream);
}

export interface PruneCarryOptions {
  readonly log: EmbeddedLog;
  /** Directory of the log, and the disk that it is on. */
  readonly directory: string;
  readonly disk: Disk;
  readonly env: Env;
  readonly projections: Pick<ProjectionRunner, "carry">;
  /** Graphs that will not run again. */
  readonly abandoned: ReadonlySet<string>;
}

interface Carried {
  /** Each in memory only until the next is asked for. */
  readonly carries: () => AsyncGenerator<StreamCarry>;
  readonly needs: readonly RetentionNeed[];
  readonly release: () => Promise<void>;
}

export class PruneCarry {
  readonly #options: PruneCarryOptions;
  /** By end: most prunes go as far as they were asked to. */
  #newest: { readonly end: number; readonly carried: Promise<Carried> } | undefined;

  constructor(options: PruneCarryOptions) {
    this.#options = options;
  }

  async needs(end: number): Promise<readonly RetentionNeed[]> {
    return (await this.#at(end)).needs;
  }

  /** Of what is carried nothing can be written any more. */
  async release(): Promise<void> {
    await (await this.#newest?.carried.catch(() => undefined))?.release();
  }

  async *carries(end: number): AsyncGenerator<StreamCarry> {
    yield* (await this.#at(end)).carries();
  }

  #at(end: number): Promise<Carried> {
    if (this.#newest?.end === end) return this.#newest.carried;
    // Of one end at a time.
    const carried = this.release().then(() => this.#carry(end));
    this.#newest = { end, carried };
    return carried;
  }

  async #carry(end: number): Promise<Carried> {
    const { disk, directory } = this.#options;
    const spool = new CarrySpool(disk, directory);
    try {
      return await this.#carryIn(spool, end);
    } catch (thrown) {
      await spool.close();
      throw thrown;
    }
  }

  async #carryIn(spool: CarrySpool, end: number): Promise<Carried> {
    const { log, env, projections, abandoned } = this.#options;
    const needs = await graphCarry(log, env, end, spool, abandoned);
    const rows = await projections.carry(end);
    const system: StreamCarry[] = [];
    for (const [stream, key] of SYSTEM_STREAMS) {
      const carry = await carryEvents({ log, stream }, end, key);
      if (carry !== undefined) system.push(carry);
    }
    const groups = await carryGroups(log, env, end);
    const unread = groups.unread.map(({ stream, group, position }) => ({
      code: "HELD-GROUP",
      name: `the persistent subscription ${group} on ${stream}, which has not come so far`,
      position,
      place: { stream },
      remedy: `let the subscribers of ${group} catch up, or delete it with an EventStoreDB client`,
    }));
    const refused = rows.refused.map(({ projection, position, error }) => ({
      code: "HELD-PROJECTION",
      name: `the projection ${projection}, which cannot fold the event at position ${position}: ${messageOf(error)}`,
      position,
      remedy: `millrace projection ls says why ${projection} stands still`,
    }));
    return {
      async *carries() {
        yield* spool.all();
        yield* rows.carries;
        yield* groups.carries;
        yield* system;
      },
      needs: [...needs, ...unread, ...refused],
      async release() {
        await spool.close();
        await rows.release?.();
      },
    };
  }
}
