import { describe, expect, it } from "vitest";
import { type NativeBlocks, nativeBlocks } from "./native-blocks.ts";

const skipped = process.env.MILLRACE_SKIP_RUST;
const ALIGN = 512;
const HEADER = { salt: Buffer.alloc(8), seq: 1, first: 0, count: 1, prev: 0, epoch: 1, kind: 0 };

describe.skipIf(skipped)(`blocks by the native addon${skipped ? ` (skipped: ${skipped})` : ""}`, () => {
  const blocks = nativeBlocks() as NativeBlocks;

  it("are refused when a record lies outside", () => {
    const bytes = Buffer.alloc(512);
    expect(() => blocks.sealBlock(bytes, 256, ALIGN, HEADER)).toThrow("a record of 0 bytes cannot stand at 64");
    bytes.writeUInt32LE(200, 64);
    expect(() => blocks.sealBlock(bytes, 256, ALIGN, HEADER)).toThrow("a record of 200 bytes cannot stand at 64");
    expect(blocks.checkRecords(bytes, 64, 256)).toBe(64);
  });

  it("are refused when they do not fit their buffer", () => {
    expect(() => blocks.sealBlock(Buffer.alloc(512), 1024, ALIGN, HEADER)).toThrow("does not fit its buffer of 512");
    expect(() => blocks.sealBlock(Buffer.alloc(512), 256, 1000, HEADER)).toThrow("padded to 1000");
    expect(() => blocks.checkRecords(Buffer.alloc(256), 0, 257)).toThrow("257 bytes cannot be used");
  });
});
