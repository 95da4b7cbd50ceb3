/**
 * A manifest made again from the segments and the archive: which there are, whose they are, and of those that are in the archive only
 * what they hold. What it said of ends and hashes of the others is found by walking them.
 */
import type { Disk, MillraceError } from "@millrace/engine";
import { archivedListing, type LeafChecks } from "./archived-listing.ts";
import { readContents } from "./carried-streams.ts";
import type { Carry } from "./carry.ts";
import { writeCarry } from "./carry-file.ts";
import { crc32c } from "./crc32c.ts";
import { readFile } from "./damage.ts";
import { embeddedLogError } from "./errors.ts";
import { type FormerId, MANIFEST_NAME, type Manifest, newManifest } from "./manifest.ts";
import type { PrunedRecord } from "./pruned-record.ts";
import { segmentPath, serialOf } from "./segment-files.ts";
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES, type SegmentHeader } from "./segment-header.ts";

/** What is made again, and what records of the archive add to what it names as carried (L-R26). */
export interface RebuiltManifest {
  readonly manifest: Manifest;
  readonly carry: Carry | undefined;
}

/**
 * @param checks of leaf hashes; default: their number only
 * @throws LOG-MANIFEST no segment says whose it is, or something is missing of which the manifest alone knew more;
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
  const former = formerOf([...(archived?.headers ?? []), ...headers], last.logId, archived?.pruned);
  const manifest = { ...made, prepared: last.serial, ...(former.length === 0 ? {} : { former }) };
  if (archived === undefined) return { manifest, carry: undefined };
  const { segments, next, carried, carry, pruned } = archived;
  const first = Object.keys(segments).length + 1;
  const kept = { base: next.position, seq0: next.seq, prev0: next.prev };
  return {
    manifest: {
      ...manifest,
      ...(await sayingWhatWasPruned(disk, directory, pruned)),
      first,
      segments,
      ...kept,
      carry: carried,
    },
    carry,
  };
}

/** @throws LOG-MANIFEST what was carried of streams is missing or damaged */
async function sayingWhatWasPruned(
  disk: Disk,
  directory: string,
  pruned: PrunedRecord | undefined,
): Promise<Pick<Manifest, "carriedStreams" | "lastPruned" | "truncated">> {
  const { carriedStreams, lastPruned, truncated } = pruned ?? {};
  if (carriedStreams !== undefined) await readContents({ disk, directory }, carriedStreams);
  return {
    ...(carriedStreams === undefined ? {} : { carriedStreams }),
    ...(lastPruned === undefined ? {} : { lastPruned }),
    ...(truncated === undefined ? {} : { truncated }),
  };
}

/** The manifest with the carry that it names durable. */
export async function withCarry(
  disk: Disk,
  directory: string,
  { manifest, carry }: RebuiltManifest,
): Promise<Manifest> {
  if (carry === undefined || isEmpty(carry)) return manifest;
  return { ...manifest, carry: await writeCarry(disk, directory, manifest.first, manifest.carry, carry) };
}

/** With nothing to add, what is carried already stays as it is. */
function isEmpty({ ends, names }: Carry): boolean {
  return ends.size === 0 && names.length === 0;
}

function formerOf(
  headers: readonly SegmentHeader[],
  logId: string,
  pruned: PrunedRecord | undefined,
): readonly FormerId[] {
  const earlier = pruned === undefined ? [] : [...(pruned.former ?? []), { ...pruned, through: pruned.serial - 1 }];
  const through = new Map(earlier.filter((id) => id.logId !== logId).map((id) => [id.logId, id.through]));
  for (const header of headers) if (header.logId !== logId) through.set(header.logId, header.serial);
  return Array.from(through, ([id, serial]) => ({ logId: id, through: serial }));
}

async function headerOf(disk: Disk, path: string): Promise<SegmentHeader | undefined> {
  const sizeBytes = (await disk.stat(path))?.sizeBytes ?? 0;
  if (sizeBytes < SEGMENT_HEADER_BYTES) return undefined;
  return decodeSegmentHeader(await readFile(disk, path, SEGMENT_HEADER_BYTES), crc32c, path);
}

function refuse(directory: string, why: string): MillraceError {
  return embeddedLogError("LOG-MANIFEST", why, { place: { file: `${directory}/${MANIFEST_NAME}` } });
}
