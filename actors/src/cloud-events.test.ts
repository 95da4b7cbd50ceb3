import {
  type Feed,
  type FeedGroup,
  type InputSlice,
  type Json,
  Positions,
  RowBatch,
  reportOf,
  type SinkConnector,
  type SourceConnector,
} from "@millrace/engine";
import { describe, expect, test } from "vitest";
import { cloudEventFeed, cloudEventSink, cloudEventSource } from "./cloud-events.ts";

const event = (id: string, more: object = {}): Json => ({
  specversion: "1.0",
  id,
  source: "/shop",
  type: "t",
  ...more,
});
const BAD = event("2", { time: "yesterday" });
const idOf = (id: string): string => JSON.stringify(["/shop", id]);

const FAULT = { code: "CLOUDEVENT-INVALID", details: { attribute: "time" } };

test("a feed of events has their ids, and dead letters with the attribute's name", async () => {
  const groups: FeedGroup[] = [];
  const taken: unknown[] = [];
  const feed: Feed = {
    connection: () => {
      throw new Error("not asked for");
    },
    async run(into) {
      into.take(event("1"), { id: "of the broker" });
      into.take(BAD, { id: "of the broker" });
      into.takeGroup({
        items: [{ message: event("3") }, { message: BAD }, { message: "{", error: "no JSON" }],
        cursor: 1,
      });
    },
  };
  const into = {
    cursor: "before",
    take: (message: Json, receipt: unknown) => taken.push([message, receipt]),
    reject: (error: unknown, input: Json, receipt: unknown) => taken.push([reportOf(error), input, receipt]),
    takeGroup: (group: FeedGroup) => groups.push(group),
    lose: () => undefined,
  };
  await cloudEventFeed(feed, "in").run(into, new AbortController().signal);
  expect(taken).toMatchObject([
    [event("1"), { id: idOf("1") }],
    [FAULT, BAD, { id: "of the broker" }],
  ]);
  expect(groups).toMatchObject([
    {
      items: [{ message: event("3"), id: idOf("3") }, { message: BAD, error: FAULT }, { error: "no JSON" }],
      cursor: 1,
    },
  ]);
});

test("a source of events keeps their positions, and refuses what is none at its own", async () => {
  const connector: SourceConnector = {
    capabilities: { replay: true, ordered: true, bounded: true },
    partitions: async () => ["0"],
    open: async (_partition, _after, marks) => ({
      identity: "x",
      read: async () => ({
        marks: marks ?? [],
        batch: new RowBatch([event("1"), BAD, event("3")]),
        positions: Positions.dense(10, 3),
        through: 13,
        rejected: [{ pos: 13, error: "no JSON", input: "{" }],
      }),
      close: async () => undefined,
    }),
  };
  const marks = [{ from: 0, place: "an object" }];
  const reader = await cloudEventSource(connector, "in").open("0", -1, marks);
  const read = await reader.read(10);
  if (typeof read === "string") throw new Error("it has messages");
  expect(read.batch.rows()).toEqual([event("1"), event("3")]);
  expect([0, 1].map((i) => read.positions.pos(i))).toEqual([10, 12]);
  expect(read.rejected).toMatchObject([{ pos: 11, error: FAULT, input: BAD }, { pos: 13 }]);
  expect([read.through, reader.identity, read.marks]).toEqual([13, "x", marks]);
});

describe("a sink of events", () => {
  const attributes = { source: "/graphs/g/nodes/out", type: "millrace.g.out", subject: "k", time: "at" };

  async function delivered(rows: readonly Json[], at = 0): Promise<readonly Json[]> {
    const out: Json[] = [];
    const sink: SinkConnector = {
      guarantee: "at-least-once",
      open: async () => undefined,
      deliver: async (slices) => {
        for (const { batch } of slices) out.push(...batch.rows());
        return null;
      },
      close: async () => undefined,
    };
    const slice: InputSlice = {
      lane: "in>out",
      input: 0,
      batch: new RowBatch(rows),
      positions: Positions.dense(at, rows.length),
      late: [],
    };
    await cloudEventSink(sink, attributes).deliver([slice]);
    return out;
  }

  test("makes events of messages, with the same id whenever they are delivered, and leaves events as they are", async () => {
    const row = { k: 7, at: 1_700_000_000_000 };
    const [first, second] = await delivered([row, event("1", { subject: "s" })], 4);
    expect(first).toEqual({
      specversion: "1.0",
      id: "in>out/4/0",
      source: "/graphs/g/nodes/out",
      type: "millrace.g.out",
      subject: "7",
      time: "2023-11-14T22:13:20.000Z",
      datacontenttype: "application/json",
      data: row,
    });
    expect(second).toEqual(event("1", { subject: "s" }));
    expect(await delivered([row], 4)).toEqual([first]);
  });

  test("sends none whose field is no value of its attribute", async () => {
    for (const [row, attribute] of [
      [{ k: "x", at: "yesterday" }, "time"],
      [{ k: {}, at: 1 }, "subject"],
    ] as const)
      expect(reportOf(await delivered([row]).catch((error: unknown) => error))).toMatchObject({
        code: "CLOUDEVENT-INVALID",
        details: { attribute },
      });
  });
});
