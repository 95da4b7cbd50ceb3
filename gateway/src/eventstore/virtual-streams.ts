/**
 * The streams that EventStoreDB fills with links, served without one in the log: `$ce-<category>`, `$et-<type>`,
 * `$bc-<correlation id>` and `$streams`, and of the same kind `$tag-<tag>`, are numbered lists of the log's index. Every event of a
 * list is shown as the link that EventStoreDB's projections would have written, at the position of the event itself.
 */
import { createHash } from "node:crypto";
import {
  CLIENT_SCHEMA,
  type EventContext,
  type EventList,
  type EventLog,
  eventFilter,
  listFilter,
  type ReadOptions,
  type RecordedEvent,
} from "@millrace/engine";
import { isPruned } from "./pruned.ts";
import { LINK_TYPE, linkPayload } from "./stored-event.ts";
import { isUuid, uuidBytes } from "./uuid.ts";

/** Nothing for any other stream. */
export function virtualList(stream: string): EventList | undefined {
  if (stream === "$streams") return { starts: true };
  const [, kind, name = ""] = /^\$(ce|et|bc|tag)-(.+)$/s.exec(stream) ?? [];
  if (kind === "ce") return { category: name };
  if (kind === "et") return { type: name };
  if (kind === "tag") return { tag: name };
  const correlationId = kind === "bc" && isUuid(name) ? uuidBytes(name) : undefined;
  return correlationId && { correlationId };
}

/** True for streams that nobody may write to, lists or not. */
export function isVirtual(stream: string): boolean {
  return stream === "$streams" || /^\$(ce|et|bc|tag)-/.test(stream);
}

/** A link that is in no log. Valid as long as the event that it points at. */
export class VirtualLink implements RecordedEvent {
  readonly type = LINK_TYPE;
  readonly schemaVersion = CLIENT_SCHEMA;
  readonly stream: string;
  readonly revision: number;
  readonly origin: RecordedEvent;

  constructor(stream: string, revision: number, origin: RecordedEvent) {
    this.stream = stream;
    this.revision = revision;
    this.origin = origin;
  }

  /** The same whenever the link is read. */
  get id(): Uint8Array {
    return createHash("sha256").update(this.stream).update(this.origin.id).digest().subarray(0, 16);
  }

  get payload(): Uint8Array {
    return linkPayload(this.origin);
  }

  get position(): number {
    return this.origin.position;
  }

  get timeMs(): number {
    return this.origin.timeMs;
  }

  get context(): EventContext {
    return this.origin.context;
  }
}

/** Streams as clients see them: those of the log, and the virtual ones when the log keeps lists. */
export class ServedStreams {
  readonly #log: EventLog;

  constructor(log: EventLog) {
    this.#log = log;
  }

  /** Revision of the last durable event, -1 when there is none. */
  async head(stream: string): Promise<number> {
    const { lists } = this.#log;
    if (lists === undefined || !isVirtual(stream)) return this.#log.head(stream);
    const list = virtualList(stream);
    return list === undefined ? -1 : (await lists.countOf(list)) - 1;
  }

  /**
   * Position behind the events of a virtual stream that are numbered below `number`: unlike a number it means the same to an index
   * that is made again after a prune. Nothing of a stream of the log, and while there are not so many events.
   */
  async positionBehind(stream: string, number: number): Promise<number | undefined> {
    const list = virtualList(stream);
    if (this.#log.lists === undefined || list === undefined) return undefined;
    if (number <= 0) return 0;
    const last = await this.#log.lists.positionOf(list, number - 1);
    return last === undefined ? undefined : last + 1;
  }

  /** Number, as they are now, of a virtual stream's first event at or behind a position; how many there are when none is. */
  async numberFrom(stream: string, position: number): Promise<number> {
    const list = virtualList(stream);
    if (this.#log.lists === undefined || list === undefined) return 0;
    let [low, high] = [0, await this.#log.lists.countOf(list)];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (((await this.#log.lists.positionOf(list, middle)) ?? position) < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * The first revision that can be read, behind what was pruned; one behind the last when nothing is left. As after a scavenge of
   * EventStoreDB, this is where a stream begins for whoever asks for its start.
   */
  async firstKept(stream: string): Promise<number> {
    const base = this.#log.base ?? 0;
    if (base === 0) return 0;
    if (this.#log.lists !== undefined && isVirtual(stream)) return this.numberFrom(stream, base);
    let [low, high] = [0, (await this.#log.head(stream)) + 1];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (await this.#isKept(stream, middle)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  async #isKept(stream: string, revision: number): Promise<boolean> {
    try {
      for await (const _ of this.#log.readStream(stream, { from: revision, limit: 1 })) break;
      return true;
    } catch (thrown) {
      if (isPruned(thrown)) return false;
      throw thrown;
    }
  }

  /** As `EventLog.readStream`; the events of a virtual stream are {@link VirtualLink}s. */
  read(
    stream: string,
    options: Pick<ReadOptions, "from" | "direction" | "limit">,
  ): AsyncIterable<readonly RecordedEvent[]> {
    if (this.#log.lists === undefined || !isVirtual(stream)) return this.#log.readStream(stream, options);
    return this.#links(stream, options);
  }

  async *#links(
    stream: string,
    { from, direction = "forward", limit }: Pick<ReadOptions, "from" | "direction" | "limit">,
  ): AsyncGenerator<readonly VirtualLink[]> {
    const list = virtualList(stream);
    const isForward = direction === "forward";
    const head = isForward ? -1 : await this.head(stream);
    let number = isForward ? (from ?? 0) : Math.min(from ?? head, head);
    const position = list && number >= 0 ? await this.#log.lists?.positionOf(list, number) : undefined;
    if (list === undefined || position === undefined) return;
    const options = { from: position, direction, filter: listFilter(list), ...(limit === undefined ? {} : { limit }) };
    for await (const batch of this.#log.read(options))
      yield batch.map((event) => new VirtualLink(stream, isForward ? number++ : number--, event));
  }
}

/** Tells which events a stream gets, for whoever waits for the next; nothing for a stream of the log. */
export function virtualFilter(stream: string): ((event: RecordedEvent) => boolean) | undefined {
  const list = isVirtual(stream) ? virtualList(stream) : undefined;
  return list && eventFilter(listFilter(list));
}
