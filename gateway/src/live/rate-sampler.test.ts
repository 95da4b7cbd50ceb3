import type { GraphHost, GraphStatus } from "@millrace/engine";
import { describe, expect, it } from "vitest";
import { edgeStatus, graphStatus, nodeStatus } from "../../test/fake-host.ts";
import type { LiveGraphDetail } from "./live-status.ts";
import { RateSampler } from "./rate-sampler.ts";

class Scene {
  nowMs = 0;
  graph: GraphStatus = graphStatus("g", [], []);
  readonly sampler = new RateSampler({ list: () => [this.graph] } as unknown as GraphHost, {
    now: () => 1_700_000_000_000 + this.nowMs,
    monotonic: () => this.nowMs,
  });

  at(
    seconds: number,
    messages: number,
    more: Partial<Parameters<typeof nodeStatus>[2]> = {},
  ): LiveGraphDetail | undefined {
    this.nowMs = seconds * 1000;
    this.graph = graphStatus(
      "g",
      [
        nodeStatus("a", "source", { messagesOut: messages }),
        nodeStatus("b", "window", { messagesIn: messages, ...more }),
      ],
      [edgeStatus("a", "b", { messages, depth: 512 })],
      { messagesIn: messages },
    );
    return this.sampler.sample().graphs[0];
  }
}

describe("rates", () => {
  it("are the growth of a counter over about the last two seconds", () => {
    const scene = new Scene();
    expect(scene.at(0, 1000)?.inRate).toBe(0);
    expect(scene.at(0.25, 1100)?.inRate).toBe(400);
    for (let beat = 2; beat <= 16; beat++) scene.at(beat / 4, 1000 + beat * 100);
    expect(scene.at(4.25, 5000)?.inRate).toBe(1550);
    expect(scene.at(4.5, 5000)?.edges[0]?.rate).toBe(1500);
  });

  it("count from zero in a new incarnation, never below", () => {
    const scene = new Scene();
    scene.at(0, 1_000_000);
    expect(scene.at(1, 50)?.inRate).toBe(50);
  });

  it("are zero for a graph that just appeared and after a reset", () => {
    const scene = new Scene();
    scene.at(0, 10);
    scene.sampler.reset();
    expect(scene.at(1, 500)?.inRate).toBe(0);
  });

  it("tell the share of time that a node computed or was held", () => {
    const scene = new Scene();
    scene.at(0, 0, { busyMs: 100, blockedMs: 0 });
    const node = scene.at(1, 0, { busyMs: 710, blockedMs: 250, pressure: "cpu" })?.nodes[1];
    expect([node?.busy, node?.blocked, node?.fill]).toEqual([0.61, 0.25, 0.5]);
  });

  it("come with what an edge waits for in event time", () => {
    const scene = new Scene();
    expect(scene.at(0, 0)?.edges[0]).not.toHaveProperty("aligning");
    const aligning = { lanes: 2, behind: "live#0" };
    scene.graph = graphStatus("g", [], [edgeStatus("a", "b", { aligning })]);
    expect(scene.sampler.sample().graphs[0]?.edges[0]?.aligning).toEqual(aligning);
  });

  it("rank a node that computes before one that waits for it", () => {
    const scene = new Scene();
    const before = scene.at(0, 0);
    expect(before?.bottlenecks.map(({ node }) => node)).toEqual(["b"]);
    const now = scene.at(1, 0, { busyMs: 900, pressure: "cpu" });
    expect(now?.bottlenecks[0]).toEqual({
      node: "b",
      share: 0.9,
      cause: "cpu",
      sentence: "CPU: computes 90 % of its time",
    });
  });
});
