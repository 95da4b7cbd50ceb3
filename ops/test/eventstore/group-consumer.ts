/** A consumer of a persistent subscription, and what must hold of all of them once the server has done all that it can. */
import type {
  EventStoreDBClient,
  PersistentSubscriptionToStream,
  PersistentSubscriptionToStreamResolvedEvent,
} from "@eventstore/db-client";
import { expect } from "vitest";
import { type Answer, ConsumerModel, type Delivered, type GroupModel } from "./group-model.ts";
import type { StreamModel } from "./stream-model.ts";

type Client = InstanceType<typeof EventStoreDBClient>;

/** The name of the one there is. */
export const GROUP = "g";

/** A consumer over the wire, and what the model makes of what it gets. */
export class GroupConsumer {
  readonly model: ConsumerModel;
  readonly #subscription: PersistentSubscriptionToStream;
  /** In the order of the model's. */
  readonly #held: PersistentSubscriptionToStreamResolvedEvent[] = [];
  readonly #group: GroupModel;
  /** It may come before the model knows of the event. */
  readonly #unjudged: Delivered[] = [];
  #fault: string | undefined;

  constructor(client: Client, group: GroupModel, slots: number) {
    this.#group = group;
    this.model = new ConsumerModel(slots);
    this.#subscription = client.subscribeToPersistentSubscriptionToStream(group.stream, GROUP, { bufferSize: slots });
    this.#subscription.on("data", (one: PersistentSubscriptionToStreamResolvedEvent) => {
      this.#held.push(one);
      this.#unjudged.push({ revision: Number(one.event?.revision), retryCount: one.retryCount ?? 0 });
    });
    this.#subscription.on("error", (error: Error & { readonly type?: string }) => {
      this.#fault ??= error.type ?? error.message;
    });
  }

  get fault(): string | undefined {
    return this.#fault;
  }

  /** Holds what has come against the model. */
  judge(): void {
    for (const one of this.#unjudged.splice(0)) this.#fault ??= this.#group.deliver(this.model, one);
  }

  async answer(count: number, answer: Answer): Promise<void> {
    const events = this.#held.splice(0, count);
    if (events.length === 0) return;
    if (answer === "ack") await this.#subscription.ack(...events);
    else await this.#subscription.nack(answer, "as the model says", ...events);
  }

  leave(): Promise<void> {
    return this.#subscription.unsubscribe();
  }

  /** What ends it is known to whoever ended it. */
  forget(): void {
    this.#subscription.on("error", () => undefined).destroy();
  }
}

/** Resolves once the group has done all that it can do now, and has done it as the model did. */
export async function agrees(
  model: StreamModel,
  { client, consumers }: { readonly client: Client; readonly consumers: readonly GroupConsumer[] },
): Promise<void> {
  const { group } = model;
  if (group === undefined) return;
  group.note();
  const state = async (): Promise<object> => {
    const { stats, connections } = await client.getPersistentSubscriptionToStreamInfo(group.stream, GROUP);
    for (const consumer of consumers) consumer.judge();
    return {
      faults: consumers.flatMap(({ fault }) => fault ?? []),
      isServed: group.isServed,
      inFlight: Number(stats.totalInFlightMessages) - group.heldCount,
      parked: Number(stats.parkedMessageCount) - group.parkedCount,
      consumers: connections.length - group.consumers.size,
    };
  };
  const agreed = { faults: [], isServed: true, inFlight: 0, parked: 0, consumers: 0 };
  await expect.poll(state, { interval: 2 }).toEqual(agreed);
}
