import { describe, expect, it } from "vitest";
import { reportOf } from "../errors.ts";
import { Frame } from "../frame/frame.ts";
import { sampleFrame } from "../testing/sample-frames.ts";
import { EdgeMeter, type Link, type OutEdge, sendAlong, withoutCredit } from "./link.ts";

class RecordingLink implements Link {
  readonly sent: Frame[] = [];
  readonly full = new Set<number>();

  hasCredit(path: number): boolean {
    return !this.full.has(path);
  }

  whenCredit(): void {}

  send(frame: Frame): void {
    this.sent.push(frame);
  }
}

function edgeTo(link: Link, paths: readonly (readonly [number, number])[]): OutEdge {
  return { name: "a -> b", link, nextPath: new Map(paths), meter: new EdgeMeter() };
}

function withDead(frame: Frame): Frame {
  const dead = { pos: 0, ord: 0, node: "n", attempts: 1, error: reportOf(new Error("no")), input: null };
  return new Frame(frame.head, frame.batch, frame.positions, [dead]);
}

describe("a frame that is sent along edges", () => {
  it("goes down every edge that its path leads along, with the path after it, and no other", () => {
    const links = [new RecordingLink(), new RecordingLink(), new RecordingLink()];
    const [first, second, other] = links as [RecordingLink, RecordingLink, RecordingLink];
    sendAlong([edgeTo(first, [[0, 1]]), edgeTo(other, [[9, 3]]), edgeTo(second, [[0, 2]])], sampleFrame(0, ["x"]));
    expect(links.map((link) => link.sent.map((f) => f.head.path))).toEqual([[1], [2], []]);
    expect(first.sent[0]?.batch).toBe(second.sent[0]?.batch);
  });

  it("takes its dead items down the first of them only (R23)", () => {
    const links = [new RecordingLink(), new RecordingLink(), new RecordingLink()];
    const edges = links.map((link, i) => edgeTo(link, i === 0 ? [[9, 1]] : [[0, i]]));
    sendAlong(edges, withDead(sampleFrame(0, ["x"])));
    expect(links.map((link) => link.sent.map((f) => f.dead.length))).toEqual([[], [1], [0]]);
  });

  it("is counted by the meter of each edge, which keeps the newest messages", () => {
    const edge = edgeTo(new RecordingLink(), [[0, 1]]);
    sendAlong([edge], sampleFrame(0, ["x", "y"], { watermark: 5 }));
    sendAlong([edge], sampleFrame(2, [], { watermark: 6 }));
    expect(edge.meter).toMatchObject({ messages: 2, frames: 2, watermark: 6 });
    expect(edge.meter.newest?.rows()).toEqual(["x", "y"]);
  });
});

describe("credit of edges", () => {
  it("is asked for the path after the edge, and only where the path leads", () => {
    const link = new RecordingLink();
    link.full.add(7);
    const edges = [edgeTo(link, [[0, 1]]), edgeTo(link, [[3, 7]])];
    expect(withoutCredit(edges, 0)).toBeUndefined();
    expect(withoutCredit(edges, 3)).toEqual({ link, path: 7 });
  });
});
