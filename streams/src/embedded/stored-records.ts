/** Records byte by byte as they are stored, control records included: what proofs are made of. */
import { STORED_PLACE_WORDS, type StoredBatch } from "@millrace/engine";
import type { BlockKernels } from "./block-kernels.ts";
import { visitRecords } from "./block-records.ts";
import type { ScannedBlock } from "./block-scanner.ts";
import { RECORD_HEADER_BYTES } from "./record.ts";
import type { SegmentSource } from "./segment-readers.ts";

interface StoredParts {
  readonly kernels: Pick<BlockKernels, "checkRecords">;
  readonly files: Pick<SegmentSource, "pathOf">;
}

/** Records of `[from, to)` in the blocks given; a batch for each piece that the scanner reads. */
export async function* storedBatches(
  scanned: AsyncIterable<readonly ScannedBlock[]>,
  { kernels, files }: StoredParts,
  from: number,
  to: number,
): AsyncGenerator<StoredBatch> {
  const places = new Places();
  for await (const blocks of scanned) {
    let end = from;
    let chain = 0;
    places.clear();
    for (const block of blocks) {
      const { view } = block;
      visitRecords(block, files.pathOf(block.serial), kernels, (at, isControl, position) => {
        if (position >= from && position < to) places.add(position, at, at + view.getUint32(at, true), isControl);
      });
      end = Math.min(to, block.header.first + block.header.count);
      chain = block.header.headCrc;
    }
    // The blocks of a piece lie in one buffer.
    const bytes = blocks[0]?.bytes;
    if (bytes !== undefined && places.length > 0)
      yield { first: places.first, bytes, places: places.taken(), end, chain };
  }
}

const FIRST_RECORDS = 1024;

/** Places being gathered. */
class Places {
  #words: Uint32Array = new Uint32Array(FIRST_RECORDS * STORED_PLACE_WORDS);
  first = 0;
  length = 0;

  clear(): void {
    this.length = 0;
  }

  add(position: number, at: number, end: number, isControl: boolean): void {
    if (this.length === 0) this.first = position;
    if (this.length === this.#words.length) this.#grow();
    const words = this.#words;
    const word = this.length;
    words[word] = at;
    words[word + 1] = at + RECORD_HEADER_BYTES;
    words[word + 2] = end;
    words[word + 3] = isControl ? 1 : 0;
    this.length = word + STORED_PLACE_WORDS;
  }

  /** Until they are cleared. */
  taken(): Uint32Array {
    return this.#words.subarray(0, this.length);
  }

  #grow(): void {
    const words = new Uint32Array(this.#words.length * 2);
    words.set(this.#words);
    this.#words = words;
  }
}
