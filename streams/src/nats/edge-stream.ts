/**
 * The stream that edges lie on: one subject per lane, each of which holds a bounded number of frames and refuses more, so that
 * a publisher waits; what was taken is gone. Made on first use. All of it works on nats-server 2.9.
 */
import { createHash } from "node:crypto";
import { type Env, sleep } from "@millrace/engine";
import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  type NatsConnection,
  type NatsError,
  nanos,
  RetentionPolicy,
} from "nats";

export interface EdgeStreamOptions {
  readonly env: Env;
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
/**
 * How long one that was there and is gone is left alone. A server that deletes a stream has none of that name while it still ends the
 * consumers, whose subscribers hear of it at once, and then removes the folder, which is that of a stream that was made anew meanwhile,
 * too: that takes nothing, or gives nothing. With more consumers it takes longer.
 */
const DELETING_MS = 2000;
/** How often a consumer is made until one begins at the beginning. */
const TAKES_MAX = 5;
const NOT_FOUND = 404;
/** Whatever keeps a message out of a stream has this code; the words tell one from another. */
const NOT_STORED = 10_077;
const FULL = "maximum messages per subject exceeded";
const NO_FOLDER = "no such file or directory";

/** A stream is told from others of its name by when it was made, in the server's words. */
export class EdgeStream {
  readonly name: string;
  readonly prefix: string;
  readonly capacity: number;
  readonly #env: Env;
  #wasSeen = false;
  /** One after the other: what one of them made is not for the next to delete. */
  #replaced: Promise<unknown> = Promise.resolve();

  constructor({ env, name, prefix, capacity }: EdgeStreamOptions) {
    this.#env = env;
    this.name = name;
    this.prefix = prefix;
    this.capacity = capacity;
  }

  /** Makes it if it is missing. `signal` ends the wait for a server that may be deleting it. @returns when it was made */
  async ensure(nc: NatsConnection, signal: AbortSignal): Promise<string> {
    let known = await this.#created(nc);
    if (known === undefined && this.#wasSeen) {
      await sleep(this.#env, DELETING_MS, signal);
      known = await this.#created(nc);
    }
    const created = known ?? (await this.#make(nc));
    this.seen();
    return created;
  }

  /** It is there. */
  seen(): void {
    this.#wasSeen = true;
  }

  /** Puts another one in the place of that of `created`, whose folder is gone, if it is still there. Who had it hears of it. */
  replace(nc: NatsConnection, created: string): Promise<void> {
    const turn = this.#replaced.then(async () => {
      if ((await this.#created(nc)) !== created) return;
      const jsm = await nc.jetstreamManager({ checkAPI: false });
      // Its answer is the end of it: nothing is removed afterwards.
      await jsm.streams.delete(this.name);
      await this.#make(nc);
    });
    this.#replaced = turn.catch(() => undefined);
    return turn;
  }

  async #created(nc: NatsConnection): Promise<string | undefined> {
    const jsm = await nc.jetstreamManager({ checkAPI: false });
    const info = await jsm.streams.info(this.name).catch((error: NatsError) => {
      if (error.api_error?.code === NOT_FOUND) return undefined;
      throw error;
    });
    return info?.created;
  }

  async #make(nc: NatsConnection): Promise<string> {
    const jsm = await nc.jetstreamManager({ checkAPI: false });
    const { created } = await jsm.streams.add({
      name: this.name,
      subjects: [`${this.prefix}.>`],
      retention: RetentionPolicy.Workqueue,
      discard: DiscardPolicy.New,
      discard_new_per_subject: true,
      max_msgs_per_subject: this.capacity,
      max_age: nanos(MAX_AGE_MS),
    });
    return created;
  }
}

/** The subject holds as many messages as it may. */
export function isSubjectFull(error: unknown): boolean {
  return notStored(error) === FULL;
}

/** The server has the stream, and not the folder that its messages go to: it takes none until it is made anew. */
export function isFolderGone(error: unknown): boolean {
  return notStored(error).includes(NO_FOLDER);
}

/** Why the server could not keep a message, in its words. */
function notStored(error: unknown): string {
  const refusal = (error as NatsError).api_error;
  return refusal?.err_code === NOT_STORED ? refusal.description : "";
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
  const { consumers } = await nc.jetstreamManager({ checkAPI: false });
  const name = consumerName(subject);
  let delivered = 1;
  // One that begins further on has found in its folder what a deleted stream left there, and would pass over as much of this one.
  for (let attempt = 0; attempt < TAKES_MAX && delivered > 0; attempt++) {
    await consumers.delete(stream.name, name).catch((error: NatsError) => {
      if (error.api_error?.code !== NOT_FOUND) throw error;
    });
    const made = await consumers.add(stream.name, {
      durable_name: name,
      description: owner,
      filter_subject: subject,
      deliver_policy: DeliverPolicy.All,
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(ACK_WAIT_MS),
      max_ack_pending: stream.capacity * 2,
    });
    delivered = made.delivered.consumer_seq;
  }
  if (delivered > 0)
    throw new Error(`${stream.name} has a new consumer ${name} that begins behind ${delivered} messages`);
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
