/**
 * What must be true of a log, kept beside it: everything asked for, everything acknowledged, everything shown. The checks are
 * the invariants of the format (FORMAT.md): acknowledged appends are there, whole and in place; no append is half visible; positions and
 * revisions are dense; an id is there once; what was shown keeps its content.
 */
import { type AppendResult, type EventInput, type RecordedEvent, reportOf, type StreamAppend } from "@millrace/engine";
import type { EmbeddedLog } from "../../src/embedded/embedded-log.ts";

interface Asked {
  readonly append: number;
  readonly index: number;
  readonly stream: string;
  readonly event: EventInput;
}

export class LogModel {
  readonly violations: string[] = [];
  readonly #asked = new Map<string, Asked>();
  readonly #appends: (readonly StreamAppend[])[] = [];
  readonly #acknowledged = new Map<number, AppendResult>();
  readonly #shown = new Map<number, string>();

  get acknowledgedCount(): number {
    return this.#acknowledged.size;
  }

  ask(append: readonly StreamAppend[]): number {
    const number = this.#appends.push(append) - 1;
    let index = 0;
    for (const { stream, events } of append) {
      for (const event of events) this.#asked.set(hex(event.id), { append: number, index: index++, stream, event });
    }
    return number;
  }

  acknowledge(append: number, result: AppendResult): void {
    const before = this.#acknowledged.get(append);
    if (before !== undefined && before.position !== result.position) {
      this.violations.push(`append ${append} was acknowledged at ${before.position} and at ${result.position}`);
    }
    this.#acknowledged.set(append, result);
  }

  show(event: RecordedEvent): void {
    const id = hex(event.id);
    const before = this.#shown.get(event.position);
    if (before === undefined) this.#shown.set(event.position, id);
    else if (before !== id) this.violations.push(`position ${event.position} was shown as ${before} and as ${id}`);
  }

  /** Reads the whole log and compares. */
  async check(log: EmbeddedLog): Promise<void> {
    try {
      const events = await gather(log.read());
      this.#checkEvents(events);
      this.#checkWhole(events);
      this.#checkAcknowledged(events, log.durableEnd);
      await this.#checkStreams(log, events);
      for (const [position] of this.#shown) {
        if (position >= log.durableEnd) this.violations.push(`position ${position} was shown and is gone`);
      }
    } catch (thrown) {
      this.violations.push(`reading failed: ${JSON.stringify(reportOf(thrown))}`);
    }
  }

  #checkEvents(events: readonly RecordedEvent[]): void {
    const heads = new Map<string, number>();
    const seen = new Set<string>();
    for (const [i, event] of events.entries()) {
      const id = hex(event.id);
      const asked = this.#asked.get(id);
      if (event.position !== i) this.violations.push(`position ${event.position} where ${i} should be`);
      const head = heads.get(event.stream) ?? -1;
      if (event.revision !== head + 1)
        this.violations.push(`${event.stream} goes from revision ${head} to ${event.revision}`);
      heads.set(event.stream, event.revision);
      if (seen.has(id)) this.violations.push(`id ${id} is there twice`);
      seen.add(id);
      if (asked === undefined) this.violations.push(`id ${id} was never asked for`);
      else if (!sameEvent(asked, event)) this.violations.push(`position ${i} does not hold what was appended`);
      this.show(event);
    }
  }

  /** Events of one append stand next to each other, all of them. */
  #checkWhole(events: readonly RecordedEvent[]): void {
    for (let at = 0; at < events.length; ) {
      const asked = this.#asked.get(hex((events[at] as RecordedEvent).id));
      if (asked === undefined) return;
      const wanted = (this.#appends[asked.append] as readonly StreamAppend[]).flatMap(({ events: parts }) => parts);
      const found = events.slice(at, at + wanted.length);
      const whole = wanted.every(
        (event, i) => found[i] !== undefined && hex((found[i] as RecordedEvent).id) === hex(event.id),
      );
      if (!whole) this.violations.push(`append ${asked.append} is half visible at position ${at}`);
      at += whole ? wanted.length : 1;
    }
  }

  #checkAcknowledged(events: readonly RecordedEvent[], end: number): void {
    for (const [append, { firstPosition }] of this.#acknowledged) {
      const id = ((this.#appends[append] as readonly StreamAppend[])[0] as StreamAppend).events[0]?.id as Uint8Array;
      const event = events[firstPosition];
      if (event === undefined || hex(event.id) !== hex(id)) {
        this.violations.push(
          `append ${append}, acknowledged at ${firstPosition}, is not there (the log ends at ${end})`,
        );
      }
    }
  }

  async #checkStreams(log: EmbeddedLog, events: readonly RecordedEvent[]): Promise<void> {
    const byStream = new Map<string, string[]>();
    for (const event of events) byStream.set(event.stream, [...(byStream.get(event.stream) ?? []), hex(event.id)]);
    for (const [stream, ids] of byStream) {
      const head = await log.head(stream);
      if (head !== ids.length - 1)
        this.violations.push(`head of ${stream} is ${head}, its last revision ${ids.length - 1}`);
      const read = (await gather(log.readStream(stream))).map((event) => hex(event.id));
      if (read.join() !== ids.join()) this.violations.push(`stream ${stream} does not read as the log does`);
    }
  }
}

function sameEvent(asked: Asked, event: RecordedEvent): boolean {
  return (
    asked.stream === event.stream &&
    asked.event.type === event.type &&
    Buffer.compare(asked.event.payload, event.payload) === 0 &&
    asked.event.context.node === event.context.node
  );
}

export async function gather(batches: AsyncIterable<readonly RecordedEvent[]>): Promise<RecordedEvent[]> {
  const all: RecordedEvent[] = [];
  for await (const batch of batches) all.push(...batch);
  return all;
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
