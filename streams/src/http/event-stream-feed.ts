/**
 * A stream of server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) as a feed with a cursor: the id of the
 * last event is committed with it, and sent as `Last-Event-ID` when the stream is asked for again. What comes faster than it becomes
 * durable stays with the server.
 */
import {
  type Env,
  engineError,
  type Feed,
  type FeedIntake,
  type FeedItem,
  isJsonObject,
  type Json,
  messageOf,
} from "@millrace/engine";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { Connection } from "../resilience/connection.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";
import { resilientFeed } from "../resilience/resilient-feed.ts";
import { httpError } from "./errors.ts";
import { EventStreamLink, endOf } from "./event-stream-link.ts";
import { idAt } from "./field-path.ts";
import { GuardedDialer } from "./guarded-dialer.ts";
import { UNSETTLED_MAX, Unsettled } from "./unsettled.ts";
import { BYTES_MAX, DEADLINE_MS, WebCaller, type WebCallOptions } from "./web-caller.ts";

export interface EventStreamOptions extends WebCallOptions {
  /** Types of events that are taken; those without one are a `message`. Default all. */
  readonly events?: readonly string[];
  /** Messages are `{id, event, data}`. Default: the data, as JSON. */
  readonly envelope?: boolean;
  /** Field of a message with its id. */
  readonly id?: string;
  /** Without a byte for so long the stream counts as dead, in ms. Default 90 000. */
  readonly silenceMs?: number;
  readonly policy?: Partial<ResiliencePolicy> | undefined;
}

const SILENCE_MS = 90_000;
/** What a server may ask for between two connections. */
const RETRY_MS_MAX = 3_600_000;
const SHOWN_CHARS_MAX = 4096;

export function eventStreamFeed(options: EventStreamOptions, env: Env): Feed {
  const caller = new WebCaller(options, env);
  const dialer = new GuardedDialer({ allow: options.allow ?? [] });
  const silenceMs = options.silenceMs ?? SILENCE_MS;
  const reader = new EventReader(options, caller.name);
  const connection = new Connection<EventStreamLink>({
    name: caller.name,
    endpoints: [caller.name],
    env,
    policy: { ...options.policy, connectTimeoutMs: options.deadlineMs ?? DEADLINE_MS },
    driver: {
      connect: (_, signal) => EventStreamLink.open({ caller, dialer, env, headers: reader.headers, signal }),
      async probe(link) {
        // A reader that does not read hears nothing either.
        if (link.body.isPaused()) return;
        if (env.clock.monotonic() - link.lastByteMs < silenceMs) return;
        throw new Error(`nothing came in ${silenceMs} ms`);
      },
      ended: (link) => link.ended,
      disconnect: (link) => link.end(undefined),
    },
  });
  const feed = resilientFeed(connection, { listen: (link, intake) => reader.read(link, intake) }, env);
  return {
    capabilities: { resume: true, ordered: true, pause: true },
    connection: () => feed.connection(),
    run(intake, signal) {
      reader.startAt(intake.cursor);
      return feed.run(intake, signal);
    },
  };
}

class EventReader {
  readonly #options: EventStreamOptions;
  readonly #name: string;
  /** Of the last event that was handed over. */
  #lastId = "";
  #unsettled = new Unsettled(UNSETTLED_MAX);
  /** What the server last said about coming back. */
  #retryMs: number | undefined;

  constructor(options: EventStreamOptions, name: string) {
    this.#options = options;
    this.#name = name;
  }

  startAt(cursor: Json | undefined): void {
    const id = cursor !== undefined && isJsonObject(cursor) ? cursor.id : undefined;
    this.#lastId = typeof id === "string" ? id : "";
    this.#unsettled = new Unsettled(UNSETTLED_MAX);
  }

  get headers(): Readonly<Record<string, string>> {
    const cache = { "cache-control": "no-store" };
    if (this.#lastId === "") return cache;
    // Ids are UTF-8 on the wire; the client takes one character for a byte.
    return { ...cache, "last-event-id": Buffer.from(this.#lastId, "utf8").toString("latin1") };
  }

  /** Resolves when the stream has ended. */
  async read(link: EventStreamLink, intake: FeedIntake): Promise<void> {
    const { bytesMax = BYTES_MAX } = this.#options;
    const unsettled = this.#unsettled;
    const parser = createParser({
      maxBufferSize: bytesMax,
      onEvent: (event) => this.#take(event, intake, unsettled),
      onRetry: (ms) => {
        this.#retryMs = Math.min(ms, RETRY_MS_MAX);
      },
      onError: ({ type }) => {
        // Fields that nobody knows are to be ignored.
        if (type === "max-buffer-size-exceeded") void link.end(this.#tooLarge(bytesMax));
      },
    });
    const text = new TextDecoder();
    link.body.on("data", (chunk: Buffer) => {
      if (!link.signal.aborted) parser.feed(text.decode(chunk, { stream: true }));
    });
    link.body.on("error", (error) => void link.end(endOf(error, this.#name, this.#retryMs)));
    link.body.on("end", () => void link.end(endOf(undefined, this.#name, this.#retryMs)));
    link.body.resume();
    unsettled.tell((isFull) => (isFull ? link.body.pause() : link.body.resume()));
    await link.ended;
  }

  #take(event: EventSourceMessage, intake: FeedIntake, unsettled: Unsettled): void {
    if (event.id !== undefined) this.#lastId = event.id;
    const { events } = this.#options;
    if (events !== undefined && !events.includes(event.event ?? "message")) return;
    const settle = unsettled.add(event.data.length);
    intake.takeGroup({ items: [this.#itemOf(event)], cursor: { id: this.#lastId }, settle });
  }

  #itemOf({ id, event = "message", data }: EventSourceMessage): FeedItem {
    try {
      const body = JSON.parse(data) as Json;
      const message = this.#options.envelope === true ? { id: id ?? null, event, data: body } : body;
      return { message, id: idAt(message, this.#options.id) };
    } catch (cause) {
      const place = { stream: this.#name };
      const which = id === undefined ? "" : ` with the id ${id.slice(0, 100)}`;
      const text = `an event of ${this.#name}${which} is no JSON: ${messageOf(cause)}`;
      return { message: data.slice(0, SHOWN_CHARS_MAX), error: engineError("MSG-DECODE", text, { place, cause }) };
    }
  }

  #tooLarge(bytesMax: number): Error {
    const message = `an event of ${this.#name} behind the id \`${this.#lastId}\` has more than ${bytesMax} bytes`;
    return httpError("HTTP-MESSAGE-SIZE", message);
  }
}
