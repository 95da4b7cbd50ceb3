/**
 * Parts of a group that is more than the log takes at once. While only some are durable the feed's cursor is still the one before the group,
 * so after a crash the feed gives all of it again: the same parts of it are then known, and taken once. Part of a node's state, for as long as
 * the last part, which the cursor goes with, is not durable.
 */
import { createHash } from "node:crypto";
import type { FeedItem } from "@millrace/engine";

export interface GroupPart {
  /** Index in the group of its first item. */
  readonly from: number;
  readonly items: readonly FeedItem[];
}

const DIGEST_CHARS = 22;

export class DurableParts {
  #parts: readonly string[] = [];

  /** What the part is known by: its place in the group and its content. */
  static nameOf({ from, items }: GroupPart): string {
    const content = JSON.stringify(items.map(({ message, id }) => [message, id ?? null]));
    const digest = createHash("sha256").update(content).digest("base64url").slice(0, DIGEST_CHARS);
    return `${from}-${from + items.length}/${digest}`;
  }

  has(name: string): boolean {
    return this.#parts.includes(name);
  }

  /** Whether it was taken apart before, so that it is to be taken apart in the same way again. */
  isSplit({ from, items }: GroupPart): boolean {
    const to = from + items.length;
    return this.#parts.some((name) => {
      const [begin = 0, end = 0] = name.split(/[-/]/, 2).map(Number);
      return from <= begin && end <= to && end - begin < items.length;
    });
  }

  add(names: readonly string[]): void {
    this.#parts = [...this.#parts, ...names];
  }

  clear(): void {
    this.#parts = [];
  }

  get names(): readonly string[] {
    return this.#parts;
  }
}
