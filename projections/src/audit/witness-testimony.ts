/**
 * What witnesses say for a log, from what is stored of them. Each may have cosigned another size: since every record is hashed
 * again, each root can be compared, and one that vouches for the first 120 records vouches for the first 100.
 */
import type { AuditDirectory, SignedCheckpoint } from "./audit-directory.ts";
import type { AuditFinding } from "./audit-finding.ts";
import { type Checkpoint, openCheckpoint } from "./checkpoint.ts";
import { cosignedAtS, type WitnessKey } from "./cosignature.ts";
import { formatVerifierKey, type VerifierKey } from "./signed-note.ts";

export interface WantedWitnesses {
  readonly keys: readonly WitnessKey[];
  /** How many of them must have cosigned. */
  readonly quorum: number;
  /** Most of the newest signed records that they need not have cosigned yet. Default any number. */
  readonly lagMax?: number;
}

export interface WitnessFact {
  readonly name: string;
  readonly key: string;
  /** Records that the newest checkpoint covers that it has cosigned; absent when it has cosigned none. */
  readonly size?: number;
  /** When it cosigned that, in ms since 1970. */
  readonly cosignedMs?: number;
}

export interface Testimony {
  readonly witnesses: readonly WitnessFact[];
  readonly witnessed: number;
}

export const NO_TESTIMONY: Testimony = { witnesses: [], witnessed: 0 };

/** A checkpoint that a witness has cosigned and that the tree can be compared with. */
interface Heard extends Checkpoint {
  readonly name: string;
  readonly atS: number;
}

export interface Hearing {
  readonly testimony: Testimony;
  readonly heard: readonly Heard[];
  readonly findings: readonly AuditFinding[];
}

export async function hearWitnesses(
  directory: AuditDirectory,
  logKey: VerifierKey,
  { keys, quorum, lagMax = Number.POSITIVE_INFINITY }: WantedWitnesses,
  checkpoint: SignedCheckpoint,
): Promise<Hearing> {
  const all = await Promise.all(keys.map((key) => newestOf(directory, logKey, key)));
  const witnesses = keys.map((key, i) => factOf(key, all[i]));
  const sizes = all.flatMap((found) => (found === undefined ? [] : [found.size])).sort((a, b) => b - a);
  const witnessed = Math.min(sizes[quorum - 1] ?? 0, checkpoint.size);
  const heard = all.filter((found) => found !== undefined);
  const findings = heard.filter(({ size }) => size > checkpoint.size).map((found) => ahead(found, checkpoint));
  const missing = witnesses.filter(({ size = 0 }) => size === 0 || size < checkpoint.size - lagMax);
  if (keys.length - missing.length < quorum) findings.push(lacking(missing, keys.length, quorum, lagMax));
  return { testimony: { witnesses, witnessed }, heard: heard.filter(({ size }) => size <= checkpoint.size), findings };
}

/** A note counts only if log and witness have signed it. */
async function newestOf(directory: AuditDirectory, logKey: VerifierKey, key: WitnessKey): Promise<Heard | undefined> {
  const notes = [await directory.cosignedBy(key.id.toString("hex")), await directory.cosignedCheckpoint()];
  let newest: Heard | undefined;
  for (const note of notes) {
    const checkpoint = note === undefined ? undefined : openCheckpoint(note, logKey);
    const atS = note === undefined ? undefined : cosignedAtS(note, key);
    if (checkpoint === undefined || atS === undefined || checkpoint.size <= (newest?.size ?? 0)) continue;
    newest = { ...checkpoint, name: key.name, atS };
  }
  return newest;
}

function factOf(key: WitnessKey, found: Heard | undefined): WitnessFact {
  const named = { name: key.name, key: formatVerifierKey(key) };
  return found === undefined ? named : { ...named, size: found.size, cosignedMs: found.atS * 1000 };
}

function ahead({ name, size }: Heard, checkpoint: SignedCheckpoint): AuditFinding {
  const message = `${name} has cosigned ${size} records, the checkpoint covers ${checkpoint.size}: the log was put back`;
  return { code: "WITNESS-AHEAD", message };
}

function lacking(missing: readonly WitnessFact[], wanted: number, quorum: number, lagMax: number): AuditFinding {
  const names = missing.map(({ name, size = 0 }) => (size === 0 ? name : `${name} (only the first ${size} records)`));
  const what = lagMax === Number.POSITIVE_INFINITY ? "the log" : `all but the newest ${lagMax} records`;
  const have = wanted - missing.length;
  const message = `${have} of ${wanted} witnesses have cosigned ${what}, ${quorum} are wanted; missing: ${names.join(", ")}`;
  return { code: "WITNESS-MISSING", message };
}
