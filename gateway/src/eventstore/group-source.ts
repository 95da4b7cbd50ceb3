/** What a persistent subscription reads: the events of a stream, or of all that pass its filter, from its checkpoint on. */
import type { RecordedEvent } from "@millrace/engine";
import type { EndpointContext } from "./endpoint-context.ts";
import { ALL, filterOptions, type GroupDefinition } from "./group-settings.ts";
import { isHidden } from "./hidden-events.ts";
import { withKept } from "./kept-event.ts";
import { type LinkTarget, targetOf } from "./link-target.ts";
import { type NameFilter, readFilter } from "./name-filter.ts";
import { isPruned } from "./pruned.ts";
import { isClientEvent, LINK_TYPE, writeBody } from "./stored-event.ts";
import { firstVisible, isSoftDeleted, isTooOld } from "./stream-metadata.ts";
import { VirtualLink } from "./virtual-streams.ts";
import { WireWriter } from "./wire-writer.ts";

/** An event as bytes but for its id, whose form each subscriber chooses. */
export interface RecordBytes {
  readonly id: Uint8Array;
  readonly body: Buffer;
}

export interface GroupEvent {
  /** Revision of the event in the stream that is subscribed to, or position for all. */
  readonly place: number;
  readonly position: number;
  /** Where it stands itself, for a link that parks it. */
  readonly stream: string;
  readonly revision: number;
  readonly correlationId: string;
  readonly record: RecordBytes;
  /** What it points at, when links are resolved and it is one. */
  readonly target: LinkTarget | undefined;
}

const READ_BYTES_MAX = 1 << 20;
const READ_EVENTS_MAX = 500;

export class GroupSource {
  /** The first place that was not read. */
  next: number;
  readonly #context: EndpointContext;
  readonly #definition: GroupDefinition;
  readonly #filter: NameFilter | undefined;

  constructor(context: EndpointContext, definition: GroupDefinition, next: number) {
    this.next = next;
    this.#context = context;
    this.#definition = definition;
    const options = filterOptions(definition);
    this.#filter = options && readFilter(options);
  }

  /**
   * The next events; none when all there are were read, or `isWanted` says that nobody takes them any more. A group that begins at what
   * was pruned begins with the first that was not.
   */
  async read(isWanted: () => boolean): Promise<readonly GroupEvent[]> {
    const { stream } = this.#definition;
    const read = (): Promise<readonly GroupEvent[]> =>
      stream === ALL ? this.#readAll(isWanted) : this.#readStream(stream, isWanted);
    try {
      return await read();
    } catch (thrown) {
      this.next = await placeBehindPruned(this.#context, stream, this.next, thrown);
      return read();
    }
  }

  /** Resolves when there may be more. Ask first, then read. */
  changed(signal: AbortSignal): Promise<void> {
    return this.#context.tail.next(this.#definition.stream, signal);
  }

  async #readAll(isWanted: () => boolean): Promise<readonly GroupEvent[]> {
    for await (const batch of this.#context.log.read({ from: this.next })) {
      const passing = batch.filter((event) => this.#filter?.passes(event) ?? true);
      const last = (batch.at(-1)?.position ?? -1) + 1;
      const events = this.#take(passing, ({ position }) => position);
      this.next = events.length < passing.length ? (events.at(-1)?.place ?? -1) + 1 : last;
      if (events.length > 0 || !isWanted()) return events;
    }
    return [];
  }

  async #readStream(stream: string, isWanted: () => boolean): Promise<readonly GroupEvent[]> {
    const { streams, states, env } = this.#context;
    const { metadata, isTombstoned } = await states.of(stream);
    const head = await streams.head(stream);
    if (isTombstoned || isSoftDeleted(metadata)) return [];
    this.next = Math.max(this.next, Math.min(firstVisible(metadata, head), head + 1));
    // All that one read gives may be too old: then what is behind it is read.
    for (let from = -1; from < this.next && isWanted(); ) {
      from = this.next;
      for await (const batch of streams.read(stream, { from, limit: READ_EVENTS_MAX })) {
        const young = batch.filter((event) => !isTooOld(metadata, event, env.clock.now()));
        const last = (batch.at(-1)?.revision ?? -1) + 1;
        const events = this.#take(young, ({ revision }) => revision);
        this.next = events.length < young.length ? (events.at(-1)?.place ?? -1) + 1 : last;
        if (events.length > 0) return events;
      }
    }
    return [];
  }

  /** As many as may wait at once. */
  #take(events: readonly RecordedEvent[], placeOf: (event: RecordedEvent) => number): readonly GroupEvent[] {
    const { readBatchSize, resolveLinks } = this.#definition.settings;
    const taken: GroupEvent[] = [];
    let bytes = 0;
    for (const event of events) {
      if (taken.length >= Math.min(readBatchSize, READ_EVENTS_MAX) || bytes >= READ_BYTES_MAX) break;
      const one = groupEvent(event, placeOf(event), resolveLinks, this.#context);
      bytes += one.record.body.length;
      taken.push(one);
    }
    return taken;
  }
}

/**
 * Where a group goes on whose next event was pruned. It has none to miss: what one has yet to read holds a prune, so this one was made
 * later than that.
 *
 * @throws the failure, when it is another
 */
export async function placeBehindPruned(
  { log, streams }: Pick<EndpointContext, "log" | "streams">,
  stream: string,
  place: number,
  failure: unknown,
): Promise<number> {
  if (!isPruned(failure)) throw failure;
  const first = stream === ALL ? (log.base ?? 0) : await streams.firstKept(stream);
  if (first <= place) throw failure;
  return first;
}

export function groupEvent(
  event: RecordedEvent,
  place: number,
  resolveLinks: boolean,
  { describe }: EndpointContext,
): GroupEvent {
  // A link that is in no log cannot be linked to.
  const { stream, revision } = event instanceof VirtualLink ? event.origin : event;
  return {
    place,
    position: event.position,
    stream,
    revision,
    correlationId: Buffer.from(event.context.correlationId).toString("hex"),
    record: recordBytes(event, describe),
    target: linkOf(event, resolveLinks),
  };
}

export function recordBytes(event: RecordedEvent, describe: EndpointContext["describe"]): RecordBytes {
  const writer = new WireWriter(event.payload.length + 256);
  writeBody(writer, event, describe);
  return { id: Uint8Array.from(event.id), body: writer.finish() };
}

/** The event that a link points at; nothing when it is not there. */
export async function linked(target: LinkTarget, context: EndpointContext): Promise<RecordBytes | undefined> {
  const found = await withKept(context.log, target, (event) => {
    return { timeMs: event.timeMs, record: recordBytes(event, context.describe) };
  });
  if (found === undefined || (await isHidden({ ...target, timeMs: found.timeMs }, context))) return undefined;
  return found.record;
}

/** What an event points at, of those whose links are resolved. */
export function linkOf(event: RecordedEvent, resolveLinks: boolean): LinkTarget | undefined {
  return resolveLinks && event.type === LINK_TYPE && isClientEvent(event) ? targetOf(event) : undefined;
}
