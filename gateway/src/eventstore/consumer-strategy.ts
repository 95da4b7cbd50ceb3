/** Which subscriber of a group gets the next event. */
import { createHash } from "node:crypto";
import type { Strategy } from "./group-settings.ts";
import type { GroupEvent } from "./group-source.ts";
import type { GroupSubscriber } from "./group-subscriber.ts";

/** As many as EventStoreDB spreads pinned streams over. */
const BUCKETS = 1024;

export class ConsumerStrategy {
  readonly #strategy: Strategy;
  #turn = 0;

  constructor(strategy: Strategy) {
    this.#strategy = strategy;
  }

  /** Nobody when the one who should get it has no room. */
  choose(event: GroupEvent, subscribers: readonly GroupSubscriber[]): GroupSubscriber | undefined {
    if (this.#strategy === "DispatchToSingle") return subscribers.find(({ hasRoom }) => hasRoom);
    if (this.#strategy === "RoundRobin") return this.#next(subscribers);
    const key = this.#strategy === "Pinned" ? (event.target?.stream ?? event.stream) : event.correlationId;
    const chosen = subscribers[bucketOf(key) % Math.max(1, subscribers.length)];
    return chosen?.hasRoom ? chosen : undefined;
  }

  #next(subscribers: readonly GroupSubscriber[]): GroupSubscriber | undefined {
    for (let tried = 0; tried < subscribers.length; tried++) {
      const subscriber = subscribers[this.#turn++ % subscribers.length];
      if (subscriber?.hasRoom) return subscriber;
    }
    return undefined;
  }
}

function bucketOf(key: string): number {
  return createHash("sha256").update(key).digest().readUInt32LE(0) % BUCKETS;
}
