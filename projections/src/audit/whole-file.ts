/** Files that are read and replaced as a whole, over the disk port. */
import { type Disk, type DiskFile, errnoOf, invariant } from "@millrace/engine";

/** `undefined` when there is no such file. */
export async function readWhole(disk: Disk, path: string): Promise<Buffer | undefined> {
  const file = await openIfThere(disk, path, "read");
  if (file === undefined) return undefined;
  try {
    const bytes = Buffer.alloc(await file.size());
    const count = await file.read(bytes, 0);
    return bytes.subarray(0, count);
  } finally {
    await file.close();
  }
}

/** A file may go between any two calls. */
export async function openIfThere(disk: Disk, path: string, mode: "read" | "write"): Promise<DiskFile | undefined> {
  try {
    return await disk.open(path, { mode });
  } catch (thrown) {
    if (errnoOf(thrown) === "ENOENT") return undefined;
    throw thrown;
  }
}

/** Writes a file whose name becomes durable with a sync of its directory; its bytes are durable when this resolves. */
export async function writeDurably(disk: Disk, path: string, bytes: Uint8Array): Promise<void> {
  const file: DiskFile = await disk.open(path, { mode: "create" });
  try {
    await writeWhole(file, bytes, 0);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** A disk that becomes full in the middle takes a part, and fails with the next. */
export async function writeWhole(file: DiskFile, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const count = await file.write(bytes.subarray(at), position + at);
    invariant(count > 0, "a write takes something or fails");
    at += count;
  }
}

/** Puts `bytes` in the place of the file: after a crash there is the old one or the new one. Durable when this resolves. */
export async function replaceWhole(disk: Disk, directory: string, name: string, bytes: Uint8Array): Promise<void> {
  const path = `${directory}/${name}`;
  await writeDurably(disk, `${path}.tmp`, bytes);
  await disk.rename(`${path}.tmp`, path);
  await disk.syncDirectory(directory);
}
