/** What the log keeps, and for how long. */
import { stat } from "node:fs/promises";
import { durationMs, messageOf, systemEnv } from "@millrace/engine";
import { openSignedLeaves } from "@millrace/projections";
import { listSegments, type SegmentInfo, systemDisk } from "@millrace/streams/embedded";
import { opsError } from "../../errors.ts";
import { dataDirectory } from "../../host/data-directory.ts";
import { type OpenedData, openStoppedData } from "../../host/open-data.ts";
import { exitOnFatal } from "../../host/open-host.ts";
import { timeText, writeJson, writeLine, writeTable } from "../output.ts";

export interface LogOptions {
  readonly data: string;
  readonly json?: boolean;
}

export interface ArchiveCommandOptions extends LogOptions {
  readonly olderThan: string;
  readonly parquet: boolean;
}

/** Reads files only, also beside a running server. */
export async function listLog({ data, json = false }: LogOptions): Promise<void> {
  const { log, root } = dataDirectory(data);
  if ((await stat(log).catch(() => undefined)) === undefined)
    throw opsError("HOST-EMPTY", `${root} holds no Millrace data`);
  const listed = await listSegments(systemDisk(), log);
  if (json) return writeJson(listed);
  writeSegments(listed.segments);
  writeLine(`readable from position ${listed.base.toLocaleString("en-US")} on`);
}

export async function archiveLog(options: ArchiveCommandOptions): Promise<void> {
  const { olderThan, parquet, json = false } = options;
  const ageMs = ageOf(olderThan);
  const { EventTwin } = await import("../../retention/event-twin.ts");
  await withLog(options.data, async ({ log, directory }) => {
    const leaves = await openSignedLeaves(systemDisk(), directory.audit, log.id);
    const done = await log.retention.archive({
      beforeMs: Date.now() - ageMs,
      signedEnd: leaves.end,
      leavesOf: (records) => leaves.leavesOf(records),
      checkLeaves: (first, bytes) => leaves.check(first, bytes),
      ...(parquet ? { twin: () => new EventTwin() } : {}),
      pause: async () => undefined,
    });
    if (json) return writeJson({ archived: done.segments, waitsFor: done.waitsFor ?? null, base: log.base });
    if (done.segments.length > 0) writeSegments(done.segments);
    writeLine(`${done.segments.length} segments archived`);
    if (done.waitsFor !== undefined) writeLine(`a further one waits for ${done.waitsFor}`);
  });
}

function writeSegments(segments: readonly SegmentInfo[]): void {
  const time = (ms: number | null): string | null => (ms === null ? null : timeText(ms));
  const rows = segments.map((s) => [
    s.serial,
    s.state,
    s.firstPosition,
    s.endPosition,
    time(s.firstMs),
    time(s.lastMs),
    s.bytes,
  ]);
  writeTable(["segment", "state", "from", "to", "first event", "last event", "bytes"], rows);
}

/** Opens a stopped host's log, with everything in it signed and indexed. */
async function withLog(path: string, use: (data: OpenedData) => Promise<void>): Promise<void> {
  const data = await openStoppedData({ path, env: systemEnv(), onFatal: exitOnFatal });
  try {
    await data.audit.stop();
    await data.log.indexed();
    await use(data);
  } finally {
    await data.close();
  }
}

function ageOf(text: string): number {
  if (text === "0") return 0;
  try {
    return durationMs(text);
  } catch (cause) {
    throw opsError("CLI-USAGE", `--older-than ${text}: ${messageOf(cause)}`, { cause });
  }
}
