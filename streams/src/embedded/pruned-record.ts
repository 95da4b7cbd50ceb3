/**
 * What the manifest says of pruned segments, a second time, in a file beside it that is durable before the manifest forgets the
 * records (L-R29): their place in the chain stands nowhere else once they are gone, and a manifest can be lost.
 */
import type { Disk } from "@millrace/engine";
import { decodeCheckedJson, encodeCheckedJson } from "./checked-json.ts";
import { crc32c } from "./crc32c.ts";
import { keptFrom } from "./kept-range.ts";
import type { Manifest } from "./manifest.ts";
import { readWhole } from "./pruned-leaves.ts";
import { unlinkIfThere, writeFully } from "./segment-files.ts";

const FORMAT = 1;
const NAME = /^pruned-(\d{10})\.json$/;

export interface PrunedRecord
  extends Pick<Manifest, "logId" | "segments" | "carriedStreams" | "lastPruned" | "former" | "truncated"> {
  readonly format: number;
  /** Of the first segment that is kept. */
  readonly serial: number;
}

export function prunedRecordPath(directory: string, serial: number): string {
  return `${directory}/pruned-${String(serial).padStart(10, "0")}.json`;
}

/** What is to stand beside a manifest; `undefined` when nothing was pruned. */
export function prunedRecordOf(manifest: Manifest): PrunedRecord | undefined {
  const { serial } = keptFrom(manifest);
  const segments = Object.fromEntries(Object.entries(manifest.segments).filter(([, { state }]) => state === "pruned"));
  if (Object.keys(segments).length === 0) return undefined;
  const { logId, carriedStreams, lastPruned, former, truncated } = manifest;
  return {
    format: FORMAT,
    logId,
    serial,
    segments,
    ...(carriedStreams === undefined ? {} : { carriedStreams }),
    ...(lastPruned === undefined ? {} : { lastPruned }),
    ...(former === undefined ? {} : { former }),
    ...(truncated === undefined ? {} : { truncated }),
  };
}

/** Makes it durable; resolves with the file. */
export async function writePrunedRecord(disk: Disk, directory: string, record: PrunedRecord): Promise<string> {
  const path = prunedRecordPath(directory, record.serial);
  const temporary = `${path}.tmp`;
  const file = await disk.open(temporary, { mode: "create" });
  try {
    await writeFully(file, encodeCheckedJson(record, crc32c), 0, temporary);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, path);
  await disk.syncDirectory(directory);
  return path;
}

/** Those that are whole, of the fewest pruned segments first: a crash may have left two. */
export async function prunedRecords(disk: Disk, directory: string): Promise<readonly PrunedRecord[]> {
  const records: PrunedRecord[] = [];
  for (const name of (await disk.list(directory)).filter((one) => NAME.test(one)).sort()) {
    // The checksum holds, so this is what `writePrunedRecord` wrote.
    const record = decodeCheckedJson(await readWhole(disk, `${directory}/${name}`), crc32c) as PrunedRecord | undefined;
    if (record?.format === FORMAT) records.push(record);
  }
  return records;
}

/** Removes those that are not of this manifest. */
export async function sweepPrunedRecords(disk: Disk, directory: string, manifest: Manifest): Promise<void> {
  const { serial } = keptFrom(manifest);
  for (const name of await disk.list(directory)) {
    const found = NAME.exec(name)?.[1];
    if (found !== undefined && Number(found) !== serial) await unlinkIfThere(disk, `${directory}/${name}`);
  }
}
