import { expect, test } from "vitest";
import { topicSink } from "./topic-sink.ts";

test("a sink of quality of service 0 does not claim what the protocol does not give", () => {
  const guarantee = (qos: 0 | 1 | 2) => topicSink({ topic: "t", qos, retain: false }).guarantee;
  expect([guarantee(0), guarantee(1), guarantee(2)]).toEqual(["best-effort", "at-least-once", "at-least-once"]);
});
