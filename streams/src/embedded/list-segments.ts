/** The segments of a log directory, for somebody else than its writer: nothing is locked, recovered or written. */
import type { Disk } from "@millrace/engine";
import { viewOf } from "./little-endian.ts";
import { infoOf, type SegmentInfo } from "./log-retention.ts";
import { readLogManifest, storedLogOf } from "./open-stored-log.ts";
import { timeMsAt } from "./record.ts";

export interface ListedSegments {
  readonly logId: string;
  /** First position that can be read. */
  readonly base: number;
  /** Oldest first; the last is the active one. */
  readonly segments: readonly SegmentInfo[];
}

/** @throws LOG-MANIFEST there is no log in the directory, or its manifest is damaged */
export async function listSegments(disk: Disk, directory: string): Promise<ListedSegments> {
  const manifest = await readLogManifest(disk, directory);
  const log = storedLogOf(disk, directory, manifest);
  try {
    const segments: SegmentInfo[] = [];
    const serials = Object.keys(manifest.segments).map(Number);
    for (const serial of serials.sort((a, b) => a - b)) {
      const sealed = manifest.segments[String(serial)];
      if (sealed === undefined) continue;
      const info = infoOf(serial, sealed, manifest.segmentBytes);
      segments.push(info.state === "sealed" ? { ...info, firstMs: await timeAt(log, info.firstPosition) } : info);
    }
    const last = segments.at(-1);
    segments.push({
      serial: (last?.serial ?? 0) + 1,
      state: "active",
      firstPosition: last?.endPosition ?? 0,
      endPosition: null,
      firstMs: null,
      lastMs: null,
      bytes: manifest.segmentBytes,
    });
    return { logId: manifest.logId, base: log.base, segments };
  } finally {
    await log.close();
  }
}

async function timeAt(log: ReturnType<typeof storedLogOf>, position: number): Promise<number | null> {
  try {
    for await (const { bytes, places } of log.readStored(position, position + 1))
      return timeMsAt(viewOf(bytes), places[0] as number);
  } catch {
    // A damaged segment is listed all the same; a scrub says what is wrong with it.
  }
  return null;
}
