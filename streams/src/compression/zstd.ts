/**
 * Zstandard, compiled to WebAssembly: it needs no build and no platform package. Loaded when it is first needed. The addon does the
 * same, to the same bytes, where it is (native/crates/zstd).
 */

export interface Zstd {
  /** One frame, which says how long its content is. */
  compress(bytes: Uint8Array): Uint8Array;
  /**
   * Of a frame that may not say how long its content is, as those of Java's streams do not. What is damaged may be taken for other
   * content: frames need not have a checksum of it.
   *
   * @throws Error it is no whole frame, or has more than `bytesMax` bytes
   */
  decompress(bytes: Uint8Array, bytesMax: number): Uint8Array;
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
    decompress(bytes, bytesMax) {
      if (magicOf(bytes) !== MAGIC) throw new Error("this is no Zstandard frame");
      const declared = contentSize(bytes);
      if (declared !== undefined && declared > bytesMax)
        throw new Error(`a Zstandard frame of ${declared} bytes is larger than ${bytesMax}`);
      if (declared !== undefined) return decompress(Buffer.from(bytes));
      for (let size = Math.max(FIRST_BYTES, 4 * bytes.length); ; size *= 4) {
        try {
          return decompress(Buffer.from(bytes), { defaultHeapSize: Math.min(size, bytesMax) });
        } catch (error) {
          // It was too little, or the frame is damaged; which of them is not told.
          if (size >= bytesMax) throw error;
        }
      }
    },
  };
}

const FIRST_BYTES = 1024 * 1024;
const MAGIC = 0xfd2fb528;
/** Sizes of the field that says the size of the content, by its flag (RFC 8878, section 3.1.1.1). */
const FIELD_BYTES = [0, 2, 4, 8];
const WINDOW_BYTES = [0, 1, 2, 4];
const MAGIC_BYTES = 4;
const magicOf = (bytes: Uint8Array): number | undefined =>
  bytes.length < MAGIC_BYTES ? undefined : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);

/** What a frame says that its content takes; `undefined`: nothing. */
function contentSize(bytes: Uint8Array): number | undefined {
  const descriptor = bytes[MAGIC_BYTES] ?? 0;
  const isSingle = (descriptor & 0x20) !== 0;
  const flag = descriptor >> 6;
  const length = flag === 0 && isSingle ? 1 : (FIELD_BYTES[flag] ?? 0);
  if (length === 0) return undefined;
  const at = MAGIC_BYTES + 1 + (isSingle ? 0 : 1) + (WINDOW_BYTES[descriptor & 3] ?? 0);
  let size = length === 2 ? 256 : 0;
  for (let i = 0, scale = 1; i < length; i++, scale *= 256) size += (bytes[at + i] ?? 0) * scale;
  return size;
}
