/** What the endpoint knows of a stream beside its events: tombstone, metadata, whose it is. Read from the log, kept while fresh. */
import { CLIENT_SCHEMA, type EventLog } from "@millrace/engine";
import { dataOf, isClientEvent, METADATA_TYPE, TOMBSTONE_TYPE } from "./stored-event.ts";
import {
  isMetastream,
  LAST_ONLY,
  metastreamOf,
  NO_METADATA,
  parseMetadata,
  type StreamMetadata,
  subjectOf,
} from "./stream-metadata.ts";

export interface StreamState {
  readonly isTombstoned: boolean;
  /** True for what Millrace itself writes: a client reads it and leaves it alone. */
  readonly isForeign: boolean;
  readonly metadata: StreamMetadata;
  /** Last revision of the metadata stream, -1 when there is none. */
  readonly metadataHead: number;
}

const KEPT_MAX = 10_000;

export class StreamStates {
  readonly #log: EventLog;
  /** In order of use, so that the first is the one to forget. */
  readonly #kept = new Map<string, StreamState>();
  /** What was read before one of these may be of before it. */
  #changes = 0;

  constructor(log: EventLog) {
    this.#log = log;
  }

  async of(stream: string): Promise<StreamState> {
    // As in EventStoreDB: of metadata only the last is read, and a tombstone closes it with its stream.
    if (isMetastream(stream)) return { ...(await this.of(subjectOf(stream))), metadata: LAST_ONLY, metadataHead: -1 };
    const kept = this.#kept.get(stream);
    if (kept !== undefined) {
      this.#kept.delete(stream);
      this.#kept.set(stream, kept);
      return kept;
    }
    const changes = this.#changes;
    const last = await this.#last(stream);
    const state = stateOf(last, await this.#last(metastreamOf(stream)));
    // A stream without events may become somebody else's.
    if (last !== undefined && changes === this.#changes) this.#keep(stream, state);
    return state;
  }

  /** The next look reads the log again. */
  forget(stream: string): void {
    this.#changes += 1;
    this.#kept.delete(stream);
  }

  #keep(stream: string, state: StreamState): void {
    this.#kept.set(stream, state);
    if (this.#kept.size <= KEPT_MAX) return;
    const [oldest] = this.#kept.keys();
    if (oldest !== undefined) this.#kept.delete(oldest);
  }

  async #last(stream: string): Promise<Last | undefined> {
    const gone = await this.#log.prunedEnd?.(stream);
    if (gone !== undefined) {
      const { type, revision, schemaVersion } = gone;
      return { isForeign: schemaVersion !== CLIENT_SCHEMA, type, revision, json: "" };
    }
    for await (const [event] of this.#log.readStream(stream, { direction: "backward", limit: 1 })) {
      if (event === undefined) continue;
      const { type, revision } = event;
      const isForeign = !isClientEvent(event);
      return { isForeign, type, revision, json: !isForeign && type === METADATA_TYPE ? dataOf(event).toString() : "" };
    }
    return undefined;
  }
}

/** Of the last event of a stream. */
interface Last {
  readonly isForeign: boolean;
  readonly type: string;
  readonly revision: number;
  /** Of metadata. */
  readonly json: string;
}

function stateOf(last: Last | undefined, metadata: Last | undefined): StreamState {
  return {
    isForeign: last?.isForeign === true,
    isTombstoned: last?.isForeign === false && last.type === TOMBSTONE_TYPE,
    metadata: metadata === undefined ? NO_METADATA : parseMetadata(metadata.json),
    metadataHead: metadata?.revision ?? -1,
  };
}
