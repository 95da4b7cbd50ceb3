/** What commands of a client share, which are given to a served log and to its model at once; both must answer alike. */
import { type AppendExpectedRevision, EventStoreDBClient, jsonEvent } from "@eventstore/db-client";
import type { ExpectedRevision } from "@millrace/engine";
import type fc from "fast-check";
import { type Follower, lineOfResolved } from "./follower.ts";
import { agrees, type GroupConsumer } from "./group-consumer.ts";
import type { ServedLog } from "./served-log.ts";
import type { StreamModel, Written } from "./stream-model.ts";

/** Two of one category, one that is no ASCII, one of the system's. The second is the one that is closed for ever. */
export const STREAMS = ["a-1", "a-2", "b/ü", "$c"] as const;

export type Client = InstanceType<typeof EventStoreDBClient>;

export const connect = ({ address }: ServedLog): Client =>
  EventStoreDBClient.connectionString(`esdb://${address}?tls=false`);

/** The served log of a run. */
export interface Real {
  served: ServedLog;
  client: Client;
  /** Moves the clock of the served log. */
  passTime(seconds: number): void;
  /** Of the persistent subscription. */
  readonly consumers: GroupConsumer[];
  followers: { readonly stream: string | undefined; readonly follower: Follower }[];
}

export type Command = fc.AsyncCommand<StreamModel, Real>;
export type Expectation = "any" | "none" | "exists" | "head" | "off";

/** `head` is the revision that the model has, `off` one that it has not. */
export function expectedOf(model: StreamModel, stream: string, wanted: Expectation): ExpectedRevision {
  const head = model.log.head(stream);
  if (wanted === "off") return head + 2;
  if (wanted !== "head") return wanted;
  return head < 0 ? "none" : head;
}

export function asked(expected: ExpectedRevision): AppendExpectedRevision {
  if (typeof expected === "number") return BigInt(expected);
  return ({ any: "any", none: "no_stream", exists: "stream_exists" } as const)[expected];
}

export const proposed = (events: readonly Written[]) =>
  events.map(({ id, n = -1 }) => jsonEvent({ id, type: "Counted", data: { n } }));

/** The type of error that an action ends with, or "done". */
export async function outcome(action: Promise<unknown>): Promise<string> {
  return action.then(
    () => "done",
    (error: { readonly type?: string; readonly message: string }) => error.type ?? error.message,
  );
}

/** Without a client's credentials there is one call for all appends, with them each is a call of its own. */
export const ALONE = { credentials: { username: "somebody", password: "" } };

/** What open subscriptions must bring of everything that was appended since `end`. */
async function brought(model: StreamModel, real: Real, end: number): Promise<void> {
  for (const { stream, follower } of real.followers) {
    const visible = stream === undefined ? undefined : new Set(model.visible(stream));
    const fresh = model.log.events.slice(end).flatMap((one, i) => {
      if (stream !== undefined && one.stream !== stream) return [];
      return [{ line: model.lineAt(end + i), must: visible?.has(one.revision) ?? true }];
    });
    await follower.want(fresh);
  }
}

export abstract class StreamCommand implements Command {
  protected readonly stream: string;

  constructor(stream: string) {
    this.stream = stream;
  }

  check(): boolean {
    return true;
  }

  async run(model: StreamModel, real: Real): Promise<void> {
    const end = model.log.events.length;
    await this.perform(model, real);
    await brought(model, real, end);
    await agrees(model, real);
  }

  protected abstract perform(model: StreamModel, real: Real): Promise<void>;

  abstract toString(): string;
}

export type Place = number | "start" | "end";

export interface Reading {
  readonly from: Place;
  readonly isBackward: boolean;
  readonly count: number;
}

export async function taken(reading: AsyncIterable<unknown>, seen: string[]): Promise<void> {
  for await (const one of reading) seen.push(lineOfResolved(one as never));
}
