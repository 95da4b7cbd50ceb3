/** What nodes gave up on: each dead letter by place, and how many there are by graph, node and code. */
import {
  type DeadLetter,
  type DeadLettered,
  defineEventSchema,
  type EventSchema,
  type JsonObject,
  type RecordedEvent,
  STEP,
  stepOf,
} from "@millrace/engine";
import { defineProjection, type Projection } from "../projection.ts";
import type { Rows } from "../row/rows.ts";
import { isOfNoGraph } from "./foreign-event.ts";

export const DEAD_LETTERS = "dead-letters";
export const DEAD_LETTER_COUNTS = "dead-letter-counts";

/** Event of a graph's stream: dead letters were sent through their node again, or given up. Payload: `{ ids, state }`. */
export const DEAD_LETTERS_SETTLED = "DeadLettersSettled";

/** What an event says about dead letters. */
export type DeadLetterFact =
  | { readonly is: "recorded"; readonly letters: readonly DeadLettered[] }
  | { readonly is: "settled"; readonly ids: readonly string[]; readonly state: "redriven" | "discarded" };

interface Settled {
  readonly ids: readonly string[];
  readonly state: "redriven" | "discarded";
}

const settledSchema: EventSchema<Settled> = defineEventSchema({
  type: DEAD_LETTERS_SETTLED,
  version: 1,
  // The host that appended it wrote this shape.
  parse: (payload) => payload as unknown as Settled,
});

/** @throws EVENT-SCHEMA, EVENT-PAYLOAD */
export function deadLetterFact(event: RecordedEvent): DeadLetterFact {
  if (event.type === STEP) return { is: "recorded", letters: stepOf(event).dead };
  const { ids, state } = settledSchema.decode(event);
  return { is: "settled", ids, state };
}

type Decode = (event: RecordedEvent) => DeadLetterFact;

const handles = { types: [STEP, DEAD_LETTERS_SETTLED] };

/** Every dead letter, in the order of the log; found by `id` too. */
export function deadLetterProjection(decode: Decode = deadLetterFact): Projection {
  return defineProjection({
    name: DEAD_LETTERS,
    version: 1,
    handles,
    key: ["position", "index"],
    index: "id",
    fold(rows, event) {
      if (isOfNoGraph(event)) return;
      const fact = decode(event);
      if (fact.is === "recorded") fact.letters.forEach((letter, index) => void rows.put(rowOf(letter, index, event)));
      else for (const id of fact.ids) settle(rows, id, fact.state);
    },
  });
}

function rowOf(letter: DeadLettered, index: number, { context, position, timeMs }: RecordedEvent): JsonObject {
  return {
    position,
    index,
    id: letter.id,
    graph: context.graph,
    node: letter.node,
    code: letter.error.code,
    lane: letter.lane,
    pos: letter.pos,
    ord: letter.ord,
    attempts: letter.attempts,
    // A report is made of what JSON can say.
    error: letter.error as unknown as JsonObject,
    input: letter.input ?? null,
    timeMs,
    state: "waiting",
  };
}

function settle(rows: Rows, id: string, state: string): void {
  const row = rows.find(id);
  if (row !== undefined) rows.put({ ...row, state });
}

/** A row of {@link deadLetterProjection} without what only orders it. */
export function deadLetterOf(row: JsonObject): DeadLetter {
  // Its fold made the row of these fields.
  const { id, graph, node, lane, pos, ord, attempts, error, input, position, timeMs, state } =
    row as unknown as DeadLetter;
  return { id, graph, node, lane, pos, ord, attempts, error, input, position, timeMs, state };
}

/** How many dead letters there were, by graph, node and code, with the newest. */
export function deadLetterCountProjection(decode: Decode = deadLetterFact): Projection {
  return defineProjection({
    name: DEAD_LETTER_COUNTS,
    version: 1,
    handles: { types: [STEP] },
    key: ["graph", "node", "code"],
    fold(rows, event) {
      if (isOfNoGraph(event)) return;
      const fact = decode(event);
      if (fact.is !== "recorded") return;
      for (const { node, error, id } of fact.letters) {
        const { graph } = event.context;
        const before = rows.get(graph, node, error.code)?.count as number | undefined;
        const newest = { id, position: event.position, timeMs: event.timeMs, message: error.message };
        rows.put({ graph, node, code: error.code, count: (before ?? 0) + 1, newest });
      }
    },
  });
}
