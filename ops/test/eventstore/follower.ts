/** A subscription that stays open while a model changes, and what it must bring meanwhile. */
import type { AllStreamSubscription, ResolvedEvent, StreamSubscription } from "@eventstore/db-client";
import { expect } from "vitest";
import { lineOf } from "./stream-model.ts";

interface Wanted {
  readonly line: string;
  /** False for what was hidden when it was written: whether it is brought depends on when the subscriber looks. */
  readonly must: boolean;
}

export class Follower {
  readonly #subscription: StreamSubscription | AllStreamSubscription;
  readonly #received: string[] = [];
  readonly #wanted: Wanted[] = [];
  #error: string | undefined;
  #isLive = false;
  #wake: () => void = () => {};

  constructor(subscription: StreamSubscription | AllStreamSubscription) {
    this.#subscription = subscription;
    subscription.on("data", (resolved: ResolvedEvent) => {
      this.#received.push(lineOfResolved(resolved));
      this.#wake();
    });
    subscription.on("caughtUp", () => {
      this.#isLive = true;
      this.#wake();
    });
    subscription.on("error", (error: Error & { readonly type?: string }) => {
      this.#error ??= error.type ?? error.message;
      this.#wake();
    });
  }

  /** Resolves once what must come has come. */
  async want(lines: readonly Wanted[]): Promise<void> {
    this.#wanted.push(...lines);
    const last = lines.findLast(({ must }) => must)?.line;
    if (last === undefined) return;
    await this.#until(() => this.#received.includes(last) || this.#error !== undefined);
    this.check();
  }

  /** Resolves once it has everything that was there when it began. */
  live(): Promise<void> {
    return this.#until(() => this.#isLive || this.#error !== undefined);
  }

  async endsWith(error: string): Promise<void> {
    await this.#until(() => this.#error !== undefined);
    expect(this.#error).toBe(error);
    this.check();
  }

  /** What came is what was wanted, in its order, each once. */
  check(): void {
    let at = 0;
    const missing: string[] = [];
    for (const { line, must } of this.#wanted) {
      if (this.#received[at] === line) at += 1;
      else if (must) missing.push(line);
    }
    expect({ missing, others: this.#received.slice(at) }).toEqual({ missing: [], others: [] });
  }

  async close(): Promise<void> {
    this.check();
    await this.#subscription.unsubscribe();
  }

  async #until(isReached: () => boolean): Promise<void> {
    while (!isReached())
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }
}

export function lineOfResolved({ event }: ResolvedEvent): string {
  if (event === undefined) return "nothing";
  const { streamId, revision, type, data } = event;
  const what = type === "Counted" ? (data as { readonly n: number }).n : type;
  return lineOf(streamId, type === "$streamDeleted" ? "last" : revision, what);
}
