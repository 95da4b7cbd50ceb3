/**
 * The public files of a log's tree in a directory that any web server can serve. They are added to one that holds earlier ones of
 * the same log; the checkpoint comes last, so that whoever sees it finds the tiles that prove it.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { invariant } from "@millrace/engine";
import { type AuditFiles, auditError, type SignedCheckpoint } from "@millrace/projections";
import { opsError } from "../errors.ts";

const VERIFIER_KEY = "verifier-key";
const COSIGNED = "checkpoint-cosigned";
const HASH_BYTES = 32;
const TILE_BYTES = 256 * HASH_BYTES;
const PARTIAL = /\.p\/(\d+)$/;

export interface ExportedAuditFiles {
  /** Of the checkpoint's tree. */
  readonly tiles: number;
  /** How many of them were not there yet. */
  readonly added: number;
}

/**
 * @throws CLI-USAGE the directory holds the files of another log
 * @throws AUDIT-TILE a tile is missing
 */
export async function exportAuditFiles(
  files: AuditFiles,
  { size, note }: SignedCheckpoint,
  directory: string,
): Promise<ExportedAuditFiles> {
  await putVerifierKey(files, directory);
  let tiles = 0;
  let added = 0;
  for (const name of files.tileNames(size)) {
    tiles++;
    if (hasTile(directory, name)) continue;
    const tile = await files.read(name);
    if (tile === undefined) throw auditError("AUDIT-TILE", `${name} is missing`);
    put(directory, name, tile.bytes);
    // A full tile takes the place of what it was before.
    rmSync(join(directory, `${name}.p`), { recursive: true, force: true });
    added++;
  }
  const cosigned = (await files.read(COSIGNED))?.bytes;
  // It may be newer than the checkpoint, and than the tiles.
  if (cosigned !== undefined && sizeOf(cosigned) <= size) replace(directory, COSIGNED, cosigned);
  replace(directory, "checkpoint", Buffer.from(note, "utf8"));
  return { tiles, added };
}

async function putVerifierKey(files: AuditFiles, directory: string): Promise<void> {
  const key = await files.read(VERIFIER_KEY);
  invariant(key !== undefined, "what is signed has a verifier key");
  const path = join(directory, VERIFIER_KEY);
  if (existsSync(path) && !readFileSync(path).equals(key.bytes))
    throw opsError("CLI-USAGE", `${directory} holds the files of another log`);
  // Half a key would be that of another log to whoever goes on.
  replace(directory, VERIFIER_KEY, key.bytes);
}

/** A write that did not end leaves a file that is too short. */
function hasTile(directory: string, name: string): boolean {
  const width = PARTIAL.exec(name)?.[1];
  const bytes = width === undefined ? TILE_BYTES : Number(width) * HASH_BYTES;
  return statSync(join(directory, name), { throwIfNoEntry: false })?.size === bytes;
}

/** The size that a checkpoint states. */
function sizeOf(note: Uint8Array): number {
  return Number(Buffer.from(note).toString("utf8").split("\n")[1]);
}

function put(directory: string, name: string, bytes: Uint8Array): void {
  const path = join(directory, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
}

/** Whoever reads the file sees the one before or this one. */
function replace(directory: string, name: string, bytes: Uint8Array): void {
  put(directory, `${name}.tmp`, bytes);
  renameSync(join(directory, `${name}.tmp`), join(directory, name));
}
