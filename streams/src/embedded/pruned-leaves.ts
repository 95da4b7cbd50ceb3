/** Leaf hashes of pruned records: truth, not cache, because the records that gave them are gone (L-R27). */
import { createHash } from "node:crypto";
import type { Disk, PrunedLeaves } from "@millrace/engine";
import { archiveDamaged } from "./archive-file.ts";
import { archivePath } from "./archive-names.ts";
import { keptFrom } from "./kept-range.ts";
import type { Manifest } from "./manifest.ts";
import { readFully } from "./segment-files.ts";

/** Those of all positions below the base, in order. @throws LOG-ARCHIVE a file is missing or is not what was written */
export async function* prunedLeaves(disk: Disk, directory: string, manifest: Manifest): AsyncGenerator<PrunedLeaves> {
  const kept = keptFrom(manifest);
  for (let serial = 1; serial < kept.serial; serial++) {
    const segment = manifest.segments[String(serial)];
    const path = archivePath(directory, serial, "leaves");
    const bytes = await readWhole(disk, path);
    if (segment?.archive === undefined || sha256(bytes) !== segment.archive.leavesHash)
      throw archiveDamaged(path, "the leaf hashes are not those that were written");
    yield { first: segment.firstPos, bytes };
  }
}

/** @throws LOG-ARCHIVE it is missing */
export async function readWhole(disk: Disk, path: string): Promise<Buffer> {
  const found = await disk.stat(path);
  if (found === undefined) throw archiveDamaged(path, "the file is missing");
  const bytes = Buffer.alloc(found.sizeBytes);
  const file = await disk.open(path, { mode: "read" });
  try {
    await readFully(file, bytes, 0, path);
  } finally {
    await file.close();
  }
  return bytes;
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
