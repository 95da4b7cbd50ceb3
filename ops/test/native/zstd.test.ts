/** Zstandard by the addon against WebAssembly: the same bytes, each reads the other's, and both refuse the same. */
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemEnv } from "@millrace/engine";
import { SeededRandom, sampleEvent, to } from "@millrace/engine/testing";
import { type NativeBlocks, type NativeZstd, nativeBlocks, nativeZstd } from "@millrace/native";
import { inlineTreeHasher } from "@millrace/projections";
import {
  type BlockKernels,
  blockKernels,
  crc32c,
  type EmbeddedLog,
  openEmbeddedLog,
  repairLog,
  systemDisk,
} from "@millrace/streams/embedded";
import { memoryOrderedStore } from "@millrace/streams/memory";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const skipped = process.env.MILLRACE_SKIP_RUST;
const KIB = 1024;
const MAX = 4 * KIB * KIB;
const MAGIC_BYTES = 4;
const RAW = 0;
const RLE = 1;
const BLOCK_BYTES = 128 * KIB;
/** What a frame begins with that does not say how long its content is: with a window of 4 MiB. */
const UNSIZED = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x60]);
/** Of a frame and its first block. */
const HEADERS_BYTES = 9;

/** What one of them answers: the content's hash, or that it refuses. */
function outcome(zstd: NativeZstd, frame: Uint8Array, bytesMax = MAX): string {
  let content: Uint8Array;
  try {
    content = zstd.decompress(frame, bytesMax);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return "refused";
  }
  expect(content.length).toBeLessThanOrEqual(bytesMax);
  return hashOf(content);
}

const hashOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

function contents(): readonly Buffer[] {
  const random = new SeededRandom(23);
  const lengths = [0, 1, 2, 255, 256, 257, 4095, 65_791, 65_792, 128 * KIB, 128 * KIB + 1, 256 * KIB - 1, 256 * KIB];
  const ndjson = (length: number): Buffer => {
    const rows: string[] = [];
    for (let bytes = 0; bytes < length; bytes += rows.at(-1)?.length ?? 0)
      rows.push(`${JSON.stringify({ id: random.u32(), at: rows.length, origin: `A${random.u32() % 300}` })}\n`);
    return Buffer.from(rows.join("")).subarray(0, length);
  };
  const half = (length: number): Buffer =>
    Buffer.concat([Buffer.from(random.bytes(length >> 1)), Buffer.alloc(length - (length >> 1))]);
  const kinds = [
    (length: number) => Buffer.from(random.bytes(length)),
    (n: number) => Buffer.alloc(n, 7),
    ndjson,
    half,
  ];
  return [...lengths.flatMap((length) => kinds.map((kind) => kind(length))), ndjson(3 * KIB * KIB)];
}

/** A frame that does not say how long its content is, as streams make them, of blocks of one kind. */
function unsized(
  blocks: readonly { readonly kind: number; readonly length: number; readonly bytes: Uint8Array }[],
): Buffer {
  const parts = blocks.map(({ kind, length, bytes }, i) => {
    const header = Buffer.alloc(3);
    header.writeUIntLE((length << 3) | (kind << 1) | (i === blocks.length - 1 ? 1 : 0), 0, 3);
    return Buffer.concat([header, bytes]);
  });
  return Buffer.concat([UNSIZED, ...parts]);
}

function flipped(bytes: Uint8Array, bit: number): Buffer {
  const damaged = Buffer.from(bytes);
  damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
  return damaged;
}

/** The same frame without the length of its content. */
function withoutSize(frame: Uint8Array): Buffer {
  const descriptor = frame[MAGIC_BYTES] as number;
  const isSingle = (descriptor & 0x20) !== 0;
  const field = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6] as number;
  const blocks = frame.subarray(MAGIC_BYTES + 1 + (isSingle ? 0 : 1) + field);
  return Buffer.concat([UNSIZED, blocks]);
}

describe.skipIf(skipped)(`Zstandard by the addon${skipped ? ` (skipped: ${skipped})` : ""}`, () => {
  let native: NativeZstd;
  let script: NativeZstd;
  beforeAll(async () => {
    native = nativeZstd() as NativeZstd;
    script = await blockKernels(crc32c).zstd();
  });

  it("packs to the bytes that WebAssembly packs to, and each unpacks the other's", () => {
    for (const content of contents()) {
      const packed = Buffer.from(native.compress(content));
      expect(packed.equals(script.compress(content))).toBe(true);
      expect(content.equals(native.decompress(packed, content.length))).toBe(true);
      expect(content.equals(script.decompress(packed, content.length))).toBe(true);
    }
  });

  it("unpacks frames that do not say how long their content is, up to a bound", () => {
    for (const content of contents()) {
      const packed = withoutSize(native.compress(content));
      for (const zstd of [native, script]) {
        expect(outcome(zstd, packed)).toBe(hashOf(content));
        if (content.length > 0) expect(outcome(zstd, packed, content.length - 1)).toBe("refused");
      }
    }
  });

  it("takes no more memory than the bound for a frame that asks for more", () => {
    const blocks = Array.from({ length: 40_000 }, () => ({ kind: RLE, length: BLOCK_BYTES, bytes: Buffer.of(1) }));
    expect(() => native.decompress(unsized(blocks), MAX)).toThrow(`larger than ${MAX} bytes`);
    const declared = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0]);
    expect(() => native.decompress(declared, MAX)).toThrow(`of ${2 ** 40} bytes is larger than ${MAX}`);
    expect(() => script.decompress(declared, MAX)).toThrow(`of ${2 ** 40} bytes is larger than ${MAX}`);
  });

  it("refuses frames that are cut or none, and takes or refuses damaged headers as WebAssembly does", () => {
    const random = new SeededRandom(29);
    const text = Buffer.from(JSON.stringify(Array.from({ length: 400 }, (_, i) => ({ i, even: i % 2 === 0 }))));
    const raw = unsized([{ kind: RAW, length: text.length, bytes: text }]);
    for (const frame of [Buffer.from(native.compress(text)), withoutSize(native.compress(text)), raw]) {
      expect(outcome(native, frame)).toBe(hashOf(text));
      for (let length = 0; length < frame.length; length += 1 + (length >> 4))
        for (const zstd of [native, script]) expect(outcome(zstd, frame.subarray(0, length))).toBe("refused");
      for (let bit = 0; bit < 8 * HEADERS_BYTES; bit++) {
        const damaged = flipped(frame, bit);
        expect(outcome(native, damaged), `bit ${bit}`).toBe(outcome(script, damaged));
      }
      // Without a checksum of the content libzstd may take damage there for other content, on each processor in its own way.
      for (let i = 0; i < 100; i++) outcome(native, flipped(frame, random.u32() % (8 * frame.length)));
    }
    for (const none of [text, Buffer.alloc(0), Buffer.alloc(64)]) expect(outcome(native, none)).toBe("refused");
    expect(() => native.decompress(text, MAX)).toThrow("no Zstandard frame");
  });

  describe("in the archive of a log", { timeout: 60_000 }, () => {
    let directory: string;
    beforeAll(() => {
      directory = mkdtempSync(join(tmpdir(), "millrace-zstd-"));
    });
    afterAll(() => rmSync(directory, { recursive: true, force: true }));

    it.each([
      ["the addon", "WebAssembly"],
      ["WebAssembly", "the addon"],
    ] as const)("is written by %s, and read and repaired by %s", async (writer, reader) => {
      const used = new Set<string>();
      const kernelsOf = {
        "the addon": watched(nativeBlocks() as NativeBlocks, "the addon", used),
        WebAssembly: watched(blockKernels(crc32c), "WebAssembly", used),
      };
      const at = join(directory, writer);
      const written = await usingLog(at, kernelsOf[writer], filled);
      await usingLog(at, kernelsOf[writer], (log) => log.retention.archive({ ...ARCHIVE_ALL, keep: true }));

      const archived = join(at, "log", "archive", "0000000001.zst");
      const packed = readFileSync(archived);
      writeFileSync(archived, packed.subarray(0, packed.length - 1));
      const places = { disk: systemDisk(), env: systemEnv(), directory: join(at, "log") };
      const checks = { leavesOf, seenEnd: async () => 0 };
      const { repaired, findings } = await repairLog({ ...places, ...checks, kernels: kernelsOf[reader] });
      expect({ repaired, findings }).toEqual({ repaired: [archived], findings: [] });
      expect(readFileSync(archived).equals(packed)).toBe(true);

      await usingLog(at, kernelsOf[writer], (log) => log.retention.archive(ARCHIVE_ALL));
      expect(readdirSync(join(at, "log"))).not.toContain("0000000001.seg");
      expect(used.size).toBe(4);
      used.clear();
      expect(await usingLog(at, kernelsOf[reader], eventsOf)).toEqual(written);
      expect([...used]).toEqual([`${reader} unpacks`]);
    });
  });
});

const SEGMENT_BYTES = 1024 * KIB;
const { leaves: leavesOf } = inlineTreeHasher();
const ARCHIVE_ALL = {
  beforeMs: Number.POSITIVE_INFINITY,
  signedEnd: Number.POSITIVE_INFINITY,
  leavesOf,
  checkLeaves: async () => undefined,
  pause: async () => undefined,
};

/** Kernels that note what is done with their zstd. */
function watched(kernels: BlockKernels, name: string, used: Set<string>): BlockKernels {
  const noted = <T>(does: string, answer: T): T => {
    used.add(`${name} ${does}`);
    return answer;
  };
  return {
    ...kernels,
    async zstd() {
      const zstd = await kernels.zstd();
      return {
        compress: (bytes) => noted("packs", zstd.compress(bytes)),
        decompress: (bytes, bytesMax) => noted("unpacks", zstd.decompress(bytes, bytesMax)),
      };
    },
  };
}

/** With an index that is made again of what the log has, its archive included. */
async function usingLog<T>(at: string, kernels: BlockKernels, use: (log: EmbeddedLog) => Promise<T>): Promise<T> {
  const indexStore = memoryOrderedStore();
  const places = { directory: join(at, "log"), disk: systemDisk(), env: systemEnv(), indexStore };
  const log = await openEmbeddedLog({ ...places, kernels, segmentBytes: SEGMENT_BYTES });
  try {
    await log.indexed();
    return await use(log);
  } finally {
    await log.close();
  }
}

/** Its events, of which the last are in the second segment. */
async function filled(log: EmbeddedLog): Promise<readonly string[]> {
  const random = new SeededRandom(31);
  for (let i = 0; log.health.activeSegment < 2; i++) {
    const payloads = Array.from({ length: 10 }, () =>
      Buffer.concat([random.bytes(random.u32() % 20_000), Buffer.alloc(5000, i)]),
    );
    const events = payloads.map((payload) => sampleEvent({ payload }));
    await log.append(to(`s-${i % 5}`, events));
  }
  return eventsOf(log);
}

async function eventsOf(log: EmbeddedLog): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const events of log.read())
    found.push(...events.map(({ position, payload }) => `${position} ${Buffer.from(payload).toString("base64")}`));
  return found;
}
