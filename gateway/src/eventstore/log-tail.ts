/**
 * Wakes whoever waits for a stream: one subscription of the log for all waiting callers, so that a thousand subscriptions to
 * streams do not look at every event a thousand times. It hands over no events: a woken caller reads its stream, at its own pace.
 */
import type { EventLog, RecordedEvent } from "@millrace/engine";
import { virtualFilter } from "./virtual-streams.ts";

export class LogTail {
  readonly #log: EventLog;
  readonly #waiting = new Map<string, Set<() => void>>();
  /** Of the virtual streams among them. */
  readonly #filters = new Map<string, (event: RecordedEvent) => boolean>();
  #following: AbortController | undefined;

  constructor(log: EventLog) {
    this.#log = log;
  }

  /**
   * Resolves at the next event of the stream, of any stream for `$all`, that becomes durable after this call, when `signal` aborts, or when the log is
   * closed. Ask first, then read: nothing is missed in between.
   */
  next(stream: string, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    const waiting = this.#waiting.get(stream) ?? new Set();
    this.#waiting.set(stream, waiting);
    const filter = virtualFilter(stream);
    if (filter !== undefined) this.#filters.set(stream, filter);
    return new Promise((resolve) => {
      const wake = (): void => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      const leave = (): void => {
        waiting.delete(wake);
        if (waiting.size === 0 && this.#waiting.get(stream) === waiting) this.#remove(stream);
        this.#stopWhenIdle();
        resolve();
      };
      waiting.add(wake);
      signal.addEventListener("abort", leave, { once: true });
      this.#follow();
    });
  }

  close(): void {
    this.#following?.abort();
    for (const stream of [...this.#waiting.keys()]) this.#wake(stream);
  }

  #follow(): void {
    if (this.#following !== undefined) return;
    const following = new AbortController();
    this.#following = following;
    void this.#run(following.signal).finally(() => {
      if (this.#following === following) this.#following = undefined;
      // The log is closed, or failed: whoever waits finds out by reading.
      if (!following.signal.aborted) for (const stream of [...this.#waiting.keys()]) this.#wake(stream);
    });
  }

  async #run(signal: AbortSignal): Promise<void> {
    try {
      for await (const { events } of this.#log.subscribe({ from: this.#log.durableEnd, signal })) {
        // The list of one virtual stream at a time: few of them are waited for.
        for (const [stream, passes] of this.#filters) if (events.some(passes)) this.#wake(stream);
        for (const { stream } of events) this.#wake(stream);
        if (events.length > 0) this.#wake("$all");
      }
    } catch {
      // Whoever is woken reads, and gets the error of the log itself.
    }
  }

  #wake(stream: string): void {
    const waiting = this.#waiting.get(stream);
    if (waiting === undefined) return;
    this.#remove(stream);
    for (const wake of waiting) wake();
  }

  #remove(stream: string): void {
    this.#waiting.delete(stream);
    this.#filters.delete(stream);
  }

  #stopWhenIdle(): void {
    if (this.#waiting.size > 0) return;
    this.#following?.abort();
    this.#following = undefined;
  }
}
