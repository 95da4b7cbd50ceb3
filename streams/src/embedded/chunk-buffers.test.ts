import { describe, expect, it } from "vitest";
import { ChunkBuffers } from "./chunk-buffers.ts";

describe("buffers of a scan", () => {
  it("are two, given by turns, of which the one before stays as it is", () => {
    const buffers = new ChunkBuffers();
    const given: Buffer[] = [];
    for (let turn = 0; turn < 4; turn++) {
      buffers.turn();
      given.push(buffers.bytes(100).fill(turn));
      if (turn > 0) expect(given[turn - 1]?.every((byte) => byte === turn - 1)).toBe(true);
    }
    expect(new Set(given.map(({ buffer }) => buffer)).size).toBe(2);
  });

  it("grow for what is longer, within a turn and for those after it", () => {
    const buffers = new ChunkBuffers();
    buffers.turn();
    const short = buffers.bytes(10).fill(1);
    const long = buffers.bytes(1000).fill(2);
    expect(short.every((byte) => byte === 1)).toBe(true);
    buffers.turn();
    buffers.turn();
    expect(buffers.bytes(20).buffer).toBe(long.buffer);
    expect(buffers.bytes(20)).toHaveLength(20);
  });

  it("are not given again once they are forgotten", () => {
    const buffers = new ChunkBuffers();
    buffers.turn();
    const first = buffers.bytes(10).buffer;
    buffers.turn();
    const second = buffers.bytes(10).buffer;
    buffers.forget();
    for (let turn = 0; turn < 2; turn++) {
      buffers.turn();
      expect([first, second]).not.toContain(buffers.bytes(10).buffer);
    }
  });
});
