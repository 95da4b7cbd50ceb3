/** What an auditor asks. All of it reads files only, so it works beside a running host, on a stopped one and on a copy. */
import { stat } from "node:fs/promises";
import { type StoredLog, type StoredRecord, storedRecords } from "@millrace/engine";
import { nativeBlocks, nativeTreeHasher } from "@millrace/native";
import {
  type AuditFinding,
  type AuditReport,
  auditError,
  auditFiles,
  auditVerifierKey,
  cosignersOf,
  entryOf,
  formatInclusion,
  leafOfEntry,
  openAuditProofs,
  openCosignedProofs,
  parseVerifierKey,
  type VerifierKey,
  verifyAudit,
} from "@millrace/projections";
import { openStoredLog, prunedBelow, type StoredLogFiles, systemDisk } from "@millrace/streams/embedded";
import { base64 } from "../../audit/bundled-event.ts";
import { type WantedFlags, wantedWitnesses } from "../../audit/witness-options.ts";
import { opsError } from "../../errors.ts";
import { type DataDirectory, dataDirectory } from "../../host/data-directory.ts";
import { requireOwnLog } from "../../host/log-place.ts";
import { EXIT } from "../failure.ts";
import { endOnInterruption } from "../interruption.ts";
import { grouped, timeText, writeJson, writeLine } from "../output.ts";
import { readInput } from "../read-input.ts";
import { shellWord } from "../shell-word.ts";
import { inert } from "../terminal-text.ts";

export interface AuditOptions {
  readonly data: string;
  readonly json?: boolean;
}

export interface CheckpointOptions extends AuditOptions {
  /** The newest that witnesses have cosigned. */
  readonly cosigned?: boolean;
}

export interface VerifyOptions extends AuditOptions, WantedFlags {
  /** Verifier key that was handed over before. */
  readonly key?: string;
  /** File with an older checkpoint. */
  readonly since?: string;
}

export interface ExportTilesOptions extends AuditOptions {
  readonly out: string;
}

export interface ExportOptions extends AuditOptions {
  readonly from?: number;
  readonly to?: number;
  readonly out: string;
}

export async function showKey(options: AuditOptions): Promise<void> {
  await withLog(options.data, async (log, { audit }) => {
    const verifierKey = await auditVerifierKey(systemDisk(), audit, log.id);
    if (options.json === true) writeJson({ verifierKey, directory: `${audit}/${log.id}` });
    else writeLine(verifierKey);
  });
}

export async function showCheckpoint(options: CheckpointOptions): Promise<void> {
  await withLog(options.data, async (log, { audit }) => {
    const open = options.cosigned === true ? openCosignedProofs : openAuditProofs;
    const proofs = await open(systemDisk(), audit, log.id);
    if (proofs === undefined) throw auditError("WITNESS-MISSING", "no witness has cosigned this log");
    const { origin, size, root, note } = proofs.checkpoint;
    if (options.json !== true) return void process.stdout.write(note);
    writeJson({ origin, size, root: base64(root), cosigners: cosignersOf(proofs.checkpoint), note });
  });
}

export async function verify(options: VerifyOptions): Promise<void> {
  const key = keyOf(options.key);
  const since = options.since === undefined ? undefined : checkpointIn(options.since);
  const witnesses = wantedWitnesses(options);
  await withLog(options.data, async (log, { audit }) => {
    const report = await verifyAudit({
      log,
      disk: systemDisk(),
      directory: audit,
      hasher: nativeTreeHasher(),
      ...(key === undefined ? {} : { key }),
      ...(since === undefined ? {} : { since }),
      ...(witnesses === undefined ? {} : { witnesses }),
    });
    if (options.json === true) writeJson(jsonOf(report));
    else writeReport(report, key !== undefined);
    if (report.findings.length > 0) process.exitCode = EXIT.findings;
  });
}

function jsonOf({ checkpoint, ...report }: AuditReport): object {
  const signed = checkpoint && { origin: checkpoint.origin, size: checkpoint.size, root: base64(checkpoint.root) };
  return { ok: report.findings.length === 0, ...report, checkpoint: signed ?? null };
}

function writeReport(report: AuditReport, isGiven: boolean): void {
  const { checkpoint, verified, pruned, findings, key } = report;
  for (const finding of findings) writeLine(inert(findingText(finding)));
  const size = checkpoint === undefined ? "" : ` of ${grouped(checkpoint.size)}`;
  // A finding about no position in particular, as of a checkpoint, says nothing about how many records are whole.
  if (findings.length > 0 && findings[0]?.position === undefined) writeLine("not ok");
  else
    writeLine(
      `${findings.length === 0 ? "ok" : "not ok"}: ${grouped(verified)}${size} signed records are what was signed`,
    );
  if (pruned > 0) writeLine(`the records of the first ${grouped(pruned)} are pruned: their hashes are what was signed`);
  writeWitnesses(report);
  if (checkpoint !== undefined) writeLine(`root ${base64(checkpoint.root)}`);
  writeLine(`key ${key}${isGiven ? "" : " (the log's own; give the one you were told with --key)"}`);
}

function writeWitnesses({ witnesses, witnessed }: AuditReport): void {
  for (const { name, size, cosignedMs = 0 } of witnesses)
    writeLine(size === undefined ? `${name}: nothing` : `${name}: the first ${grouped(size)}, ${timeText(cosignedMs)}`);
  if (witnesses.length > 0)
    writeLine(`the witnesses that were asked for vouch for the first ${grouped(witnessed)} records`);
}

/** `position 12: LOG-FORK the record … (file)` */
function findingText({ code, message, position, file }: AuditFinding): string {
  const where = position === undefined ? "" : `position ${position}: `;
  return `${where}${code} ${message}${file === undefined ? "" : ` (${file})`}`;
}

export async function prove(position: number, options: AuditOptions): Promise<void> {
  await withLog(options.data, async (log, { audit }) => {
    const proofs = await openAuditProofs(systemDisk(), audit, log.id);
    const { checkpoint, verifierKey } = proofs;
    const records = position < checkpoint.size ? await recordsAt(log, position) : [];
    const entry = entryOf(records);
    const leaf = leafOfEntry(entry);
    const hashes = await proofs.inclusion(position, leaf);
    if (options.json !== true) return void process.stdout.write(formatInclusion(position, entry, hashes, checkpoint));
    const { size, root, note } = checkpoint;
    writeJson({
      position,
      size,
      entry: base64(entry),
      leaf: base64(leaf),
      hashes: hashes.map(base64),
      root: base64(root),
      checkpoint: note,
      verifierKey,
    });
  });
}

async function recordsAt(log: StoredLog, position: number): Promise<readonly StoredRecord[]> {
  for await (const batch of log.readStored(position, position + 1)) return storedRecords(batch);
  return [];
}

export async function proveConsistency(size: number, options: AuditOptions): Promise<void> {
  await withLog(options.data, async (log, { audit }) => {
    const proofs = await openAuditProofs(systemDisk(), audit, log.id);
    const { checkpoint, verifierKey } = proofs;
    const { root, hashes } = await proofs.consistency(size);
    const lines = [`old ${size}`, ...hashes.map(base64), "", checkpoint.note];
    if (options.json !== true) return void process.stdout.write(lines.join("\n"));
    writeJson({
      from: { size, root: base64(root) },
      to: { size: checkpoint.size, root: base64(checkpoint.root) },
      hashes: hashes.map(base64),
      checkpoint: checkpoint.note,
      verifierKey,
    });
  });
}

export async function exportTiles(options: ExportTilesOptions): Promise<void> {
  const { exportAuditFiles } = await import("../../audit/export-audit-files.ts");
  await withLog(options.data, async (log, { audit }) => {
    const { checkpoint } = await openAuditProofs(systemDisk(), audit, log.id);
    const written = await exportAuditFiles(auditFiles(systemDisk(), audit, log.id), checkpoint, options.out);
    if (options.json === true) return writeJson({ directory: options.out, size: checkpoint.size, ...written });
    writeLine(
      `${grouped(checkpoint.size)} records: ${grouped(written.tiles)} tiles in ${options.out}, ${grouped(written.added)} of them new`,
    );
  });
}

export async function exportEvents(options: ExportOptions): Promise<void> {
  const [{ exportBundle }, { BundleFolder }] = await Promise.all([
    import("../../audit/export-bundle.ts"),
    import("../../audit/bundle-folder.ts"),
  ]);
  await withLog(options.data, async (log, { audit }) => {
    const newest = await openAuditProofs(systemDisk(), audit, log.id);
    const { size } = newest.checkpoint;
    const { from = log.base, to = size, out } = options;
    if (from >= to || to > size)
      throw opsError("CLI-USAGE", `positions ${from} to ${to} are not a range of the ${size} records that are signed`);
    // What is pruned has hashes, and nothing that could be exported.
    if (from < log.base) throw prunedBelow(log.base, from);
    const cosigned = await openCosignedProofs(systemDisk(), audit, log.id);
    const proofs = cosigned !== undefined && to <= cosigned.checkpoint.size ? cosigned : newest;
    const folder = new BundleFolder(out);
    endOnInterruption(() => folder.takeBack());
    const bundle = await exportBundle(log, proofs, { from, to }, folder);
    const cosigners = cosignersOf(proofs.checkpoint);
    if (options.json === true) return writeJson({ ...bundle, cosigners });
    writeLine(`${bundle.events} events, positions ${from} to ${to - 1}, in ${out}`);
    if (cosigners.length > 0) writeLine(`cosigned by ${cosigners.join(", ")}`);
    else if (cosigned !== undefined)
      writeLine(`not cosigned: witnesses have cosigned the first ${grouped(cosigned.checkpoint.size)}; see --to`);
    const trust = bundle.prunedNames === 0 ? "" : " --pruned-names";
    if (trust !== "")
      writeLine(
        `${grouped(bundle.prunedNames)} names in ${out}/pruned-names.jsonl are not proven: the events that gave them were pruned`,
      );
    writeLine(`check it with: node ${shellWord(`${out}/verify.mjs`)} --key '${proofs.verifierKey}'${trust}`);
  });
}

async function withLog(
  data: string,
  use: (log: StoredLogFiles, directory: DataDirectory) => Promise<void>,
): Promise<void> {
  const directory = dataDirectory(data);
  const found = await stat(directory.log).catch(() => undefined);
  if (found === undefined) throw opsError("HOST-EMPTY", `${directory.root} holds no Millrace data`);
  await requireOwnLog(directory, "proofs are made of the files of a log");
  const log = await openStoredLog(systemDisk(), directory.log, nativeBlocks());
  try {
    await use(log, directory);
  } finally {
    await log.close();
  }
}

function keyOf(text: string | undefined): VerifierKey | undefined {
  if (text === undefined) return undefined;
  const key = parseVerifierKey(text);
  if (key === undefined) throw opsError("CLI-USAGE", `this is no verifier key: ${text}`);
  return key;
}

const CHECKPOINT = /^.+\n\d+\n[A-Za-z0-9+/]+=*\n[\s\S]*\n\u2014 /;

/** What editors and mail do to the ends of lines is no forgery. Whether it is signed is a question of its own. */
function checkpointIn(file: string): string {
  const text = `${readInput(file)
    .toString("utf8")
    .replace(/^\ufeff/, "")
    .replaceAll("\r\n", "\n")
    .trimEnd()}\n`;
  if (CHECKPOINT.test(text)) return text;
  throw opsError("CLI-USAGE", `${file} holds no checkpoint: expected what \`audit checkpoint\` prints`, {
    place: { file },
  });
}
