import { encodeBatch, encodeStep, RowBatch, STEP, STEP_SCHEMA } from "@millrace/engine";
import { sampleEvent } from "@millrace/engine/testing";
import { expect, test } from "vitest";
import { describeEvent } from "./describe-event.ts";

const EMPTY = { inputs: [], opened: [], recorded: [], state: [], emitted: [], dead: [], dropped: [] };

test("a step of a source that is told once shows which rows were late, and that it is idle", () => {
  const watermark = Date.UTC(2026, 0, 1);
  const batch = encodeBatch(new RowBatch([{ n: 1 }, { n: 2 }]));
  const emitted = [{ port: "out", firstSeq: 7, count: 2, batch, late: [{ pos: 8, watermark }] }];
  const step = { ...EMPTY, at: 0, since: 0, watermark: 0, emitted, out: { watermark, idle: true } };
  const event = sampleEvent({ type: STEP, schemaVersion: STEP_SCHEMA, payload: encodeStep(step) });
  expect(describeEvent({ ...event, stream: "g/in", revision: 0, position: 1, timeMs: 0 })).toMatchObject({
    emitted: [{ firstSeq: 7, rows: [{ n: 1 }, { n: 2 }], late: [{ row: 1, watermark: "2026-01-01T00:00:00.000Z" }] }],
    idle: true,
  });
});
