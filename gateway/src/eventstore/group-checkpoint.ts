/** How far a group is done, kept in a stream of its own so that a restart goes on from there: at least once, never past. */
import type { EndpointContext } from "./endpoint-context.ts";
import { type GroupDefinition, groupStreams } from "./group-settings.ts";
import { type Author, dataOf, isClientEvent, jsonEvent } from "./stored-event.ts";

const CHECKPOINT_TYPE = "$SubscriptionCheckpoint";

export class GroupCheckpoint {
  /** Everything below was settled when it was last written. */
  written: number;
  readonly #context: EndpointContext;
  readonly #stream: string;
  readonly #author: Author;
  #writing: Promise<void> = Promise.resolve();

  private constructor(context: EndpointContext, stream: string, author: Author, written: number) {
    this.#context = context;
    this.#stream = stream;
    this.#author = author;
    this.written = written;
  }

  /** As it was last written; where the group begins before it was. */
  static async open(context: EndpointContext, definition: GroupDefinition, author: Author): Promise<GroupCheckpoint> {
    const stream = groupStreams(definition).checkpoint;
    let written = definition.begin;
    // A group of the same name that was deleted has left its own behind, out of sight.
    const { metadata } = await context.states.of(stream);
    for await (const [event] of context.log.readStream(stream, { direction: "backward", limit: 1 })) {
      if (event === undefined || event.type !== CHECKPOINT_TYPE || !isClientEvent(event)) continue;
      if (event.revision < metadata.truncateBefore) continue;
      const { next } = JSON.parse(dataOf(event).toString("utf8")) as { readonly next: number };
      written = Math.max(written, next);
    }
    return new GroupCheckpoint(context, stream, author, written);
  }

  /** One write at a time; a place that is written already is not written again. */
  write(next: number): Promise<void> {
    // One that failed does not keep the next from trying.
    this.#writing = this.#writing
      .catch(() => {})
      .then(async () => {
        if (next <= this.written) return;
        const event = jsonEvent(this.#context.env.random.bytes(16), CHECKPOINT_TYPE, JSON.stringify({ next }));
        await this.#context.stateWriter.append(this.#stream, "any", [event], this.#author);
        this.written = next;
      });
    return this.#writing;
  }
}
