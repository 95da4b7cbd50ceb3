/** A feed that runs, and all that it handed over. */
import { expect, vi } from "vitest";
import type { Json } from "../../frame/json.ts";
import type { Feed, FeedGroup, FeedReceipt } from "../../source/feed.ts";
import { sleep } from "../../time/clock.ts";
import { systemEnv } from "../../time/system-env.ts";
import type { Scope } from "./cases.ts";

export interface TakenMessage {
  readonly message: Json;
  readonly error?: unknown;
  readonly receipt: FeedReceipt;
}

export const WAIT = { timeout: 45_000, interval: 5 };
const QUIET_MS = 150;
const QUIET_TURNS = 100;

export class Listener {
  readonly feed: Feed;
  readonly taken: TakenMessage[] = [];
  readonly groups: FeedGroup[] = [];
  readonly lost: string[] = [];
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  /** It is stopped with the scope, if not before. */
  constructor(scope: Scope, feed: Feed, cursor?: Json) {
    this.feed = feed;
    this.#running = feed.run(
      {
        cursor,
        takeGroup: (group) => {
          this.groups.push(group);
          for (const item of group.items)
            this.taken.push({ message: item.message, receipt: {}, ...("error" in item ? { error: item.error } : {}) });
        },
        take: (message, receipt = {}) => this.taken.push({ message, receipt }),
        reject: (error, message, receipt = {}) => this.taken.push({ message, error, receipt }),
        lose: (count, reason) => this.lost.push(`${count} ${reason}`),
      },
      this.#stop.signal,
    );
    scope.onClose(() => this.stop());
  }

  get messages(): readonly Json[] {
    return this.taken.map(({ message }) => message);
  }

  async until(count: number): Promise<void> {
    await vi.waitFor(() => expect(this.taken.length).toBeGreaterThanOrEqual(count), WAIT);
  }

  async isUp(): Promise<void> {
    await vi.waitFor(() => expect(this.feed.connection().state).toBe("up"), WAIT);
  }

  settle(from: number, to: number): void {
    for (const { receipt } of this.taken.slice(from, to)) receipt.settle?.();
  }

  settleGroups(): void {
    for (const { settle } of this.groups) settle?.();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}

/**
 * Time in which nothing more may come, and what was settled is told. Too short, it would let a fault pass; on a machine that gives this
 * process none of it, what is under way here has its turns of the loop all the same.
 */
export async function quiet(): Promise<void> {
  const env = systemEnv();
  await sleep(env, QUIET_MS, new AbortController().signal);
  for (let turn = 0; turn < QUIET_TURNS; turn++) await new Promise<void>((turned) => env.turns.yieldToIo(turned));
}

export const messages = (from: number, n: number): Json[] =>
  Array.from({ length: n }, (_, i) => ({ id: from + i, name: `név "${from + i}"` }));
export const bodies = (from: number, n: number): string[] =>
  messages(from, n).map((message) => JSON.stringify(message));
