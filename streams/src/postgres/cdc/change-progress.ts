/**
 * How far changes were taken, and how far they are durable: outlives the connections that they come over. What is taken and not durable is
 * bounded, and whoever would take more waits.
 */
import type { FeedGroup, FeedIntake, FeedItem } from "@millrace/engine";
import { type ChangeCursor, cursorJson } from "./change-cursor.ts";

const ROWS_MAX = 8192;
const BYTES_MAX = 16 * 1024 * 1024;

export class ChangeProgress {
  /** What was handed over last brings the source to here. */
  taken: ChangeCursor | undefined;
  /** Of every transaction that committed below everything is durable, so that the server need not keep it. */
  confirmed: bigint | undefined;
  #rows = 0;
  #bytes = 0;
  #groups = 0;
  #waiting: (() => void)[] = [];

  get isSettled(): boolean {
    return this.#groups === 0;
  }

  /** Resolves when there is room for more, or everything is durable. */
  async room(): Promise<void> {
    while (this.#rows >= ROWS_MAX || this.#bytes >= BYTES_MAX) await this.#settled();
  }

  async settledAll(): Promise<void> {
    while (!this.isSettled) await this.#settled();
  }

  /** @param confirmed called when the server may be told */
  hand(
    intake: FeedIntake,
    { items, bytes }: { readonly items: readonly FeedItem[]; readonly bytes: number },
    cursor: ChangeCursor,
    confirmed: () => void,
  ): void {
    this.taken = cursor;
    this.#rows += items.length;
    this.#bytes += bytes;
    this.#groups++;
    const group: FeedGroup = {
      items,
      cursor: cursorJson(cursor),
      settle: () => {
        this.#rows -= items.length;
        this.#bytes -= bytes;
        this.#groups--;
        for (const wake of this.#waiting.splice(0)) wake();
        if (cursor.ord > 0) return;
        this.confirmed = cursor.lsn;
        confirmed();
      },
    };
    intake.takeGroup(group);
  }

  #settled(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
