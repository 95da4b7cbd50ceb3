/** A data directory whose log has segments of 64 KiB, so that a few hundred events seal several. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { systemEnv } from "@millrace/engine";
import { openEmbeddedLog, systemDisk } from "@millrace/streams/embedded";
import { memoryOrderedStore } from "@millrace/streams/memory";
import { addEvents } from "../audit/audited-data.ts";

const SEGMENT_BYTES = 64 * 1024;

/** Makes it, with `count` events that are signed. */
export async function makeSmallLog(path: string, count: number): Promise<void> {
  const directory = join(path, "log");
  mkdirSync(directory, { recursive: true });
  const log = await openEmbeddedLog({
    directory,
    disk: systemDisk(),
    env: systemEnv(),
    indexStore: memoryOrderedStore(),
    segmentBytes: SEGMENT_BYTES,
  });
  await log.close();
  await addEvents(path, count);
}
