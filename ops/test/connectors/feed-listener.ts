/** What a feed hands over in groups, for tests that say what of it is durable. */
import { type Feed, type FeedGroup, type FeedIntake, type Json, type JsonObject, reportOf } from "@millrace/engine";
import { expect, vi } from "vitest";
import { WAIT } from "./running-graph.ts";

/** A feed that runs, and what it handed over. Nothing is durable before a test says so. */
export class FeedListener {
  readonly groups: FeedGroup[] = [];
  readonly ended: Promise<unknown>;
  readonly #feed: Feed;
  readonly #stop = new AbortController();
  #settled = 0;
  isSettling = false;

  constructor(feed: Feed, cursor?: Json) {
    const intake: FeedIntake = {
      cursor,
      takeGroup: (group) => {
        this.groups.push(group);
        if (this.isSettling) this.settle();
      },
      take: () => expect.unreachable(),
      reject: () => expect.unreachable(),
      lose: () => expect.unreachable(),
    };
    this.#feed = feed;
    this.ended = feed.run(intake, this.#stop.signal).then(() => "end", reportOf);
  }

  get status() {
    return this.#feed.connection();
  }

  get rows(): readonly JsonObject[] {
    return this.groups.flatMap(({ items }) => items.map(({ message }) => message as JsonObject));
  }

  /** Of the last group that is settled. */
  get cursor(): Json | undefined {
    return this.groups[this.#settled - 1]?.cursor;
  }

  async until(count: number): Promise<readonly JsonObject[]> {
    await vi.waitFor(() => expect(this.rows.length).toBeGreaterThanOrEqual(count), WAIT);
    expect(this.rows).toHaveLength(count);
    return this.rows;
  }

  settle(groups: number = this.groups.length): void {
    while (this.#settled < groups) this.groups[this.#settled++]?.settle?.();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.ended;
  }
}
