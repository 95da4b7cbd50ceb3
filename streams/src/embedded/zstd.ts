/** Zstandard, compiled to WebAssembly: it needs no build and no platform package. Loaded when an archive is first touched. */

export interface Zstd {
  compress(bytes: Uint8Array): Uint8Array;
  /** The bytes must have been checked before: a damaged frame header may ask for any amount of memory. */
  decompress(bytes: Uint8Array): Uint8Array;
}

const LEVEL = 3;
let loading: Promise<Zstd> | undefined;

export function loadZstd(): Promise<Zstd> {
  loading ??= load();
  return loading;
}

async function load(): Promise<Zstd> {
  const { init, compress, decompress } = await import("@bokuweb/zstd-wasm");
  await init();
  // The module takes buffers of its own kind only.
  return {
    compress: (bytes) => compress(Buffer.from(bytes), LEVEL),
    decompress: (bytes) => decompress(Buffer.from(bytes)),
  };
}
