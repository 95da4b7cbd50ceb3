/**
 * Sends messages over a WebSocket, each by itself, as JSON. Without `ack` a delivery is done when the other end has answered a ping that was
 * sent behind it: it has received the messages, and what its program did with them nobody knows. With `ack` a message is
 * `{"id": …, "data": …}`, and a delivery is done when each was answered with `{"ack": id}`. Ids are made of sink, lane, position and
 * ordinal, so what is sent again has the same id.
 */
import {
  type Env,
  httpClientError,
  type InputSlice,
  isJsonObject,
  type Json,
  type SinkConnector,
} from "@millrace/engine";
import { plainIdsOf } from "../resilience/outgoing.ts";
import { resilientSink, type SinkDriver } from "../resilience/resilient-sink.ts";
import { within } from "../resilience/within.ts";
import { type SocketOptions, socketConnection } from "./socket-feed.ts";
import type { SocketLink } from "./socket-link.ts";
import { DEADLINE_MS, WebCaller } from "./web-caller.ts";

export interface SocketSinkOptions extends SocketOptions {
  /** Names the sink among all that send there: graph and node. */
  readonly sink: string;
}

interface Outgoing {
  readonly id: string;
  readonly text: string;
}

/** Enough to keep a connection busy, little enough to be acknowledged in time. */
const IN_FLIGHT_MAX = 1000;

/** @throws (from `deliver`) SINK-FAILED, HTTP-DEADLINE, HTTP-BROKEN (transient): it is delivered again */
export function socketSink(options: SocketSinkOptions, env: Env): SinkConnector {
  const caller = new WebCaller(options, env);
  const acks = new Acks();
  const connection = socketConnection(options, caller, [], env, (data) => acks.hear(data));
  return resilientSink(connection, socketDriver(options, caller.name, acks, env));
}

function socketDriver(options: SocketSinkOptions, name: string, acks: Acks, env: Env): SinkDriver<SocketLink> {
  const { ack = false, deadlineMs = DEADLINE_MS } = options;
  return {
    guarantee: ack ? "at-least-once" : "best-effort",
    open: async () => undefined,
    async deliver(link, slices) {
      const messages = slices.flatMap((slice) => outgoing(slice, options.sink, ack));
      const left = messages.filter(({ id }) => !acks.has(id));
      for (let from = 0; from < left.length; from += IN_FLIGHT_MAX) {
        const part = left.slice(from, from + IN_FLIGHT_MAX);
        const sent = ack ? sendAcknowledged(link, part, acks) : sendPlainly(link, part);
        await within(env, deadlineMs, sent, () =>
          httpClientError("HTTP-DEADLINE", `${name} did not take ${part.length} messages in ${deadlineMs} ms`),
        ).catch((error: unknown) => {
          // What is left of it would come between the messages of the next attempt.
          link.end(error);
          throw error;
        });
      }
      acks.forget(messages);
      return null;
    },
  };
}

async function sendPlainly(link: SocketLink, messages: readonly Outgoing[]): Promise<void> {
  await Promise.all(messages.map(({ text }) => link.send(text)));
  await link.ping();
}

async function sendAcknowledged(link: SocketLink, messages: readonly Outgoing[], acks: Acks): Promise<void> {
  const acknowledged = link.unlessEnded((done) => acks.await(messages, done));
  await Promise.all([acknowledged, ...messages.map(({ text }) => link.send(text))]);
}

/** What the other end has acknowledged of a delivery that is not done; it is not sent again by this incarnation. */
class Acks {
  readonly #known = new Set<string>();
  /** Ids of the delivery that were not acknowledged yet. */
  #open = new Set<string>();
  #done: () => void = () => undefined;

  has(id: string): boolean {
    return this.#known.has(id);
  }

  /** Calls `done` when all of them are acknowledged, unless what it returns was called. */
  await(messages: readonly Outgoing[], done: () => void): () => void {
    this.#open = new Set(messages.map(({ id }) => id));
    this.#done = done;
    return () => {
      this.#open.clear();
      this.#done = () => undefined;
    };
  }

  /** What is no acknowledgement of ours is nothing to us. */
  hear(data: Uint8Array): void {
    const id = ackOf(data);
    if (id === undefined || !this.#open.delete(id)) return;
    this.#known.add(id);
    if (this.#open.size === 0) this.#done();
  }

  forget(messages: readonly Outgoing[]): void {
    for (const { id } of messages) this.#known.delete(id);
  }
}

function ackOf(data: Uint8Array): string | undefined {
  try {
    const said = JSON.parse(Buffer.from(data).toString("utf8")) as Json;
    return isJsonObject(said) && typeof said.ack === "string" ? said.ack : undefined;
  } catch {
    return undefined;
  }
}

function outgoing(slice: InputSlice, sink: string, ack: boolean): Outgoing[] {
  const rows = slice.batch.rows();
  return plainIdsOf(sink, slice).map((id, i) => {
    const data = rows[i] ?? null;
    return { id, text: JSON.stringify(ack ? { id, data } : data) };
  });
}
