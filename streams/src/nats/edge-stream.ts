/**
 * The stream that edges lie on: one subject per lane, each of which holds a bounded number of frames and refuses more, so that
 * a publisher waits; what was taken is gone. Made on first use. All of it works on nats-server 2.9.
 */
import { createHash } from "node:crypto";
import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  type NatsConnection,
  type NatsError,
  nanos,
  RetentionPolicy,
} from "nats";

export interface EdgeStream {
  readonly name: string;
  /** First part of every subject. */
  readonly prefix: string;
  /** Messages that a subject holds. */
  readonly capacity: number;
}

/** What nobody took for so long is not taken any more; its origin sends it again when it is asked. */
const MAX_AGE_MS = 24 * 3_600_000;
/** Longer than any receiver stays connected without an answer: what is unanswered comes again with the next consumer. */
const ACK_WAIT_MS = 24 * 3_600_000;
const NOT_FOUND = 404;
const SUBJECT_FULL = 10_077;

/** When the stream was made: two of one name are told apart by it. */
export async function ensureEdgeStream(nc: NatsConnection, { name, prefix, capacity }: EdgeStream): Promise<string> {
  const jsm = await nc.jetstreamManager({ checkAPI: false });
  const known = await jsm.streams.info(name).catch((error: NatsError) => {
    if (error.api_error?.code === NOT_FOUND) return undefined;
    throw error;
  });
  if (known !== undefined) return known.created;
  const made = await jsm.streams.add({
    name,
    subjects: [`${prefix}.>`],
    retention: RetentionPolicy.Workqueue,
    discard: DiscardPolicy.New,
    discard_new_per_subject: true,
    max_msgs_per_subject: capacity,
    max_age: nanos(MAX_AGE_MS),
  });
  return made.created;
}

/** The subject holds as many messages as it may. */
export function isSubjectFull(error: unknown): boolean {
  return (error as NatsError).api_error?.err_code === SUBJECT_FULL;
}

/** Any text as a NATS subject: its dots stay, so that wildcards work on it; what NATS does not allow is escaped. */
export function natsSubject(prefix: string, subject: string): string {
  const tokens = subject
    .split(".")
    .map((token) => (token === "" ? "%" : encodeURIComponent(token).replaceAll("*", "%2A")));
  return `${prefix}.${tokens.join(".")}`;
}

/** The consumer of a subject. There is one at a time: whoever makes it anew takes the subject over. */
export function consumerName(subject: string): string {
  return createHash("sha256").update(subject).digest("hex").slice(0, 32);
}

/** Makes the subject's consumer for `owner`; what another one had and did not answer comes first. */
export async function takeOver(nc: NatsConnection, stream: EdgeStream, subject: string, owner: string): Promise<void> {
  const jsm = await nc.jetstreamManager({ checkAPI: false });
  const name = consumerName(subject);
  await jsm.consumers.delete(stream.name, name).catch((error: NatsError) => {
    if (error.api_error?.code !== NOT_FOUND) throw error;
  });
  await jsm.consumers.add(stream.name, {
    durable_name: name,
    description: owner,
    filter_subject: subject,
    deliver_policy: DeliverPolicy.All,
    ack_policy: AckPolicy.Explicit,
    ack_wait: nanos(ACK_WAIT_MS),
    max_ack_pending: stream.capacity * 2,
  });
}

/** Who has the subject; `undefined` for nobody. */
export async function ownerOf(nc: NatsConnection, stream: EdgeStream, subject: string): Promise<string | undefined> {
  const jsm = await nc.jetstreamManager({ checkAPI: false });
  const info = await jsm.consumers.info(stream.name, consumerName(subject)).catch((error: NatsError) => {
    if (error.api_error?.code === NOT_FOUND) return undefined;
    throw error;
  });
  return info?.config.description;
}
