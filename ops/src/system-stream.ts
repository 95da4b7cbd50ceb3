/** Streams in which a data directory's own history stands: who asked for what, and why. Their names begin with `$`. */
import {
  type Env,
  type EventInput,
  type EventLog,
  type Mutation,
  newestFirst,
  packState,
  type RecordedEvent,
  type StateEvent,
  unpackState,
} from "@millrace/engine";

const SCHEMA = 1;

/** Appends one event with what happened and the reason; resolves with its position once it is durable. */
export async function appendSystemEvent(
  log: EventLog,
  env: Env,
  { stream, type, payload }: { readonly stream: string; readonly type: string; readonly payload: object },
  { principal, reason }: Mutation,
): Promise<number> {
  const id = env.random.bytes(16);
  const event: EventInput = {
    id,
    type,
    schemaVersion: SCHEMA,
    context: {
      causationId: id,
      correlationId: id,
      principal,
      tenant: "",
      codeVersion: "",
      graph: "",
      graphRevision: 0,
      node: "",
      epoch: 0,
    },
    // Names, texts and numbers only: msgpack says all of it.
    payload: packState({ ...payload, reason } as StateEvent),
  };
  const { position } = await log.append([{ stream, expected: "any", events: [event] }]);
  return position;
}

/** The events of a stream that still count, oldest first. */
export async function systemEvents(log: EventLog, stream: string): Promise<readonly RecordedEvent[]> {
  const events: RecordedEvent[] = [];
  // Backward, so that what was pruned of the stream is no error: what still counts never is.
  for await (const event of newestFirst(log, stream)) events.push(event);
  return events.reverse();
}

/** What {@link appendSystemEvent} was given; the log's own checksum vouches for it. */
export const systemPayload = <T>({ payload }: RecordedEvent): T & { readonly reason: string } =>
  unpackState(payload) as unknown as T & { readonly reason: string };
