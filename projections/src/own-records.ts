/**
 * Records that a log writes for itself, such as where it was cut: they are given to who asks for their types, and no index has them. They
 * are looked for by a subscription, which ends with its signal.
 */
import type { EventFilter, EventLog, ReadOptions, RecordedEvent } from "@millrace/engine";

/** Types of them; a filter with one of these is for the log alone to judge. */
const OWN_TYPES: ReadonlySet<string> = new Set(["$name", "$tail-cut", "$truncated"]);

export type SubscribableLog = Pick<EventLog, "durableEnd" | "subscribe">;

export function asksForOwnRecords({ types = [] }: EventFilter): boolean {
  return types.some((type) => OWN_TYPES.has(type));
}

export interface OwnRecordsOptions extends Pick<ReadOptions, "from" | "direction"> {
  /** Backward as many are kept until all that is before them was looked at. */
  readonly limit: number;
}

/** As `EventLog.read`. @throws the signal's reason */
export async function* ownRecords(
  log: SubscribableLog & Pick<EventLog, "base">,
  filter: EventFilter,
  { from, direction, limit }: OwnRecordsOptions,
  signal: AbortSignal,
): AsyncGenerator<readonly RecordedEvent[]> {
  const end = log.durableEnd;
  if (direction === "backward") yield await newest(log, filter, Math.min((from ?? end) + 1, end), limit, signal);
  else yield* between(log, filter, from ?? 0, end, signal);
}

async function* between(
  log: SubscribableLog,
  filter: EventFilter,
  from: number,
  end: number,
  signal: AbortSignal,
): AsyncGenerator<readonly RecordedEvent[]> {
  if (from >= end) return;
  for await (const batch of log.subscribe({ from, filter, signal })) {
    yield batch.events.filter(({ position }) => position < end);
    if (batch.end >= end) return;
  }
  signal.throwIfAborted();
}

async function newest(
  log: SubscribableLog & Pick<EventLog, "base">,
  filter: EventFilter,
  end: number,
  limit: number,
  signal: AbortSignal,
): Promise<readonly RecordedEvent[]> {
  const found: RecordedEvent[] = [];
  for await (const events of between(log, filter, log.base ?? 0, end, signal))
    for (const event of events) {
      found.push(copied(event));
      if (found.length > limit) found.shift();
    }
  return found.reverse();
}

/** An event is valid until the next batch, and reads its fields when they are asked for. */
function copied({
  id,
  type,
  schemaVersion,
  context,
  payload,
  position,
  stream,
  revision,
  timeMs,
}: RecordedEvent): RecordedEvent {
  const { causationId, correlationId, principal, tenant, codeVersion, graph, graphRevision, node, epoch } = context;
  const ids = { causationId: new Uint8Array(causationId), correlationId: new Uint8Array(correlationId) };
  return {
    id: new Uint8Array(id),
    type,
    schemaVersion,
    context: { ...ids, principal, tenant, codeVersion, graph, graphRevision, node, epoch },
    payload: new Uint8Array(payload),
    position,
    stream,
    revision,
    timeMs,
  };
}
