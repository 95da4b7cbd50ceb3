import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type NativeBlocks, nativeBlocks } from "./native-blocks.ts";

const skipped = process.env.MILLRACE_SKIP_RUST;

/** Bit by bit, from the definition. */
function naive(view: DataView, from: number, to: number, seed = 0): number {
  let crc = ~seed;
  for (let at = from; at < to; at++) {
    crc ^= view.getUint8(at);
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

describe.skipIf(skipped)(`blocks by the native addon${skipped ? ` (skipped: ${skipped})` : ""}`, () => {
  let dir: string;
  let blocks: NativeBlocks;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "millrace-blocks-"));
    blocks = nativeBlocks() as NativeBlocks;
    expect(blocks).toBeDefined();
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it("has the checksum of the definition over any range, in any two parts", () => {
    expect(blocks.crc32c(viewOf(Buffer.from("123456789")), 0, 9)).toBe(0xe3069283);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000 }), fc.nat(3000), fc.nat(3000), (bytes, a, b) => {
        const view = viewOf(bytes);
        const [from, middle] = [Math.min(a, b, bytes.length), Math.min(Math.max(a, b), bytes.length)];
        const whole = naive(view, from, bytes.length);
        expect(blocks.crc32c(view, from, bytes.length)).toBe(whole);
        expect(blocks.crc32c(view, middle, bytes.length, blocks.crc32c(view, from, middle))).toBe(whole);
        expect(blocks.crc32c(view, from, bytes.length, 7)).toBe(naive(view, from, bytes.length, 7));
      }),
    );
  });

  it("refuses ranges and records that lie outside", () => {
    const bytes = Buffer.alloc(256);
    expect(() => blocks.crc32c(viewOf(bytes), 0, 257)).toThrow("0..257 is not within 256 bytes");
    expect(() => blocks.crc32c(viewOf(bytes), 9, 8)).toThrow("9..8");
    expect(() => blocks.finishBlock(bytes, 512)).toThrow("512 bytes cannot be used");
    expect(() => blocks.finishBlock(bytes, 256)).toThrow("a record of 0 bytes cannot stand at 64");
    bytes.writeUInt32LE(200, 64);
    expect(() => blocks.finishBlock(bytes, 256)).toThrow("a record of 200 bytes cannot stand at 64");
  });

  it("writes a block where it was told, whatever lies around it, and only then says so", async () => {
    const path = join(dir, "segment");
    const fd = openSync(path, constants.O_CREAT | constants.O_RDWR | constants.O_DSYNC);
    const bytes = Buffer.from(Uint8Array.from({ length: 3 * 1024 * 1024 }, (_, i) => i * 7));
    await Promise.all([blocks.commitBlock(fd, bytes, bytes.length, 4096), blocks.commitBlock(fd, bytes, 100, 0)]);
    closeSync(fd);
    const written = readFileSync(path);
    expect(written.length).toBe(4096 + bytes.length);
    expect(written.subarray(0, 100).equals(bytes.subarray(0, 100))).toBe(true);
    expect(written.subarray(4096).equals(bytes)).toBe(true);
  });

  it("fails as the system does, by code", async () => {
    const readOnly = openSync(process.execPath, constants.O_RDONLY);
    const full = openSync("/dev/full", constants.O_WRONLY);
    const bytes = Buffer.alloc(4096);
    await expect(blocks.commitBlock(readOnly, bytes, 1, 0)).rejects.toMatchObject({ code: "EBADF", syscall: "write" });
    await expect(blocks.commitBlock(full, bytes, 4096, 0)).rejects.toMatchObject({ code: "ENOSPC", errno: -28 });
    await expect(blocks.commitBlock(full, bytes, 4097, 0)).rejects.toThrow("cannot write 4097 bytes");
    closeSync(readOnly);
    closeSync(full);
  });
});
