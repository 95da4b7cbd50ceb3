import { systemEnv } from "@millrace/engine";
import compression, { type Codec } from "kafkajs/src/protocol/message/compression/index.js";
import { afterEach, expect, it } from "vitest";
import { loadZstd } from "../compression/zstd.ts";
import { compressionType, installCodecs } from "./compression.ts";
import { kafkajsDriver } from "./kafkajs-driver.ts";

const BATCH_BYTES_MAX = 256 * 1024 * 1024;
const codec = (): Codec => compression.Codecs[compressionType("zstd")]?.() as Codec;
afterEach(() => installCodecs());

it("packs batches by WebAssembly unless a driver is given another zstd", async () => {
  kafkajsDriver({ tls: false }, systemEnv());
  const packed = await codec().compress({ buffer: Buffer.from("batch") });
  expect(packed).toEqual(Buffer.from((await loadZstd()).compress(Buffer.from("batch"))));
  expect(await codec().decompress(packed)).toEqual(Buffer.from("batch"));
});

it("packs and unpacks batches by the zstd that the driver is given, up to a bound", async () => {
  const bounds: number[] = [];
  const backwards = (bytes: Uint8Array): Uint8Array => Uint8Array.from(bytes).reverse();
  const decompress = (bytes: Uint8Array, bytesMax: number): Uint8Array => {
    bounds.push(bytesMax);
    return backwards(bytes);
  };
  kafkajsDriver({ tls: false }, systemEnv(), { compress: backwards, decompress });
  expect(await codec().compress({ buffer: Buffer.from("batch") })).toEqual(Buffer.from("hctab"));
  expect(await codec().decompress(Buffer.from("hctab"))).toEqual(Buffer.from("batch"));
  expect(bounds).toEqual([BATCH_BYTES_MAX]);
});
