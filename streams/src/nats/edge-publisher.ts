/** The sending end of one subject: one message after the other, each until the server has it, whatever happens meanwhile. */
import { type Env, MillraceError, messageOf, sleep, transportError } from "@millrace/engine";
import type { NatsConnection, NatsError } from "nats";
import type { Connection } from "../resilience/connection.ts";
import { transportClosed } from "../resilience/edge-ends.ts";
import { type EdgeStream, isFolderGone, isSubjectFull } from "./edge-stream.ts";
import { isNoResponders, publishFailure } from "./publish-failure.ts";

export interface EdgePublisherOptions {
  readonly env: Env;
  readonly connection: Connection<NatsConnection>;
  readonly stream: EdgeStream;
  readonly subject: string;
  /** Aborts when the transport is closed. */
  readonly closed: AbortSignal;
}

const ANSWER_MS = 5000;
const FULL_MS = 5;
const FULL_MS_MAX = 100;
const RETRY_MS = 50;

export class EdgePublisher {
  readonly #options: EdgePublisherOptions;
  #last: Promise<unknown> = Promise.resolve();
  /** Why the server, which is there, does not take a message; empty while it does. */
  refusal = "";
  /** When the stream was made whose folder was gone at the last attempt. */
  #folderless = "";

  constructor(options: EdgePublisherOptions) {
    this.#options = options;
  }

  /** @throws TRANSPORT-CLOSED, TRANSPORT-TOO-LARGE */
  publish(bytes: Uint8Array, id: string): Promise<void> {
    const turn = this.#last.then(() => this.#accepted(bytes, id));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #accepted(bytes: Uint8Array, id: string): Promise<void> {
    const { env, closed, subject } = this.#options;
    for (let full = 0; ; ) {
      if (closed.aborted) throw transportClosed();
      try {
        await this.#attempt(bytes, id);
        this.refusal = "";
        return;
      } catch (error) {
        if (closed.aborted) throw transportClosed();
        if (error instanceof MillraceError && error.kind !== "transient") throw error;
        this.refusal = refusalOf(error, subject);
        const waitMs = isSubjectFull(error) ? Math.min(FULL_MS_MAX, FULL_MS * 2 ** full++) : waitAfter(error);
        await sleep(env, waitMs, closed).catch(() => undefined);
      }
    }
  }

  async #attempt(bytes: Uint8Array, id: string): Promise<void> {
    const { connection, stream, subject, closed } = this.#options;
    const nc = await connection.keep();
    const most = nc.info?.max_payload ?? Number.POSITIVE_INFINITY;
    if (bytes.length > most)
      throw transportError("TRANSPORT-TOO-LARGE", `a message of ${bytes.length} bytes exceeds the server's ${most}`);
    try {
      await nc.jetstream().publish(subject, bytes, { msgID: id, timeout: ANSWER_MS });
      stream.seen();
    } catch (error) {
      if (isNoResponders(error)) await stream.ensure(nc, closed);
      else if (isFolderGone(error)) await this.#renew(nc);
      else if (!isSubjectFull(error)) await connection.suspect(nc);
      throw error;
    }
  }

  /** What a server says once may be of a stream that is not there any more: what it says again of the same one is not. */
  async #renew(nc: NatsConnection): Promise<void> {
    const { stream, closed } = this.#options;
    const created = await stream.ensure(nc, closed);
    if (created === this.#folderless) await stream.replace(nc, created);
    else this.#folderless = created;
  }
}

/** A subject that is full is in order, and a failure without the server's word is the connection's, which says so itself. */
function refusalOf(error: unknown, subject: string): string {
  const isRefused = (error as NatsError).api_error !== undefined && !isSubjectFull(error);
  return isRefused ? messageOf(publishFailure(error, subject)) : "";
}

function waitAfter(error: unknown): number {
  if (isNoResponders(error)) return 0;
  return (error instanceof MillraceError ? error.retryAfterMs : undefined) ?? RETRY_MS;
}
