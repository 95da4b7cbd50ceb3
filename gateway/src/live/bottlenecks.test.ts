import { describe, expect, it } from "vitest";
import { bottlenecksOf } from "./bottlenecks.ts";
import type { LiveNode } from "./live-status.ts";

const node = (name: string, more: Partial<LiveNode>): LiveNode => ({
  node: name,
  state: "running",
  inRate: 0,
  outRate: 0,
  busy: 0,
  blocked: 0,
  pressure: "none",
  depth: 0,
  capacity: 1024,
  fill: 0,
  messagesIn: 0,
  messagesOut: 0,
  consumed: 0,
  dropped: 0,
  deadLettered: 0,
  restarts: 0,
  steps: 0,
  stepsInFlight: 0,
  commitP99Ms: null,
  watermarkMs: null,
  reason: "",
  error: null,
  ...more,
});

describe("bottlenecks", () => {
  it("name the cause before those that wait for it", () => {
    const list = bottlenecksOf([
      node("upstream", { fill: 1, blocked: 0.95, pressure: "downstream" }),
      node("slow", { fill: 0.9, busy: 0.97, pressure: "cpu" }),
      node("next", { fill: 0.1 }),
    ]);
    expect(list).toEqual([{ node: "slow", share: 0.97, cause: "cpu", sentence: "CPU: computes 97 % of its time" }]);
  });

  it("put what does not run at all first, with its own words", () => {
    const list = bottlenecksOf([
      node("busy", { busy: 1, pressure: "cpu" }),
      node("trying", { state: "backing-off", reason: "next try in 8 s" }),
      node("parked", { state: "parked" }),
    ]);
    expect(list.map((one) => [one.node, one.sentence])).toEqual([
      ["parked", "is parked"],
      ["trying", "next try in 8 s"],
      ["busy", "CPU: computes 100 % of its time"],
    ]);
  });

  it("do not blame a node that waits for its source", () => {
    expect(bottlenecksOf([node("idle", { busy: 0.5, pressure: "source" })])).toEqual([]);
  });

  it("say of a node whose inputs wait for each other why they do", () => {
    expect(bottlenecksOf([node("join", { fill: 1, busy: 0.1, pressure: "alignment" })])).toEqual([
      {
        node: "join",
        share: 1,
        cause: "alignment",
        sentence: "holds inputs back that are ahead of another in event time",
      },
    ]);
  });

  it("are five at most", () => {
    expect(bottlenecksOf(Array.from({ length: 20 }, (_, i) => node(`n${i}`, { fill: 0.9 })))).toHaveLength(5);
  });
});
