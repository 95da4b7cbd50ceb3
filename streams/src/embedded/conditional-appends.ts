/**
 * Appends that hold only while nothing has happened that they did not know of. What is durable is looked up in the log; what is
 * appended while that takes its time is compared as it comes by, so that no other append has to wait. The appender takes appends in
 * the order of the calls: once nothing that was appended before breaks the condition, the append may follow.
 */
import {
  type AppendCondition,
  type AppendResult,
  conditionBroken,
  mayBreak,
  ownAppendAt,
  type ReadOptions,
  type RecordedEvent,
  repeatedResult,
  type StreamAppend,
} from "@millrace/engine";

export interface ConditionalAppendsParts {
  readonly append: (appends: readonly StreamAppend[]) => Promise<AppendResult>;
  readonly read: (options: ReadOptions) => AsyncIterable<readonly RecordedEvent[]>;
  /** Resolves when everything that was appended before the call is durable or refused. @throws LOG-CLOSED */
  readonly settled: () => Promise<void>;
}

/** A condition that is being looked up. */
interface Watch {
  readonly mayBreak: (appends: readonly StreamAppend[]) => boolean;
  /** Appends that came by and may break it. */
  readonly rivals: Set<Promise<AppendResult>>;
}

export class ConditionalAppends {
  readonly #parts: ConditionalAppendsParts;
  readonly #watches = new Set<Watch>();

  constructor(parts: ConditionalAppendsParts) {
    this.#parts = parts;
  }

  append(appends: readonly StreamAppend[]): Promise<AppendResult> {
    const appending = this.#parts.append(appends);
    if (this.#watches.size > 0) this.#show(appends, appending);
    return appending;
  }

  #show(appends: readonly StreamAppend[], appending: Promise<AppendResult>): void {
    for (const watch of this.#watches) if (watch.mayBreak(appends)) watch.rivals.add(appending);
  }

  /** @throws LOG-CONDITION, and what an append throws */
  async appendIf(condition: AppendCondition, appends: readonly StreamAppend[]): Promise<AppendResult> {
    const watch: Watch = { mayBreak: mayBreak(condition), rivals: new Set() };
    this.#watches.add(watch);
    try {
      await this.#parts.settled();
      do {
        const rivals = [...watch.rivals];
        watch.rivals.clear();
        await Promise.allSettled(rivals);
        const known = await this.#firstBreaking(condition);
        if (known !== undefined) return await this.#repeated(known, condition, appends);
      } while (watch.rivals.size > 0);
    } finally {
      this.#watches.delete(watch);
    }
    // Nothing is awaited between the last look and this call.
    return this.append(appends);
  }

  async #firstBreaking({ none, after }: AppendCondition): Promise<RecordedEvent | undefined> {
    let first: RecordedEvent | undefined;
    for (const filter of none) {
      for await (const [event] of this.#parts.read({ from: after + 1, filter, limit: 1 }))
        if (event !== undefined && event.position < (first?.position ?? Number.POSITIVE_INFINITY)) first = event;
    }
    return first;
  }

  /** The event that breaks a condition may be the append's own, of an attempt before. */
  async #repeated(
    known: RecordedEvent,
    condition: AppendCondition,
    appends: readonly StreamAppend[],
  ): Promise<AppendResult> {
    const broken = conditionBroken(known, condition);
    const from = ownAppendAt(known, appends);
    if (from < 0) throw broken;
    const found: RecordedEvent[] = [];
    const limit = appends.reduce((sum, { events }) => sum + events.length, 0);
    for await (const batch of this.#parts.read({ from, limit })) found.push(...batch);
    const result = repeatedResult(found, appends);
    if (result === undefined) throw broken;
    return result;
  }
}
