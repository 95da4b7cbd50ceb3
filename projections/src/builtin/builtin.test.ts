import {
  type DeadLettered,
  encodeBatch,
  encodeStep,
  type JsonObject,
  packState,
  type RecordedEvent,
  RowBatch,
  STEP,
  type StateEvent,
  type StepRecord,
} from "@millrace/engine";
import { type EventOverrides, sampleEvent } from "@millrace/engine/testing";
import { describe, expect, it } from "vitest";
import type { Projection } from "../projection.ts";
import { readPage } from "../query.ts";
import { MemoryRows } from "../row/memory-rows.ts";
import { Shapes } from "../row/row-codec.ts";
import { RowTable } from "../row/row-table.ts";
import {
  DEAD_LETTERS_SETTLED,
  deadLetterCountProjection,
  deadLetterOf,
  deadLetterProjection,
} from "./dead-letter-projections.ts";
import { type GraphFact, graphProjection } from "./graph-projection.ts";
import { tableProjection } from "./table-projection.ts";

/** The rows after a projection has folded these events, in order of its key. */
function fold(projection: Projection, events: readonly RecordedEvent[]): readonly JsonObject[] {
  const rows = new MemoryRows();
  const shapes = new Shapes();
  const table = new RowTable(projection, shapes, rows);
  for (const event of events) {
    table.at(event.position);
    projection.fold(table, event);
  }
  return readPage(rows, shapes, projection.key, { limit: 1000 }).rows;
}

let position = 0;

function recorded(stream: string, overrides: EventOverrides): RecordedEvent {
  position += 1;
  return { ...sampleEvent(overrides), stream, revision: 0, position, timeMs: 1000 + position };
}

function step(part: Partial<StepRecord>): Uint8Array {
  const empty = { inputs: [], opened: [], recorded: [], state: [], emitted: [], dead: [], dropped: [] };
  return encodeStep({ at: 0, since: 0, watermark: 0, ...empty, out: { watermark: 0, idle: false }, ...part });
}

const rowsPut = (stream: string, ...batches: JsonObject[][]): RecordedEvent =>
  recorded(stream, {
    type: STEP,
    payload: step({ state: batches.map((rows): StateEvent => ({ rows: encodeBatch(new RowBatch(rows)) })) }),
  });

describe("a table projection", () => {
  it("keeps the last row of each key from the sinks that write to it", () => {
    const projection = tableProjection({ name: "board", streams: ["g/board"], key: ["origin", "hour"] });
    const rows = fold(projection, [
      rowsPut("g/board", [{ origin: "JFK", hour: 1, n: 1 }], [{ origin: "ATL", hour: 1, n: 2 }]),
      rowsPut("g/board2", [{ origin: "XXX", hour: 1, n: 9 }]),
      rowsPut("g/board", [{ origin: "JFK", hour: 1, n: 3 }], [{ origin: "JFK", hour: 0, n: 4 }]),
      recorded("g/board", { type: STEP, payload: step({ state: [{ other: 1 }] }) }),
    ]);
    expect(rows).toEqual([
      { origin: "ATL", hour: 1, n: 2 },
      { origin: "JFK", hour: 0, n: 4 },
      { origin: "JFK", hour: 1, n: 3 },
    ]);
  });

  it("keeps every row when it has no key", () => {
    const projection = tableProjection({ name: "all", streams: ["g/a", "g/b"], key: [] });
    const rows = fold(projection, [rowsPut("g/b", [{ n: 1 }, { n: 1 }]), rowsPut("g/a", [{ n: 0 }])]);
    expect(rows).toEqual([{ n: 1 }, { n: 1 }, { n: 0 }]);
  });

  it("of many rows takes columns and rows alike", () => {
    const given = Array.from({ length: 50 }, (_, i) => ({ origin: `O${i % 5}`, hour: i, mean: i / 3, note: null }));
    const projection = tableProjection({ name: "board", streams: ["g/board"], key: ["hour"] });
    expect(fold(projection, [rowsPut("g/board", given)])).toEqual(given);
  });
});

const letter = (id: string, node: string, code: string): DeadLettered => ({
  id,
  lane: "src/0",
  pos: 5,
  ord: 0,
  node,
  attempts: 1,
  error: { code, kind: "terminal", message: `${node} failed` },
  input: { bad: true },
});

const died = (...letters: DeadLettered[]): RecordedEvent =>
  recorded("g/sink", { type: STEP, payload: step({ dead: letters }), context: { graph: "g", node: "sink" } });

describe("dead letters", () => {
  it("are rows in the order of the log, with all that a person needs", () => {
    const event = died(letter("d1", "parse", "MSG-DECODE"), letter("d2", "score", "MSG-POISON"));
    const rows = fold(deadLetterProjection(), [event]);
    expect(rows.map((r) => r.id)).toEqual(["d1", "d2"]);
    expect(deadLetterOf(rows[0] as JsonObject)).toEqual({
      ...letter("d1", "parse", "MSG-DECODE"),
      graph: "g",
      position: event.position,
      timeMs: event.timeMs,
      state: "waiting",
    });
  });

  it("are not made of events that belong to no graph, whatever their type", () => {
    const imitations = [STEP, DEAD_LETTERS_SETTLED].map((type) => recorded("x", { type, payload: new Uint8Array(3) }));
    expect(fold(deadLetterProjection(), imitations)).toEqual([]);
    expect(fold(deadLetterCountProjection(), imitations.slice(0, 1))).toEqual([]);
  });

  it("say what became of them", () => {
    const settled = (ids: string[], state: string): RecordedEvent =>
      recorded("g", { type: DEAD_LETTERS_SETTLED, payload: packState({ ids, state }), context: { graph: "g" } });
    const rows = fold(deadLetterProjection(), [
      died(letter("d1", "a", "X"), letter("d2", "a", "X"), letter("d3", "a", "X")),
      settled(["d1"], "redriven"),
      settled(["d3", "unknown"], "discarded"),
    ]);
    expect(rows.map((r) => [r.id, r.state])).toEqual([
      ["d1", "redriven"],
      ["d2", "waiting"],
      ["d3", "discarded"],
    ]);
  });

  it("are counted by graph, node and code", () => {
    const events = [died(letter("d1", "a", "X"), letter("d2", "a", "Y")), died(), died(letter("d3", "a", "X"))];
    const rows = fold(deadLetterCountProjection(), events);
    expect(rows.map((r) => [r.graph, r.node, r.code, r.count])).toEqual([
      ["g", "a", "X", 2],
      ["g", "a", "Y", 1],
    ]);
    expect(rows[0]?.newest).toMatchObject({ id: "d3", message: "a failed" });
  });
});

describe("the graphs projection", () => {
  const fact = (graph: string, graphRevision: number, { type, ...rest }: GraphFact): RecordedEvent =>
    recorded(graph, { type, payload: packState(rest as unknown as StateEvent), context: { graph, graphRevision } });
  const error = { code: "MSG-POISON", kind: "terminal" as const, message: "no" };
  const started = fact("g", 1, {
    type: "GraphStarted",
    nodes: [
      { node: "a", kind: "source" },
      { node: "b", kind: "sink" },
    ],
  });
  const states = (events: readonly RecordedEvent[]): unknown[] =>
    fold(graphProjection(), events).map((r) => [r.graph, r.node, r.state, r.revision, r.restarts ?? 0]);

  it("knows graphs, revisions and nodes", () => {
    expect(
      states([started, fact("h", 3, { type: "GraphStarted", nodes: [] }), fact("h", 3, { type: "GraphFinished" })]),
    ).toEqual([
      ["g", "", "running", 1, 0],
      ["g", "a", "running", 1, 0],
      ["g", "b", "running", 1, 0],
      ["h", "", "finished", 3, 0],
    ]);
  });

  it("knows which nodes restart and which are parked, and why", () => {
    const restart = fact("g", 1, { type: "NodeRestarting", node: "a", error, delayMs: 3 });
    const events = [started, restart, restart, fact("g", 1, { type: "NodeParked", nodes: ["a", "b"], error })];
    expect(states(events).slice(1)).toEqual([
      ["g", "a", "parked", 1, 2],
      ["g", "b", "parked", 1, 0],
    ]);
    expect(fold(graphProjection(), events)[1]?.error).toEqual(error);
  });

  it("forgets nodes that a new revision no longer has", () => {
    const next = fact("g", 2, { type: "GraphStarted", nodes: [{ node: "b", kind: "sink" }] });
    expect(states([started, fact("g", 1, { type: "GraphStopped" }), next])).toEqual([
      ["g", "", "running", 2, 0],
      ["g", "b", "running", 2, 0],
    ]);
  });

  it("ignores what it hears of graphs that never started", () => {
    expect(states([fact("g", 1, { type: "GraphStopped", reason: "x" })])).toEqual([]);
  });
});
