/** What the log keeps, and for how long. */
import { stat } from "node:fs/promises";
import { durationMs, messageOf, msOfIsoText, reportOf, systemEnv } from "@millrace/engine";
import { nativeBlocks } from "@millrace/native";
import { inlineTreeHasher } from "@millrace/projections";
import {
  type BlockKernels,
  listSegments,
  type RetentionNeed,
  repairLog,
  type ScrubFinding,
  type SegmentInfo,
  scrubLog,
  systemDisk,
} from "@millrace/streams/embedded";
import { opsError } from "../../errors.ts";
import { type DataDirectory, dataDirectory } from "../../host/data-directory.ts";
import { requireOwnLog } from "../../host/log-place.ts";
import { archiveMaking } from "../../retention/archive-making.ts";
import type { HeldEvents, LegalHold } from "../../retention/legal-holds.ts";
import { type AcceptedLogLoss, acceptLogLoss, logLoss, seenEndOf } from "../../retention/log-loss.ts";
import { EXIT } from "../failure.ts";
import { lossText } from "../loss-text.ts";
import { counted, grouped, timeText, writeJson, writeLine, writeTable } from "../output.ts";
import { inert } from "../terminal-text.ts";
import { asked, withCare } from "../with-care.ts";

const MIB = 1024 * 1024;

export interface LogOptions {
  readonly data: string;
  readonly json?: boolean;
}

export interface ArchiveCommandOptions extends LogOptions {
  readonly olderThan: string;
  readonly parquet: boolean;
  readonly keep?: boolean;
}

/** Reads files only, also beside a running server. */
export async function listLog({ data, json = false }: LogOptions): Promise<void> {
  const { log } = await logDirectory(data);
  const listed = await listSegments(systemDisk(), log);
  if (json) return writeJson(listed);
  writeSegments(listed.segments);
  writeLine(`readable from position ${grouped(listed.base)} on`);
}

export async function archiveLog(options: ArchiveCommandOptions): Promise<void> {
  const { olderThan, parquet, keep = false, json = false } = options;
  const ageMs = ageOf(olderThan);
  await withCare(options.data, async (care) => {
    const { segments, waitsFor, base } = await care.archive({ beforeMs: Date.now() - ageMs, parquet, keep });
    if (json) return writeJson({ archived: segments, waitsFor: waitsFor ?? null, base });
    if (segments.length > 0) writeSegments(segments);
    writeLine(`${counted(segments.length, "segment")} archived`);
    if (waitsFor !== undefined) writeLine(`a further one waits for ${waitsFor}`);
  });
}

export interface ScrubCommandOptions extends LogOptions {
  /** MiB a second. */
  readonly rate: number;
}

/** Reads files only, also beside a running server. */
export async function scrub({ data, rate, json = false }: ScrubCommandOptions): Promise<void> {
  const { log, audit } = await logDirectory(data);
  const pace = new Pace(rate * MIB);
  const report = await scrubLog({
    disk: systemDisk(),
    directory: log,
    seenEnd: seenEndOf(audit),
    pause: (bytes) => pace.spend(bytes),
    ...kernels(),
  });
  if (json) writeJson({ ok: report.findings.length === 0, ...report });
  else writeFindings(report.findings, `${counted(report.segments, "segment")}, ${grouped(report.bytes)} bytes read`);
  if (report.findings.length > 0) process.exitCode = EXIT.findings;
}

export interface RepairCommandOptions extends LogOptions {
  readonly acceptLoss?: boolean;
  readonly reason: string;
}

/** Puts back what can be made again exactly as it was, and says what is lost beyond; cuts only when that is accepted. */
export async function repair({ data, reason, acceptLoss = false, json = false }: RepairCommandOptions): Promise<void> {
  const directory = await logDirectory(data);
  const { repaired, findings } = await mend(directory);
  if (!json)
    for (const file of repaired)
      writeLine(
        `${file} is ${file.endsWith("/MANIFEST") ? "made again from what it described" : "again what was written"}`,
      );
  const loss = await logLoss(directory);
  if (!json && loss !== undefined) writeLine(lossText(loss));
  const accepted = acceptLoss && loss !== undefined ? await acceptLogLoss(directory, asked(reason)) : undefined;
  const left = accepted === undefined ? findings : (await mend(directory)).findings;
  const ok = left.length === 0 && (loss === undefined || accepted !== undefined);
  if (json) writeJson({ ok, repaired, findings: left, loss: loss ?? null, accepted: accepted ?? null });
  else {
    if (accepted !== undefined) writeAccepted(accepted);
    writeFindings(left, `${counted(repaired.length, "file")} repaired`, ok);
    if (loss !== undefined && accepted === undefined)
      writeLine("put the files back from a copy, or accept this loss with --accept-loss");
  }
  if (!ok) process.exitCode = EXIT.findings;
}

/** A log whose manifest is damaged says of no file what it should be. */
async function mend({ log, audit }: DataDirectory): Promise<Awaited<ReturnType<typeof repairLog>>> {
  const disk = systemDisk();
  try {
    const leavesOf = inlineTreeHasher().leaves;
    return await repairLog({
      disk,
      env: systemEnv(),
      directory: log,
      seenEnd: seenEndOf(audit),
      leavesOf,
      checkLeaves: signedLeaves(audit),
      ...kernels(),
    });
  } catch (thrown) {
    const { code, message, place } = reportOf(thrown);
    if (code !== "LOG-MANIFEST") throw thrown;
    return { repaired: [], findings: [{ code, message, file: place?.file ?? log }] };
  }
}

/** What a tree has signed of a log, if there is one. */
function signedLeaves(audit: string): (logId: string, first: number, leaves: Uint8Array) => Promise<void> {
  return async (logId, first, leaves) => {
    if ((await seenEndOf(audit)(logId)) === 0) return;
    const pause = async (): Promise<void> => undefined;
    await (await archiveMaking(audit, logId, false, pause)).checkLeaves(first, leaves);
  };
}

function writeAccepted({ from, logId, newLogId, aside, verifierKey }: AcceptedLogLoss): void {
  writeLine(`cut at position ${from}; what was there is in ${aside}`);
  writeLine(`the log is ${newLogId} from now on, and no longer ${logId}: auditors need its new verifier key`);
  writeLine(verifierKey);
}

function writeFindings(findings: readonly ScrubFinding[], summary: string, ok = findings.length === 0): void {
  for (const { code, message, file, position, offset } of findings) {
    const where = `${file}${offset === undefined ? "" : `@${offset}`}`;
    writeLine(inert(`${position === undefined ? "" : `position ${position}: `}${code} ${message} (${where})`));
  }
  writeLine(`${ok ? "ok" : "not ok"}: ${summary}`);
}

async function logDirectory(data: string): Promise<DataDirectory> {
  const directory = dataDirectory(data);
  if ((await stat(directory.log).catch(() => undefined)) === undefined)
    throw opsError("HOST-EMPTY", `${directory.root} holds no Millrace data`);
  await requireOwnLog(directory, "segments are those of a log in the data directory");
  return directory;
}

function kernels(): { readonly kernels?: BlockKernels } {
  const native = nativeBlocks();
  return native === undefined ? {} : { kernels: native };
}

/** Spends bytes no faster than so many a second, so that appends have the disk. */
class Pace {
  readonly #bytesPerSecond: number;
  readonly #sinceMs = performance.now();
  #bytes = 0;

  constructor(bytesPerSecond: number) {
    this.#bytesPerSecond = bytesPerSecond;
  }

  async spend(bytes: number): Promise<void> {
    this.#bytes += bytes;
    const aheadMs = (this.#bytes * 1000) / this.#bytesPerSecond - (performance.now() - this.#sinceMs);
    if (aheadMs > 1) await new Promise((resolve) => setTimeout(resolve, aheadMs));
  }
}

export interface PruneCommandOptions extends LogOptions {
  readonly olderThan: string;
  /** Graphs that will not run again. */
  readonly abandon?: readonly string[];
  readonly reason: string;
}

export async function pruneLog(options: PruneCommandOptions): Promise<void> {
  const { olderThan, abandon = [], reason, data, json = false } = options;
  const ageMs = ageOf(olderThan);
  await withCare(data, async (care) => {
    const pruning = care.prune({ beforeMs: Date.now() - ageMs, abandon: [...abandon], by: asked(reason) });
    const { segments, base, heldBy, payloads } = await pruning.catch((thrown: unknown) => {
      if (!json) writeNeeds(needsIn(thrown));
      throw thrown;
    });
    if (json) return writeJson({ pruned: segments, base, heldBy, payloads });
    writeLine(`${counted(segments.length, "segment")} pruned; the log can be read from position ${base} on`);
    if (payloads.payloads > 0)
      writeLine(`${payloads.payloads} payloads that no event names any more deleted, ${payloads.bytes} bytes`);
    if (heldBy.length > 0) writeLine("further segments that are old enough are needed:");
    writeNeeds(heldBy);
  });
}

/** Who needs what was to be pruned, by a refusal of the log. */
function needsIn(thrown: unknown): readonly RetentionNeed[] {
  const { code, details } = reportOf(thrown);
  // The log's own refusal lists them.
  return code === "LOG-HELD" ? ((details as { readonly heldBy?: readonly RetentionNeed[] }).heldBy ?? []) : [];
}

function writeNeeds(needs: readonly RetentionNeed[]): void {
  if (needs.length === 0) return;
  const rows = needs.map(({ code, position, name, remedy }) => [position, code, name, remedy ?? null]);
  writeTable(["from position", "code", "needed by", "what to do"], rows);
}

export interface HoldOptions extends LogOptions {
  readonly stream?: string;
  readonly tenant?: string;
  readonly from?: string;
  readonly to?: string;
  readonly reason: string;
}

export async function listHolds({ data, json = false }: LogOptions): Promise<void> {
  await withCare(data, async (care) => writeHolds(await care.holds({}), json));
}

export async function placeLegalHold(name: string, options: HoldOptions): Promise<void> {
  const { stream, tenant, from, to, reason, json = false } = options;
  const held: HeldEvents = {
    ...(stream === undefined ? {} : { streamPrefix: stream }),
    ...(tenant === undefined ? {} : { tenant }),
    ...(from === undefined ? {} : { fromMs: timeOf("from", from) }),
    ...(to === undefined ? {} : { toMs: timeOf("to", to) }),
  };
  if (held.fromMs !== undefined && held.toMs !== undefined && held.fromMs >= held.toMs)
    throw opsError("CLI-USAGE", `no event is from ${from} on and before ${to}: the hold would keep nothing`);
  await withCare(options.data, async (care) => {
    writeHolds([await care.placeHold({ name, held, by: asked(reason) })], json);
  });
}

export async function releaseLegalHold(name: string, { data, reason, json = false }: HoldOptions): Promise<void> {
  await withCare(data, async (care) => {
    const hold = await care.releaseHold({ name, by: asked(reason) });
    if (json) writeJson({ released: hold.name });
    else writeLine(`the legal hold ${hold.name} is released`);
  });
}

function writeHolds(holds: readonly LegalHold[], json: boolean): void {
  if (json) {
    writeJson({ holds });
    return;
  }
  const time = (ms: number | undefined): string | null => (ms === undefined ? null : timeText(ms));
  const rows = holds.map((hold) => [
    hold.name,
    hold.streamPrefix,
    hold.tenant,
    time(hold.fromMs),
    time(hold.toMs),
    hold.by,
    time(hold.placedMs),
    hold.reason,
  ]);
  writeTable(["hold", "streams", "tenant", "from", "to", "by", "since", "why"], rows);
}

/** A text that JavaScript only guesses a time in, by the zone of the machine, must not decide what is kept. */
function timeOf(option: string, text: string): number {
  const ms = msOfIsoText(text);
  if (Number.isNaN(ms))
    throw opsError("CLI-USAGE", `--${option} ${text}: expected a time such as 2026-01-31 or 2026-01-31T12:00:00Z`);
  return ms;
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

function ageOf(text: string): number {
  if (text === "0") return 0;
  try {
    return durationMs(text);
  } catch (cause) {
    throw opsError("CLI-USAGE", `--older-than ${text}: ${messageOf(cause)}`, { cause });
  }
}
