/** Zstandard frames by the addon (native/crates/zstd), to the bytes that the WebAssembly of `streams/src/compression/zstd.ts` writes. */
import { loadAddon } from "../addon.ts";

/** See `Zstd` of streams, whose shape this has. */
export interface NativeZstd {
  compress(bytes: Uint8Array): Uint8Array;
  /** @throws Error it is no whole frame, or has more than `bytesMax` bytes */
  decompress(bytes: Uint8Array, bytesMax: number): Uint8Array;
}

/** One for all of a thread: it keeps what it works in, and nothing else. */
let made: NativeZstd | undefined;

/** `undefined` without the addon. */
export function nativeZstd(): NativeZstd | undefined {
  const addon = loadAddon();
  if (addon !== undefined) made ??= new addon.Zstd();
  return made;
}
