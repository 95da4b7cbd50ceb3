/** Care of a log that is open in this process, beside whatever else it does. */
import { type Env, hashesIn, type PayloadArchive } from "@millrace/engine";
import type { ProjectionRunner } from "@millrace/projections";
import { systemDisk } from "@millrace/streams/embedded";
import type { OpenedData } from "../host/open-data.ts";
import { eraseSubject, requireErasable } from "../personal/erase-subject.ts";
import { archiveMaking } from "./archive-making.ts";
import { ArchiveThread } from "./archive-thread.ts";
import { type LegalHold, legalHolds, placeHold, releaseHold, tellPruned } from "./legal-holds.ts";
import type { ArchivedLogRange, CareRequest, ErasureAnswer, LogCare, PrunedLogRange } from "./log-care.ts";

/** Segments that take longer than a thread takes to start. */
const LARGE_BYTES = 1024 * 1024;

export interface OpenLogCareOptions {
  readonly data: Pick<OpenedData, "log" | "keys" | "audit" | "directory">;
  readonly env: Env;
  /** What follows the log: nothing is pruned that it has not seen, and its rows are carried. */
  readonly projections: Pick<ProjectionRunner, "reached" | "carry">;
  /** Files of payloads, asked for when the first is needed. @throws PAYLOAD-FAILED */
  readonly payloads: () => Promise<Pick<PayloadArchive, "stage" | "forget">>;
}

export class OpenLogCare implements LogCare {
  readonly #options: OpenLogCareOptions;
  /** Holds, prunes and erasures are decided one after the other: none may change what another was decided upon. */
  #turn: Promise<unknown> = Promise.resolve();
  readonly #closing = new AbortController();

  constructor(options: OpenLogCareOptions) {
    this.#options = options;
  }

  async archive({ beforeMs, parquet, keep }: CareRequest<"archive">): Promise<ArchivedLogRange> {
    const { data, env } = this.#options;
    const { log, audit, directory } = data;
    await Promise.all([audit.signed(log.durableEnd), log.indexed()]);
    const pause = (): Promise<void> => new Promise((resolve) => env.turns.yieldToIo(resolve));
    const { signedEnd, ...making } = await archiveMaking(directory.audit, log.id, parquet, pause);
    const thread = { index: directory.index, audit: directory.audit, parquet };
    const isLarge = log.retention.segmentBytes >= LARGE_BYTES;
    const archived = await log.retention.archive({
      ...making,
      beforeMs,
      signedEnd,
      keep,
      archiver: isLarge ? (settings) => new ArchiveThread({ ...thread, settings }) : undefined,
    });
    return { ...archived, base: log.base };
  }

  /** Files of payloads go with the last event that names them, unless what is carried of streams and projections does, too. */
  prune({ beforeMs, abandon = [], by }: CareRequest<"prune">): Promise<PrunedLogRange> {
    const { data, env, projections } = this.#options;
    const { log } = data;
    return this.#inTurn(async () => {
      // They know the endpoint for other clients, which a host without one need not load.
      const [{ PruneCarry }, { heldBy }] = await Promise.all([
        import("./prune-carry.ts"),
        import("./retention-needs.ts"),
      ]);
      await projections.reached(log.durableEnd);
      const holds = await legalHolds(log);
      const payloads = await this.#options.payloads();
      let staged: readonly string[] = [];
      const carried = new PruneCarry({
        log,
        directory: data.directory.log,
        disk: systemDisk(),
        env,
        projections,
        abandoned: new Set(abandon),
      });
      const pruning = log.retention.prune({
        beforeMs,
        needs: (end) => carried.needs(end),
        heldBy: (from, end) => heldBy(log, holds, from, end),
        beforeForgetting: async (from, end) => {
          staged = await payloads.stage(await hashesIn(log, from, end));
        },
        carry: (end) => carried.carries(end),
        by: abandon.length === 0 ? by : { ...by, reason: `${by.reason} (abandons ${abandon.join(", ")})` },
      });
      const pruned = await pruning.finally(() => carried.release());
      if (pruned.segments.length > 0) await tellPruned(log, env);
      const forgotten = staged.length === 0 ? { payloads: 0, bytes: 0 } : await payloads.forget(staged);
      return { ...pruned, payloads: forgotten };
    });
  }

  holds(): Promise<readonly LegalHold[]> {
    return legalHolds(this.#options.data.log);
  }

  placeHold({ name, held, by }: CareRequest<"placeHold">): Promise<LegalHold> {
    const { data, env } = this.#options;
    return this.#inTurn(() => placeHold(data.log, env, name, held, by));
  }

  releaseHold({ name, by }: CareRequest<"releaseHold">): Promise<LegalHold> {
    const { data, env } = this.#options;
    return this.#inTurn(() => releaseHold(data.log, env, name, by));
  }

  erase({ subject, yes, by }: CareRequest<"erase">): Promise<ErasureAnswer> {
    const { data, env } = this.#options;
    const { log, keys } = data;
    return this.#inTurn(async () => {
      const erase = (): Promise<ErasureAnswer> => eraseSubject(log, keys, env, subject, by, this.#closing.signal);
      if (yes) return erase();
      const { key, hash: subjectHash, isErased } = await requireErasable(log, keys, subject);
      return isErased ? erase() : { key, subjectHash };
    });
  }

  /** Waits for what was begun. An archive ends behind the segment that it is at, an erasure without waiting for deliveries. */
  async close(): Promise<void> {
    this.#options.data.log.retention.stop();
    this.#closing.abort();
    await this.#turn.catch(() => undefined);
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(change);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}
