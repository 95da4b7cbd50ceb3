/**
 * Gives the memory of a WebAssembly module a maximum, in the module's own bytes: the engine then lets it grow no further.
 * Sections are `id u8, size leb128, …` behind eight bytes of magic and version; section 5 declares memories (core
 * specification, 5.5.8).
 */
const MEMORY_SECTION = 5;
const HEAD_BYTES = 8;
const PAGES_PER_MIB = 16;

/** @throws Error the bytes are no module with one memory, or it begins with more than it may have */
export function limitMemory(module: Uint8Array, memoryMib: number): Uint8Array<ArrayBuffer> {
  const pages = memoryMib * PAGES_PER_MIB;
  for (let at = HEAD_BYTES; at < module.length; ) {
    const id = module[at] as number;
    const size = leb128(module, at + 1);
    const end = size.end + size.value;
    if (id === MEMORY_SECTION) {
      const section = limited(module.subarray(size.end, end), pages, memoryMib);
      const head = [MEMORY_SECTION, ...asLeb128(section.length)];
      return Buffer.concat([module.subarray(0, at), Uint8Array.from([...head, ...section]), module.subarray(end)]);
    }
    at = end;
  }
  throw new Error("it has no memory of its own");
}

/** One memory with `min` and a maximum that is no more than `pages`. */
function limited(section: Uint8Array, pages: number, memoryMib: number): readonly number[] {
  const hasMax = section[1] === 1;
  if (section[0] !== 1 || (!hasMax && section[1] !== 0))
    throw new Error("its memory is of a kind that cannot be limited");
  const min = leb128(section, 2);
  if (min.value > pages)
    throw new Error(`it begins with ${min.value / PAGES_PER_MIB} MiB of memory, ${memoryMib} are allowed`);
  const max = hasMax ? Math.min(leb128(section, min.end).value, pages) : pages;
  return [1, 1, ...asLeb128(min.value), ...asLeb128(max)];
}

function leb128(bytes: Uint8Array, from: number): { readonly value: number; readonly end: number } {
  let value = 0;
  for (let at = from, weight = 1; at < bytes.length && at < from + 5; at++, weight *= 128) {
    const byte = bytes[at] as number;
    value += (byte & 0x7f) * weight;
    if (byte < 0x80) return { value, end: at + 1 };
  }
  throw new Error("it is not WebAssembly");
}

function asLeb128(n: number): readonly number[] {
  const bytes: number[] = [];
  for (let rest = n; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) + 128);
  }
}
