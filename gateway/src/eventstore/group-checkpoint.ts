/** How far a group is done, kept in a stream of its own so that a restart goes on from there: at least once, never past. */
import { newestFirst } from "@millrace/engine";
import type { EndpointContext } from "./endpoint-context.ts";
import { type GroupDefinition, groupStreams } from "./group-settings.ts";
import { type Author, dataOf, isClientEvent, jsonEvent } from "./stored-event.ts";

const CHECKPOINT_TYPE = "$SubscriptionCheckpoint";

export class GroupCheckpoint {
  /** Everything below was settled when it was last written. */
  written: number;
  readonly #context: EndpointContext;
  readonly #definition: GroupDefinition;
  readonly #author: Author;
  #writing: Promise<void> = Promise.resolve();

  private constructor(context: EndpointContext, definition: GroupDefinition, author: Author, written: number) {
    this.#context = context;
    this.#definition = definition;
    this.#author = author;
    this.written = written;
  }

  /** As it was last written; where the group begins before it was. */
  static async open(context: EndpointContext, definition: GroupDefinition, author: Author): Promise<GroupCheckpoint> {
    return new GroupCheckpoint(context, definition, author, await settledUpTo(context, definition));
  }

  /** One write at a time; a place that is written already is not written again. */
  write(next: number): Promise<void> {
    // One that failed does not keep the next from trying.
    this.#writing = this.#writing
      .catch(() => {})
      .then(async () => {
        if (next <= this.written) return;
        const { env, streams, stateWriter } = this.#context;
        const position = await streams.positionBehind(this.#definition.stream, next);
        const event = jsonEvent(env.random.bytes(16), CHECKPOINT_TYPE, JSON.stringify({ next, position }));
        await stateWriter.append(groupStreams(this.#definition).checkpoint, "any", [event], this.#author);
        this.written = next;
      });
    return this.#writing;
  }
}

/** The first place of a group that is not known to be settled for good. */
export async function settledUpTo(
  { log, states, streams }: Pick<EndpointContext, "log" | "states" | "streams">,
  definition: GroupDefinition,
): Promise<number> {
  const { begin, beginPosition } = definition;
  const stream = groupStreams(definition).checkpoint;
  // A group of the same name that was deleted has left its own behind, out of sight.
  const { metadata } = await states.of(stream);
  const placeNow = async ({ next, position }: Settled): Promise<number> =>
    position === undefined ? next : streams.numberFrom(definition.stream, position);
  const first = await placeNow({ next: begin, position: beginPosition });
  for await (const event of newestFirst(log, stream)) {
    if (event.type !== CHECKPOINT_TYPE || !isClientEvent(event)) continue;
    if (event.revision < metadata.truncateBefore) break;
    return Math.max(first, await placeNow(JSON.parse(dataOf(event).toString("utf8")) as Settled));
  }
  return first;
}

/** What a checkpoint says. */
interface Settled {
  readonly next: number;
  /** Of a virtual stream, see `ServedStreams.positionBehind`. */
  readonly position?: number | undefined;
}
