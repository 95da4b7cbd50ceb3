/** Records byte by byte as they are stored, control records included: what proofs are made of. */
import type { StoredBatch, StoredRecord } from "@millrace/engine";
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
  for await (const blocks of scanned) {
    const records: StoredRecord[] = [];
    let end = from;
    let chain = 0;
    for (const block of blocks) {
      visitRecords(block, files.pathOf(block.serial), kernels, (at, isControl, position) => {
        if (position >= from && position < to) records.push(storedAt(block, at, isControl, position));
      });
      end = Math.min(to, block.header.first + block.header.count);
      chain = block.header.headCrc;
    }
    if (records.length > 0) yield { records, end, chain };
  }
}

function storedAt({ bytes, view }: ScannedBlock, at: number, isControl: boolean, position: number): StoredRecord {
  const payloadAt = at + RECORD_HEADER_BYTES;
  return {
    position,
    isControl,
    header: bytes.subarray(at, payloadAt),
    payload: bytes.subarray(payloadAt, at + view.getUint32(at, true)),
  };
}
