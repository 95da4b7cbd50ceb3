/**
 * What EventStoreDB promises of its streams, as a small model over the model of a log that every event log is tested with: deletes and
 * metadata are events there as here, and what a reader sees follows from them.
 */
import { randomUUID } from "node:crypto";
import type { ExpectedRevision } from "@millrace/engine";
import { ModelLog } from "@millrace/engine/testing";
import type { GroupCounts, GroupModel } from "./group-model.ts";

export interface Metadata {
  readonly maxCount?: number;
  /** Seconds. */
  readonly maxAge?: number;
  /** `Infinity` for a deleted stream. */
  readonly truncateBefore?: number;
}

/** An event of a client, or one that the endpoint writes: then `n` is not there. */
export interface Written {
  readonly id: string;
  readonly type: string;
  readonly n?: number;
  readonly metadata?: Metadata;
  readonly timeS: number;
}

export type Refusal = "wrong-expected-version" | "stream-deleted" | "stream-not-found";

export interface Accepted {
  readonly stream: string;
  readonly expected: ExpectedRevision;
  readonly events: readonly Written[];
  readonly revision: number;
}

export class StreamModel {
  readonly log = new ModelLog<Written>();
  readonly accepted: Accepted[] = [];
  /** A persistent subscription to one of the streams, while there is one. */
  group: GroupModel | undefined;
  groupCounts: GroupCounts = { delivered: 0, retried: 0, parked: 0, replayed: 0, repeated: 0 };
  /** Seconds by which the clock was moved. */
  timeS = 0;
  #drawn = 0;

  counted(count: number): readonly Written[] {
    return Array.from({ length: count }, () => this.#written("Counted", { n: this.#drawn++ }));
  }

  metadata(stream: string): Metadata {
    return this.log.last(`$$${stream}`)?.event.metadata ?? {};
  }

  isTombstoned(stream: string): boolean {
    return this.log.last(stream)?.event.type === "$streamDeleted";
  }

  isDeleted(stream: string): boolean {
    return this.metadata(stream).truncateBefore === Number.POSITIVE_INFINITY;
  }

  /** What an append ends with. */
  append(stream: string, expected: ExpectedRevision, events: readonly Written[]): Refusal | "done" {
    if (this.isTombstoned(stream)) return "stream-deleted";
    if (this.isDeleted(stream)) return this.#revive(stream, expected, events);
    const isKnown = expected === "exists" && this.log.head(`$$${stream}`) >= 0;
    if (!this.log.append([{ stream, expected: isKnown ? "any" : expected, events }])) return "wrong-expected-version";
    this.#accept(stream, expected, events);
    return "done";
  }

  #revive(stream: string, expected: ExpectedRevision, events: readonly Written[]): Refusal | "done" {
    if (expected === "exists") return "stream-deleted";
    if (expected !== "none" && !this.log.holds(stream, expected)) return "wrong-expected-version";
    if (events.length === 0) return "done";
    this.#setMetadata(stream, { ...this.metadata(stream), truncateBefore: this.log.head(stream) + 1 });
    this.log.append([{ stream, expected: "any", events }]);
    this.#accept(stream, expected, events);
    return "done";
  }

  delete(stream: string, expected: ExpectedRevision): Refusal | "done" {
    if (this.isTombstoned(stream)) return "stream-deleted";
    if (!this.log.holds(stream, expected) || (expected === "any" && this.log.head(stream) < 0))
      return "wrong-expected-version";
    this.#setMetadata(stream, { ...this.metadata(stream), truncateBefore: Number.POSITIVE_INFINITY });
    return "done";
  }

  tombstone(stream: string, expected: ExpectedRevision): Refusal | "done" {
    if (this.isTombstoned(stream)) return "stream-deleted";
    const events = [this.#written("$streamDeleted", {})];
    return this.log.append([{ stream, expected, events }]) ? "done" : "wrong-expected-version";
  }

  /** `expected` is of the metadata's own stream. */
  setMetadata(stream: string, expected: ExpectedRevision, metadata: Metadata): Refusal | "done" {
    if (this.isTombstoned(stream)) return "stream-deleted";
    if (!this.log.holds(`$$${stream}`, expected)) return "wrong-expected-version";
    this.#setMetadata(stream, metadata);
    return "done";
  }

  /** Revisions that a reader of the stream sees. */
  visible(stream: string): readonly number[] {
    const { maxCount, maxAge, truncateBefore = 0 } = this.metadata(stream);
    const head = this.log.head(stream);
    const first = Math.max(truncateBefore, maxCount === undefined ? 0 : head + 1 - maxCount);
    const oldestS = maxAge === undefined ? Number.NEGATIVE_INFINITY : this.timeS - maxAge;
    return this.log
      .places(stream)
      .map((position) => this.log.events[position])
      .flatMap((one) => (one && one.revision >= first && one.event.timeS >= oldestS ? [one.revision] : []));
  }

  /** What reading ends with. */
  readability(stream: string): Refusal | "done" {
    if (this.isTombstoned(stream)) return "stream-deleted";
    return this.log.head(stream) < 0 || this.isDeleted(stream) ? "stream-not-found" : "done";
  }

  /** The event as tests name it. */
  line(stream: string, revision: number): string {
    const position = this.log.places(stream)[revision];
    return position === undefined ? "nothing" : this.lineAt(position);
  }

  lineAt(position: number): string {
    const one = this.log.events[position];
    if (one === undefined) return "nothing";
    const { stream, event, revision } = one;
    return lineOf(stream, event.type === "$streamDeleted" ? "last" : revision, event.n ?? event.type);
  }

  #accept(stream: string, expected: ExpectedRevision, events: readonly Written[]): void {
    if (events.length > 0) this.accepted.push({ stream, expected, events, revision: this.log.head(stream) });
  }

  #setMetadata(stream: string, metadata: Metadata): void {
    this.log.append([{ stream: `$$${stream}`, expected: "any", events: [this.#written("$metadata", { metadata })] }]);
  }

  #written(type: string, rest: Partial<Written>): Written {
    return { id: randomUUID(), type, timeS: this.timeS, ...rest };
  }
}

export function lineOf(stream: string, revision: number | bigint | string, what: number | string): string {
  return `${stream}@${revision} ${what}`;
}
