/** The records inside a scanned block, each checked before anyone sees it: length, checksum, position (rule record-crc). */

import { BLOCK_HEADER_BYTES } from "./block.ts";
import type { BlockKernels } from "./block-kernels.ts";
import type { ScannedBlock } from "./block-scanner.ts";
import { embeddedLogError } from "./errors.ts";
import { alignUp } from "./little-endian.ts";
import { isControlAt, positionAt, RECORD_ALIGN, recordLengthAt } from "./record.ts";

export type RecordVisitor = (at: number, isControl: boolean, position: number) => void;

/**
 * Calls `visit` with the offset in `block.bytes` of every record, control records included.
 *
 * @throws LOG-CORRUPT with file, offset and position; nothing at or after the damage is visited
 */
export function visitRecords(
  block: ScannedBlock,
  path: string,
  kernels: Pick<BlockKernels, "checkRecords">,
  visit: RecordVisitor,
): void {
  const { bytes, view, header } = block;
  const end = block.at + header.bytes;
  let position = header.first;
  let at = block.at + BLOCK_HEADER_BYTES;
  const damaged = kernels.checkRecords(bytes, at, end);
  while (at < end) {
    const length = recordLengthAt(view, at, end);
    if (length === 0 || at === damaged || positionAt(view, at) !== position) {
      throw recordCorrupt(path, block.offset + at - block.at, position);
    }
    const isControl = isControlAt(view, at);
    visit(at, isControl, position);
    if (!isControl) position++;
    at = alignUp(at + length, RECORD_ALIGN);
  }
  if (position !== header.first + header.count) throw recordCorrupt(path, block.offset, position);
}

export function recordCorrupt(file: string, offset: number, position: number): Error {
  return embeddedLogError("LOG-CORRUPT", `the record at position ${position} does not have its checksum`, {
    place: { file, position },
    details: { offset },
  });
}
