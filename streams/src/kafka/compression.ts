/**
 * The codecs of record batches that kafkajs does not bring: snappy, lz4 and zstd, by prebuilt libraries and WebAssembly, and loaded
 * when a batch first needs one. kafkajs has one table of them for all its clients.
 */
import compression, { type Codec } from "kafkajs/src/protocol/message/compression/index.js";
import { loadZstd, type Zstd } from "../compression/zstd.ts";

export type Compression = "gzip" | "snappy" | "lz4" | "zstd";

/** What a batch may unpack to; brokers take a few megabytes of them at most. */
const UNPACKED_BYTES_MAX = 256 * 1024 * 1024;
/** What Java's stream puts before its blocks: a name, a version, and the oldest version that can read it. */
const XERIAL = Buffer.from([0x82, ...Buffer.from("SNAPPY"), 0, 0, 0, 0, 1, 0, 0, 0, 1]);
const XERIAL_MAGIC_BYTES = 8;
const BLOCK_BYTES = 32 * 1024;

const TYPES: Readonly<Record<Compression, number>> = { gzip: 1, snappy: 2, lz4: 3, zstd: 4 };

/** The number that a batch names its codec by. */
export function compressionType(codec: Compression | undefined): number {
  return codec === undefined ? 0 : TYPES[codec];
}

/** Makes kafkajs know the codecs. `zstd`: one that does the same faster; that of the last caller serves all clients. */
export function installCodecs(zstd?: Zstd): void {
  const packing = zstdCodec(zstd);
  compression.Codecs[TYPES.snappy] = () => SNAPPY;
  compression.Codecs[TYPES.lz4] = () => LZ4;
  compression.Codecs[TYPES.zstd] = () => packing;
}

const SNAPPY: Codec = {
  async compress({ buffer }) {
    const { compressSync } = await import("snappy");
    const parts: Buffer[] = [XERIAL];
    for (let at = 0; at < buffer.length; at += BLOCK_BYTES) {
      const block = compressSync(buffer.subarray(at, at + BLOCK_BYTES));
      parts.push(sized(block.length), block);
    }
    return Buffer.concat(parts);
  },
  async decompress(buffer) {
    const { uncompressSync } = await import("snappy");
    const unpacked = (block: Buffer): Buffer => {
      refuseLarger(snappyLength(block));
      return uncompressSync(block, { asBuffer: true }) as Buffer;
    };
    // Clients in C write one block, without a stream around it.
    if (!buffer.subarray(0, XERIAL_MAGIC_BYTES).equals(XERIAL.subarray(0, XERIAL_MAGIC_BYTES))) return unpacked(buffer);
    const parts: Buffer[] = [];
    for (let at = XERIAL.length; at < buffer.length; ) {
      const length = buffer.readUInt32BE(at);
      parts.push(unpacked(buffer.subarray(at + 4, at + 4 + length)));
      at += 4 + length;
    }
    return Buffer.concat(parts);
  },
};

function sized(length: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(length);
  return bytes;
}

/** A block begins with the length that it unpacks to, as a varint. */
function snappyLength(block: Buffer): number {
  let length = 0;
  for (let at = 0, scale = 1; at < 5; at++, scale *= 128) {
    const byte = block[at] ?? 0;
    length += (byte & 0x7f) * scale;
    if (byte < 0x80) break;
  }
  return length;
}

function refuseLarger(bytes: number): void {
  if (bytes > UNPACKED_BYTES_MAX) throw new Error(`a batch unpacks to ${bytes} bytes`);
}

const LZ4: Codec = {
  compress: async ({ buffer }) => (await import("lz4-napi")).compressFrame(buffer),
  decompress: async (buffer) => (await import("lz4-napi")).decompressFrame(buffer),
};

function zstdCodec(zstd: Zstd | undefined): Codec {
  const loaded = async (): Promise<Zstd> => zstd ?? (await loadZstd());
  return {
    compress: async ({ buffer }) => asBuffer((await loaded()).compress(buffer)),
    decompress: async (buffer) => asBuffer((await loaded()).decompress(buffer, UNPACKED_BYTES_MAX)),
  };
}

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
