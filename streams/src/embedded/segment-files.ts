/** Names of segment files, and whole reads and writes over the disk port. */
import type { Disk, DiskFile } from "@millrace/engine";
import { embeddedLogError } from "./errors.ts";

const SERIAL_DIGITS = 10;
const SEGMENT_NAME = /^(\d{10})\.seg$/;

export function segmentName(serial: number): string {
  return `${String(serial).padStart(SERIAL_DIGITS, "0")}.seg`;
}

export function segmentPath(directory: string, serial: number): string {
  return `${directory}/${segmentName(serial)}`;
}

/** `undefined` for any other file. */
export function serialOf(name: string): number | undefined {
  const match = SEGMENT_NAME.exec(name);
  return match?.[1] === undefined ? undefined : Number(match[1]);
}

/** Reads exactly `into.length` bytes. @throws LOG-MANIFEST when the file is shorter */
export async function readFully(
  file: Pick<DiskFile, "read">,
  into: Uint8Array,
  position: number,
  path: string,
): Promise<void> {
  let done = 0;
  while (done < into.length) {
    const count = await file.read(done === 0 ? into : into.subarray(done), position + done);
    if (count === 0) {
      throw embeddedLogError("LOG-MANIFEST", `the file ends at ${position + done}, before it should`, {
        place: { file: path },
      });
    }
    done += count;
  }
}

/** A short write is a failed write. */
export async function writeFully(file: DiskFile, bytes: Uint8Array, position: number, path: string): Promise<void> {
  const count = await file.write(bytes, position);
  if (count !== bytes.length)
    throw new Error(`${path}: only ${count} of ${bytes.length} bytes were written at ${position}`);
}

export async function unlinkIfThere(disk: Disk, path: string): Promise<void> {
  if ((await disk.stat(path)) !== undefined) await disk.unlink(path);
}
