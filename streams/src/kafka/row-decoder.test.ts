import { expect, test } from "vitest";
import type { KafkaRecord } from "./driver.ts";
import { envelopeRow } from "./row-decoder.ts";

test("a record without a time, or with one that no calendar has, is read all the same", () => {
  const time = (timestampMs: number) => {
    const record = { offset: 0, timestampMs, key: null, value: Buffer.from("1"), headers: {} };
    return envelopeRow(record as unknown as KafkaRecord, { topic: "t", partition: 0 }, () => 1);
  };
  expect(time(0)).toMatchObject({ time: "1970-01-01T00:00:00.000Z", value: 1 });
  // The protocol's word for none, and nanoseconds where milliseconds should be.
  expect([time(-1), time(1.7e18)]).toEqual([
    expect.objectContaining({ time: null }),
    expect.objectContaining({ time: null }),
  ]);
});
