/** A manifest made again from the segments: which there are and whose they are. What it said of ends and hashes is not known any more. */
import type { Disk, MillraceError } from "@millrace/engine";
import { crc32c } from "./crc32c.ts";
import { readFile } from "./damage.ts";
import { embeddedLogError } from "./errors.ts";
import { type FormerId, MANIFEST_NAME, type Manifest, newManifest } from "./manifest.ts";
import { segmentPath, serialOf } from "./segment-files.ts";
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES, type SegmentHeader } from "./segment-header.ts";

/**
 * @throws LOG-MANIFEST no segment says whose it is, or something was archived or pruned: where the log begins then stood in the
 * manifest only
 */
export async function rebuiltManifest(disk: Disk, directory: string): Promise<Manifest> {
  const names = await disk.list(directory);
  if (names.some((name) => name.startsWith("archive") || name.startsWith("carry-")))
    throw refuse(
      directory,
      "the manifest is lost, and with it what was archived or pruned; it has to come from a copy",
    );
  const headers: SegmentHeader[] = [];
  for (const serial of names.flatMap((name) => serialOf(name) ?? []).sort((a, b) => a - b)) {
    const header = await headerOf(disk, segmentPath(directory, serial));
    if (header?.serial === serial) headers.push(header);
  }
  const last = headers.at(-1);
  if (last === undefined) throw refuse(directory, "the manifest is lost, and no segment says of which log it is");
  const made = newManifest(last.logId, last.sizeBytes);
  const former = formerOf(headers, last.logId);
  return { ...made, prepared: last.serial, ...(former.length === 0 ? {} : { former }) };
}

function formerOf(headers: readonly SegmentHeader[], logId: string): readonly FormerId[] {
  const through = new Map<string, number>();
  for (const header of headers) if (header.logId !== logId) through.set(header.logId, header.serial);
  return Array.from(through, ([id, serial]) => ({ logId: id, through: serial }));
}

async function headerOf(disk: Disk, path: string): Promise<SegmentHeader | undefined> {
  const sizeBytes = (await disk.stat(path))?.sizeBytes ?? 0;
  if (sizeBytes < SEGMENT_HEADER_BYTES) return undefined;
  return decodeSegmentHeader(await readFile(disk, path, SEGMENT_HEADER_BYTES), crc32c);
}

function refuse(directory: string, why: string): MillraceError {
  return embeddedLogError("LOG-MANIFEST", why, { place: { file: `${directory}/${MANIFEST_NAME}` } });
}
