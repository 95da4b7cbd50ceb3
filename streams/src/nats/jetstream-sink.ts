/**
 * Publishes messages to a subject that a JetStream stream takes. Every message has an id made of its sink, lane, position and
 * ordinal, the same for ever. Before it goes on after anything that went wrong, the sink reads which ids the stream has beyond
 * what was committed, and leaves these out: that holds however long ago they were written. A write of a dead incarnation that
 * arrives after that look is caught by the stream's own duplicate window (two minutes, unless it was made otherwise).
 */
import type { InputSlice, Json } from "@millrace/engine";
import { AckPolicy, DeliverPolicy, type NatsConnection, type PubAck } from "nats";
import type { EncodeMessage } from "../format/message-format.ts";
import type { MessageSinkDriver } from "../resilience/message-sink.ts";
import { natsError } from "./errors.ts";
import { messageOf, type OutgoingMessage } from "./outgoing-message.ts";
import { publishFailure } from "./publish-failure.ts";
import { type PulledMessage, pullNow } from "./pull-consumer.ts";

export interface JetStreamSinkOptions {
  readonly subject: string;
  /** Names the sink among all that write to the stream: graph and node. */
  readonly id: string;
}

/** More does not make it faster (ops/docs/connectors.md). */
const IN_FLIGHT_MAX = 256;
const ANSWER_MS = 5000;
const MESSAGE_ID = "Nats-Msg-Id";

export function jetStreamSink({ subject, id }: JetStreamSinkOptions): MessageSinkDriver<NatsConnection> {
  const prefix = `${encodeURIComponent(id)}/`;
  let present: Present = NOTHING;
  return {
    guarantee: "key",
    async open(nc, committed) {
      present = await presentBehind(nc, subject, sequenceOf(committed), prefix);
    },
    async deliver(nc, slices, encode) {
      const sequence = await publishAll(nc, subject, messagesOf(slices, prefix, encode), present).catch(
        (error: unknown) => {
          throw publishFailure(error, subject);
        },
      );
      present = { ids: new Set(), sequence };
      return { sequence };
    },
  };
}

/** What the stream has of this sink beyond what was committed, and the last sequence that is known. */
interface Present {
  readonly ids: ReadonlySet<string>;
  readonly sequence: number;
}

const NOTHING: Present = { ids: new Set(), sequence: 0 };

function sequenceOf(committed: Json | undefined): number {
  return (committed as { readonly sequence: number } | undefined)?.sequence ?? 0;
}

interface Outgoing extends OutgoingMessage {
  readonly id: string;
}

/** The sequence of the last message that the stream has now. */
async function publishAll(
  nc: NatsConnection,
  subject: string,
  messages: Iterable<Outgoing>,
  { ids, sequence }: Present,
): Promise<number> {
  const js = nc.jetstream();
  let last = sequence;
  const inFlight: Promise<PubAck>[] = [];
  const answered = async (left: number): Promise<void> => {
    while (inFlight.length > left) last = Math.max(last, (await (inFlight.shift() as Promise<PubAck>)).seq);
  };
  for (const { id, body, said, headerBytes } of messages) {
    if (ids.has(id)) continue;
    refuseTooLarge(nc, body, headerBytes);
    await answered(IN_FLIGHT_MAX - 1);
    const ack = js.publish(subject, body, { msgID: id, timeout: ANSWER_MS, ...said });
    // One that is not awaited because an earlier one failed is looked for in the stream.
    ack.catch(() => undefined);
    inFlight.push(ack);
  }
  await answered(0);
  return last;
}

function* messagesOf(slices: readonly InputSlice[], prefix: string, encode: EncodeMessage): Generator<Outgoing> {
  for (const { lane, batch, positions } of slices) {
    const of = `${prefix}${encodeURIComponent(lane)}`;
    for (let i = 0; i < batch.n; i++)
      yield { id: `${of}/${positions.pos(i)}/${positions.ord(i)}`, ...messageOf(encode(batch.row(i))) };
  }
}

/** @throws NATS-TOO-LARGE */
export function refuseTooLarge(nc: NatsConnection, body: Uint8Array, headerBytes = 0): void {
  const most = nc.info?.max_payload ?? Number.POSITIVE_INFINITY;
  if (body.length + headerBytes + HEADER_BYTES <= most) return;
  throw natsError("NATS-TOO-LARGE", `a message of ${body.length} bytes exceeds the server's ${most}`);
}

const HEADER_BYTES = 1024;

/** Reads the headers of what the stream has on the subject behind `after`; all of them if it was made anew since. */
async function presentBehind(nc: NatsConnection, subject: string, after: number, prefix: string): Promise<Present> {
  const jsm = await nc.jetstreamManager({ checkAPI: false });
  const stream = await jsm.streams.find(subject).catch((cause: unknown) => {
    throw new Error(`no stream takes ${subject}`, { cause });
  });
  const { state } = await jsm.streams.info(stream);
  const from = state.last_seq < after ? 0 : after;
  const consumer = await jsm.consumers.add(stream, {
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: from + 1,
    ack_policy: AckPolicy.None,
    filter_subject: subject,
    headers_only: true,
    mem_storage: true,
  });
  const found = await allWaiting(nc, stream, consumer.name);
  await jsm.consumers.delete(stream, consumer.name);
  const own = found.filter(({ headers }) => headers?.get(MESSAGE_ID).startsWith(prefix));
  const ids = new Set(own.map(({ headers }) => headers?.get(MESSAGE_ID) ?? ""));
  return { ids, sequence: Math.max(from, own.at(-1)?.sequence ?? 0) };
}

const SCAN_BATCH = 1000;

async function allWaiting(nc: NatsConnection, stream: string, consumer: string): Promise<readonly PulledMessage[]> {
  const found: PulledMessage[] = [];
  for (;;) {
    const more = await pullNow(nc, stream, consumer, SCAN_BATCH);
    if (more.length === 0) return found;
    found.push(...more);
  }
}
