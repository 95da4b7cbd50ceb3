/**
 * The messages of a WebSocket as a feed. Nobody says them again, so what is on its way when a connection or this process ends is lost:
 * at most once. With `ack` messages are `{"id": …, "data": …}`; each is answered with `{"ack": id}` once it is durable, and a sender that
 * says again what was not answered loses nothing. What comes faster than it becomes durable stays with the sender.
 */
import { createHash } from "node:crypto";
import {
  type Env,
  engineError,
  type Feed,
  type FeedIntake,
  isJsonObject,
  type Json,
  messageOf,
} from "@millrace/engine";
import { Connection } from "../resilience/connection.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";
import { resilientFeed } from "../resilience/resilient-feed.ts";
import { httpError } from "./errors.ts";
import { idAt } from "./field-path.ts";
import { GuardedDialer } from "./guarded-dialer.ts";
import { SocketLink } from "./socket-link.ts";
import { UNSETTLED_MAX, Unsettled } from "./unsettled.ts";
import { DEADLINE_MS, WebCaller, type WebCallOptions } from "./web-caller.ts";

export interface SocketOptions extends WebCallOptions {
  /** Messages are acknowledged, see above. Default false. */
  readonly ack?: boolean;
  readonly policy?: Partial<ResiliencePolicy> | undefined;
}

export interface SocketFeedOptions extends SocketOptions {
  /** Field of a message with its id. With `ack` it is the id that is acknowledged. */
  readonly id?: string;
  /** Sent after connecting; may hold secrets. */
  readonly send?: readonly string[];
}

const SHOWN_CHARS_MAX = 4096;
const utf8 = new TextDecoder("utf-8", { fatal: true });

export function socketFeed(options: SocketFeedOptions, env: Env): Feed {
  const caller = new WebCaller(options, env);
  const connection = socketConnection(options, caller, options.send ?? [], env);
  let unsettled = new Unsettled(UNSETTLED_MAX);
  const feed = resilientFeed(
    connection,
    {
      capabilities: { ordered: true, pause: true, ...(options.ack === true ? { nack: true } : {}) },
      listen: (link, intake) => listen(link, intake, options, caller.name, unsettled),
    },
    env,
  );
  return {
    ...feed,
    run(intake, signal) {
      unsettled = new Unsettled(UNSETTLED_MAX);
      return feed.run(intake, signal);
    },
  };
}

/**
 * A WebSocket that is asked for an answer now and then, as the layer says.
 *
 * @param take what comes, from the beginning; absent: it waits until somebody listens, and whether the other end is there is not seen before
 */
export function socketConnection(
  options: SocketOptions,
  caller: WebCaller,
  greetings: readonly string[],
  env: Env,
  take?: (data: Uint8Array) => void,
): Connection<SocketLink> {
  const dialer = new GuardedDialer({ allow: options.allow ?? [] });
  return new Connection<SocketLink>({
    name: caller.name,
    endpoints: [caller.name],
    env,
    policy: { connectTimeoutMs: options.deadlineMs ?? DEADLINE_MS, ...options.policy },
    driver: {
      async connect(_, signal) {
        const link = await SocketLink.open({ caller, dialer, env, greetings, signal });
        if (take !== undefined) link.listen(take);
        return link;
      },
      // Who holds back what comes does not hear the answer.
      probe: (link) => (link.isPaused ? Promise.resolve() : link.ping()),
      ended: (link) => link.ended,
      disconnect: async (link) => link.end(undefined),
    },
  });
}

async function listen(
  link: SocketLink,
  intake: FeedIntake,
  { ack = false, id }: SocketFeedOptions,
  name: string,
  unsettled: Unsettled,
): Promise<void> {
  link.listen((data) => {
    const settled = unsettled.add(data.length);
    let message: Json;
    try {
      message = JSON.parse(utf8.decode(data)) as Json;
    } catch (cause) {
      const place = { stream: name };
      const error = engineError("MSG-DECODE", `a message of ${name} is no JSON: ${messageOf(cause)}`, { place, cause });
      // Nobody can be told that it arrived, so with acknowledgements it comes again; it is one dead letter all the same.
      intake.reject(error, shown(data), { ...(ack ? { id: digestOf(data) } : {}), settle: settled });
      return;
    }
    if (ack) takeAcknowledged(message, { link, intake, name, settled });
    else intake.take(message, { ...idOf(idAt(message, id)), settle: settled });
  });
  unsettled.tell((isFull) => link.hold(isFull));
  await link.ended;
}

interface Acknowledging {
  readonly link: SocketLink;
  readonly intake: FeedIntake;
  readonly name: string;
  readonly settled: () => void;
}

function takeAcknowledged(message: Json, { link, intake, name, settled }: Acknowledging): void {
  const id = idAt(message, "id");
  if (id === undefined || !isJsonObject(message) || message.data === undefined) {
    const error = httpError("HTTP-SHAPE", `a message of ${name} is no {id, data}, so it cannot be acknowledged`, {
      place: { stream: name },
    });
    const data = Buffer.from(JSON.stringify(message));
    intake.reject(error, shown(data), { id: digestOf(data), settle: settled });
    return;
  }
  const settle = (): void => {
    settled();
    // Over a connection that has ended nobody waits for it; it comes again.
    if (!link.signal.aborted) link.send(JSON.stringify({ ack: message.id })).catch(() => undefined);
  };
  intake.take(message.data, { id, settle });
}

const idOf = (id: string | undefined): { readonly id?: string } => (id === undefined ? {} : { id });

const digestOf = (data: Uint8Array): string => `sha256:${createHash("sha256").update(data).digest("base64url")}`;

const shown = (data: Uint8Array): string => Buffer.from(data).toString("utf8").slice(0, SHOWN_CHARS_MAX);
