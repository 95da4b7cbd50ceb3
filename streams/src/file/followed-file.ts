/**
 * Positions in a file that may be rotated: the number of the file, counted from the one that was there first, and the offset
 * in it. Which number the file of a cursor has is not written anywhere: it is the same file if a line ends where the cursor
 * says that one was read to. A file that was replaced passes that test by chance once per line length.
 */
import type { ReadableFile } from "./readable-file.ts";

/** Bytes per file: 256 GiB, which leaves room for 32 768 files. */
const FILE_BYTES = 2 ** 38;

export interface FilePosition {
  readonly file: number;
  readonly offset: number;
}

export function positionOf({ file, offset }: FilePosition): number {
  return file * FILE_BYTES + offset;
}

export function filePositionOf(position: number): FilePosition {
  if (position < 0) return { file: 0, offset: -1 };
  return { file: Math.floor(position / FILE_BYTES), offset: position % FILE_BYTES };
}

/** Where to go on in the file that is there now, having read up to `after`. */
export async function resumeAt(handle: ReadableFile, after: FilePosition): Promise<FilePosition> {
  if (after.offset < 0) return { file: after.file, offset: 0 };
  const byte = Buffer.alloc(1);
  const { bytesRead } = await handle.read(byte, 0, 1, after.offset);
  const isSame = bytesRead === 1 && byte[0] === 0x0a;
  return isSame ? { file: after.file, offset: after.offset + 1 } : { file: after.file + 1, offset: 0 };
}
