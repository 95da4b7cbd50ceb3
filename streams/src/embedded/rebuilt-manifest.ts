/**
 * A manifest made again from the segments and the archive: which there are, whose they are, and of those that are in the archive only
 * what they hold. What it said of ends and hashes of the others is found by walking them.
 */
import type { Disk, MillraceError } from "@millrace/engine";
import { archivedListing, type LeafChecks } from "./archived-listing.ts";
import { type Carry, writeCarry } from "./carry.ts";
import { crc32c } from "./crc32c.ts";
import { readFile } from "./damage.ts";
import { embeddedLogError } from "./errors.ts";
import { type FormerId, MANIFEST_NAME, type Manifest, newManifest } from "./manifest.ts";
import { segmentPath, serialOf } from "./segment-files.ts";
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES, type SegmentHeader } from "./segment-header.ts";

/** What is made again, and what of the archive has to be carried beside it (L-R26). */
export interface RebuiltManifest {
  readonly manifest: Manifest;
  readonly carry: Carry | undefined;
}

/**
 * @param checks of leaf hashes; default: their number only
 * @throws LOG-MANIFEST no segment says whose it is, or something was pruned or is missing, of which the manifest alone knew more;
 * LOG-ARCHIVE, LOG-FORK
 */
export async function rebuiltManifest(disk: Disk, directory: string, checks?: LeafChecks): Promise<RebuiltManifest> {
  const names = await disk.list(directory);
  const headers: SegmentHeader[] = [];
  for (const serial of names.flatMap((name) => serialOf(name) ?? []).sort((a, b) => a - b)) {
    const header = await headerOf(disk, segmentPath(directory, serial));
    if (header?.serial === serial) headers.push(header);
  }
  const last = headers.at(-1);
  if (last === undefined) throw refuse(directory, "the manifest is lost, and no segment says of which log it is");
  const here = new Set(headers.map(({ serial }) => serial));
  const archived = await archivedListing({ disk, directory, here, checks });
  const made = newManifest(last.logId, last.sizeBytes);
  const former = formerOf([...(archived?.headers ?? []), ...headers], last.logId);
  const manifest = { ...made, prepared: last.serial, ...(former.length === 0 ? {} : { former }) };
  if (archived === undefined) return { manifest, carry: undefined };
  const { segments, next, carry } = archived;
  const first = Object.keys(segments).length + 1;
  return { manifest: { ...manifest, first, segments, base: next.position, seq0: next.seq, prev0: next.prev }, carry };
}

/** The manifest with the carry that it names durable. */
export async function withCarry(
  disk: Disk,
  directory: string,
  { manifest, carry }: RebuiltManifest,
): Promise<Manifest> {
  if (carry === undefined) return manifest;
  return { ...manifest, carry: await writeCarry(disk, directory, manifest.first, carry, null) };
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
