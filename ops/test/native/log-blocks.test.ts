/** The addon's blocks against those that the TypeScript log wrote: the same bytes. */
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemEnv } from "@millrace/engine";
import { SeededRandom, sampleEvent, to } from "@millrace/engine/testing";
import { type NativeBlocks, nativeBlocks, openLmdbStore } from "@millrace/native";
import { blockKernels, crc32c, type EmbeddedLogOptions, openEmbeddedLog, systemDisk } from "@millrace/streams/embedded";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const skipped = process.env.MILLRACE_SKIP_RUST;
const PAGE = 4096;

async function opened(directory: string, options: Pick<EmbeddedLogOptions, "kernels" | "segmentBytes">) {
  const indexStore = await openLmdbStore({ dir: join(directory, "index") });
  const places = { directory: join(directory, "log"), disk: systemDisk(), env: systemEnv(), indexStore };
  return { log: await openEmbeddedLog({ ...places, ...options }), indexStore };
}

/** Writes a log of many shapes of records and returns its first segment. */
async function segmentOfManyShapes(): Promise<Buffer> {
  const directory = mkdtempSync(join(tmpdir(), "millrace-log-blocks-"));
  const { log, indexStore } = await opened(directory, {});
  const random = new SeededRandom(7);
  const below = (limit: number): number => random.u32() % limit;
  for (let i = 0; i < 60; i++) {
    const events = Array.from({ length: 1 + below(40) }, () => {
      const payload = random.bytes(below(3) === 0 ? below(20_000) : below(300));
      return sampleEvent({ payload: below(4) === 0 ? payload.fill(0) : payload, type: `T${below(90)}` });
    });
    await log.append(to(`stream-${below(50)}`, events));
  }
  await log.close();
  await indexStore.close();
  const segment = readFileSync(join(directory, "log", "0000000001.seg"));
  rmSync(directory, { recursive: true, force: true });
  return segment;
}

interface WrittenBlock {
  readonly bytes: Buffer;
  readonly used: number;
}

function blocksOf(segment: Buffer): readonly WrittenBlock[] {
  const found: WrittenBlock[] = [];
  for (let at = PAGE; segment.toString("latin1", at, at + 4) === "MRBL"; ) {
    const used = segment.readUInt32LE(at + 36);
    const end = at + Math.ceil(used / PAGE) * PAGE;
    found.push({ bytes: segment.subarray(at, end), used });
    at = end;
  }
  return found;
}

/** Of a thread of this process; `undefined` when it has ended. */
function threadName(id: string): string | undefined {
  try {
    return readFileSync(`/proc/self/task/${id}/comm`, "utf8").trim();
  } catch {
    return undefined;
  }
}

/** The block as it is before anything was computed: no checksums, no header, no padding. */
function unfinished({ bytes, used }: WrittenBlock): Buffer {
  const draft = Buffer.from(bytes).fill(0xee, 0, 64).fill(0xee, used);
  for (let at = 64; at < used; at += Math.ceil(draft.readUInt32LE(at) / 8) * 8) draft.writeUInt32LE(0xeeeeeeee, at + 4);
  return draft;
}

describe.skipIf(skipped)(`log blocks by the addon${skipped ? ` (skipped: ${skipped})` : ""}`, () => {
  let written: readonly WrittenBlock[];
  let native: NativeBlocks;
  beforeAll(async () => {
    written = blocksOf(await segmentOfManyShapes());
    native = nativeBlocks() as NativeBlocks;
  });
  afterAll(() => {
    written = [];
  });

  it("seals blocks to the bytes that TypeScript wrote", () => {
    expect(written.length).toBeGreaterThan(10);
    for (const block of written) {
      const { bytes, used } = block;
      const draft = unfinished(block);
      const headCrc = native.sealBlock(draft, used, PAGE, {
        salt: bytes.subarray(8, 16),
        seq: Number(bytes.readBigUInt64LE(16)),
        first: Number(bytes.readBigUInt64LE(24)),
        count: bytes.readUInt32LE(32),
        prev: bytes.readUInt32LE(44),
        epoch: bytes.readUInt32LE(48),
        kind: bytes.readUInt16LE(56),
      });
      expect(headCrc).toBe(bytes.readUInt32LE(4));
      expect(draft.equals(bytes)).toBe(true);
    }
  });

  it("hashes a segment to the SHA-256 of all its pieces, which may change once they are fed", () => {
    const random = new SeededRandom(13);
    const expected = createHash("sha256");
    const hash = native.segmentHash();
    const piece = Buffer.alloc(200_000);
    for (let i = 0; i < 50; i++) {
      const fed = piece.fill(i, 0, random.u32() % piece.length);
      const part = fed.subarray(0, random.u32() % piece.length);
      expected.update(part);
      hash.update(part);
    }
    piece.fill(0xee);
    expect(Buffer.from(hash.digest())).toEqual(expected.digest());
    expect(Buffer.from(native.segmentHash().digest())).toEqual(createHash("sha256").digest());
  });

  it.skipIf(process.platform !== "linux")("ends the thread of a hash that nobody asks for", async () => {
    const threads = (): string[] => readdirSync("/proc/self/task");
    const before = new Set(threads());
    const own = (): string | undefined => threads().find((id) => !before.has(id) && threadName(id) === "segment-hash");
    const hash = native.segmentHash();
    hash.update(Buffer.alloc(1024 * 1024));
    // A thread gives itself its name.
    await expect.poll(own).toBeDefined();
    hash.discard();
    // A thread is still listed for a moment after it was joined.
    await expect.poll(own).toBeUndefined();
  });

  it("hashes the segments of a log, of one that was opened in their midst too", async () => {
    const directory = mkdtempSync(join(tmpdir(), "millrace-log-hashes-"));
    const random = new SeededRandom(17);
    for (const events of [70, 150]) {
      const { log, indexStore } = await opened(directory, { kernels: native, segmentBytes: 1 << 20 });
      for (let i = 0; i < events; i++) {
        await log.append(to("s", [sampleEvent({ payload: random.bytes(random.u32() % 40_000) })]));
      }
      await log.close();
      await indexStore.close();
    }
    const manifestFile = readFileSync(join(directory, "log", "MANIFEST"), "utf8");
    const manifest: { segments: Record<string, { sha256: string; sealOffset: number }> } = JSON.parse(
      manifestFile.slice(manifestFile.indexOf("{")),
    );
    const sealed = Object.entries(manifest.segments);
    expect(sealed.length).toBeGreaterThanOrEqual(3);
    for (const [serial, { sha256, sealOffset }] of sealed) {
      const bytes = readFileSync(join(directory, "log", `${serial.padStart(10, "0")}.seg`)).subarray(0, sealOffset);
      expect(createHash("sha256").update(bytes).digest("hex")).toBe(sha256);
    }
    rmSync(directory, { recursive: true, force: true });
  });

  it("finds the same first record that does not hold as TypeScript does", () => {
    const script = blockKernels(crc32c);
    const random = new SeededRandom(11);
    let damages = 0;
    for (const { bytes, used } of written) {
      expect(native.checkRecords(bytes, 64, used)).toBe(-1);
      for (let i = 0; i < 20; i++) {
        const damaged = Buffer.from(bytes);
        const at = 64 + (random.u32() % (used - 64));
        damaged[at] = (damaged[at] as number) ^ (1 << (random.u32() % 8));
        const found = native.checkRecords(damaged, 64, used);
        expect(found).toBe(script.checkRecords(damaged, 64, used));
        if (found >= 0) damages++;
      }
    }
    expect(damages).toBeGreaterThan(100);
  });
});
