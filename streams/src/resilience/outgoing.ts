/**
 * Messages on their way to a broker that confirms each: their ids are the same each time they are sent, so that a receiver knows those
 * that come twice, and what the broker took of a delivery that did not succeed as a whole is not sent again by this incarnation.
 */
import { createHash } from "node:crypto";
import type { InputSlice, Json } from "@millrace/engine";
import type { EncodeMessage } from "../format/message-format.ts";
import type { MessageParts } from "../format/message-parts.ts";

export interface Outgoing extends MessageParts {
  /** Made of sink, lane, position and ordinal. At most 255 bytes, which is what protocols take. */
  readonly id: string;
  readonly row: Json;
}

const SHORT_BYTES_MAX = 255;
const ORIGIN_CHARS = 22;

/**
 * @param sink names the sink among all that write there: graph and node
 */
export function outgoingOf(sink: string, { lane, batch, positions }: InputSlice, encode: EncodeMessage): Outgoing[] {
  return batch.rows().map((row, i) => ({
    id: messageId(`${sink}/${lane}`, `/${positions.pos(i)}/${positions.ord(i)}`),
    row,
    ...encode(row),
  }));
}

/** Ids of a slice's messages, in order: as {@link Outgoing} has them, but of few and plain characters, for where ids are read by others. */
export function plainIdsOf(sink: string, { lane, batch, positions }: InputSlice): readonly string[] {
  const origin = createHash("sha256").update(`${sink}/${lane}`).digest("base64url").slice(0, ORIGIN_CHARS);
  return batch.rows().map((_, i) => `${origin}/${positions.pos(i)}/${positions.ord(i)}`);
}

/** Ids are short strings: what names the lane is cut down to what still tells it apart. */
function messageId(lane: string, place: string): string {
  if (Buffer.byteLength(lane) + place.length <= SHORT_BYTES_MAX) return lane + place;
  return createHash("sha256").update(lane).digest("hex") + place;
}

export class Unfinished {
  readonly #taken = new Set<string>();

  /** The broker has the message of this id. */
  took(id: string): void {
    this.#taken.add(id);
  }

  /** Sends what was not taken yet, at most `most` at a time, and resolves when the broker has all of it. */
  async finish<M extends { readonly id: string }>(
    messages: readonly M[],
    most: number,
    send: (some: readonly M[]) => Promise<unknown>,
  ): Promise<void> {
    const left = messages.filter(({ id }) => !this.#taken.has(id));
    for (let from = 0; from < left.length; from += most) await send(left.slice(from, from + most));
    for (const { id } of messages) this.#taken.delete(id);
  }
}
