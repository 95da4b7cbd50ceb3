/**
 * An audit bundle: a range of events with everything that an auditor needs in order to check it offline. Names stand as numbers
 * in stored events, so the control records that gave them come along, each with a proof of its own.
 */
import { copyFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { MillraceError, messageOf, type StoredRecord, storedRecords } from "@millrace/engine";
import { type AuditProofs, entryOf, leafOfEntry } from "@millrace/projections";
import { StoredEvents, type StoredLogFiles, type StoredName } from "@millrace/streams/embedded";
import { opsError } from "../errors.ts";
import { BundleFile, type BundleFileFact } from "./bundle-file.ts";
import type { BundleFolder } from "./bundle-folder.ts";
import { base64, bundledEvent, bundledRecord } from "./bundled-event.ts";
import { READABLE, ReadableEvents } from "./readable-events.ts";

const FORMAT = "millrace-audit-bundle@1";
const VERIFIER = "verify.mjs";
const PRUNED_NAMES = "pruned-names.jsonl";
const HASH_FROM = -32;
/** In the place of the position of the record that gave a name. */
const PRUNED = -1;

export interface BundleRange {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

export interface ExportedBundle extends BundleRange {
  readonly directory: string;
  readonly events: number;
  readonly bytes: number;
  /** Names that events of the range have, and that pruned records gave: nothing proves them. */
  readonly prunedNames: number;
}

/**
 * @param range within what the checkpoint of `proofs` covers
 * @param folder is made; what was made of it is removed if this throws
 * @throws CLI-USAGE the directory is there and not empty, or cannot be written
 * @throws LOG-CORRUPT, LOG-FORK, AUDIT-TILE what is exported does not hold
 */
export async function exportBundle(
  log: StoredLogFiles,
  proofs: AuditProofs,
  range: BundleRange,
  folder: BundleFolder,
): Promise<ExportedBundle> {
  try {
    folder.make();
    return await writeBundle(log, proofs, range, folder);
  } catch (cause) {
    folder.takeBack();
    if (cause instanceof MillraceError) throw cause;
    const { path } = folder;
    throw opsError("CLI-USAGE", `${path} is not written: ${messageOf(cause)}`, { cause, place: { file: path } });
  }
}

async function writeBundle(
  log: StoredLogFiles,
  proofs: AuditProofs,
  { from, to }: BundleRange,
  folder: BundleFolder,
): Promise<ExportedBundle> {
  const checkpoint = new BundleFile(folder, "checkpoint");
  checkpoint.text(proofs.checkpoint.note);
  const bundle = new BundledEvents(log, proofs, folder);
  await bundle.carry();
  for await (const position of positionsOf(log, to)) {
    if ((position.at(-1) as StoredRecord).position < from) bundle.pass(position);
    else await bundle.add(position);
  }
  const files = { checkpoint: checkpoint.close(), ...(await bundle.close()) };
  copyFileSync(verifierPath(), folder.file(VERIFIER));
  const { origin, size, root } = proofs.checkpoint;
  const { verifierKey } = proofs;
  const facts = { format: FORMAT, origin, verifierKey, size, root: base64(root), from, to, files, views: READABLE };
  folder.end(`${JSON.stringify(facts, null, 2)}\n`);
  const bytes = Object.values<BundleFileFact>(files).reduce((sum, file) => sum + file.bytes, 0);
  return { directory: folder.path, from, to, events: to - from, bytes, prunedNames: bundle.prunedNames };
}

/** From src/audit or dist/audit to the workspace. */
function verifierPath(): string {
  return join(dirname(fileURLToPath(import.meta.url)), "..", "..", "audit-verifier", VERIFIER);
}

/** The records of each position below `to`: control records, then the event. */
async function* positionsOf(log: StoredLogFiles, to: number): AsyncGenerator<readonly StoredRecord[]> {
  for await (const batch of log.readStored(log.base, to)) {
    const records = storedRecords(batch);
    let start = 0;
    for (const [i, record] of records.entries()) {
      if (record.isControl) continue;
      yield records.slice(start, i + 1);
      start = i + 1;
    }
  }
}

class BundledEvents {
  readonly #log: StoredLogFiles;
  readonly #proofs: AuditProofs;
  readonly #folder: BundleFolder;
  readonly #events: BundleFile;
  readonly #proofLines: BundleFile;
  readonly #readable: ReadableEvents;
  readonly #names: StoredEvents = new StoredEvents();
  /** Where names were given before the range. */
  readonly #given = new Map<string, number>();
  /** Positions of those that the range uses. */
  readonly #needed = new Set<number>();
  /** Those that the range uses and whose records were pruned. */
  readonly #pruned = new Map<string, StoredName>();

  constructor(log: StoredLogFiles, proofs: AuditProofs, folder: BundleFolder) {
    this.#log = log;
    this.#proofs = proofs;
    this.#folder = folder;
    this.#events = new BundleFile(folder, "events.jsonl");
    this.#proofLines = new BundleFile(folder, "proofs.jsonl");
    this.#readable = new ReadableEvents(folder);
  }

  get prunedNames(): number {
    return this.#pruned.size;
  }

  /** Names whose records were pruned, unless they are met later on: archived ones are carried as well. */
  async carry(): Promise<void> {
    for await (const name of this.#log.carriedNames()) {
      this.#names.carry(name);
      this.#given.set(keyOf(name), PRUNED);
    }
  }

  /** What lies before the range. */
  pass(records: readonly StoredRecord[]): void {
    for (const record of records)
      for (const name of this.#names.learn(record)) this.#given.set(keyOf(name), record.position);
  }

  async add(records: readonly StoredRecord[]): Promise<void> {
    // A record of the range stands in the bundle itself.
    for (const record of records) for (const name of this.#names.learn(record)) this.#given.delete(keyOf(name));
    const stored = records.at(-1) as StoredRecord;
    const event = this.#names.event(stored);
    for (const name of this.#names.uses(stored)) {
      const given = this.#given.get(keyOf(name));
      if (given === PRUNED) this.#pruned.set(keyOf(name), name);
      else if (given !== undefined) this.#needed.add(given);
    }
    const leaf = leafOfEntry(entryOf(records));
    const hashes = await this.#proofs.inclusion(stored.position, leaf);
    this.#events.line(bundledEvent(event, records));
    this.#proofLines.line({ position: stored.position, leaf: base64(leaf), hashes: hashes.map(base64) });
    this.#readable.add(event);
  }

  async close(): Promise<Readonly<Record<string, BundleFileFact>>> {
    const readable = await this.#readable.close();
    const names = await this.#writeNames();
    return {
      "events.jsonl": this.#events.close(),
      "proofs.jsonl": this.#proofLines.close(),
      "names.jsonl": names,
      ...(this.#pruned.size > 0 ? { [PRUNED_NAMES]: this.#writePruned() } : {}),
      ...readable,
    };
  }

  #writePruned(): BundleFileFact {
    const file = new BundleFile(this.#folder, PRUNED_NAMES);
    for (const name of this.#pruned.values()) file.line({ ...name, name: this.#names.nameOf(name) });
    return file.close();
  }

  /** Of the events that names were given with, only the payload's hash: they are not part of the range. */
  async #writeNames(): Promise<BundleFileFact> {
    const file = new BundleFile(this.#folder, "names.jsonl");
    // One by one: a range may use more names than a call takes arguments.
    let last = -1;
    for (const position of this.#needed) last = Math.max(last, position);
    for await (const records of positionsOf(this.#log, last + 1)) {
      const { position, header } = records.at(-1) as StoredRecord;
      if (!this.#needed.has(position)) continue;
      const entry = entryOf(records);
      const hashes = await this.#proofs.inclusion(position, leafOfEntry(entry));
      const event = { header: base64(header), payloadHash: base64(entry.subarray(HASH_FROM)) };
      file.line({
        position,
        records: [...records.slice(0, -1).map(bundledRecord), event],
        hashes: hashes.map(base64),
      });
    }
    return file.close();
  }
}

function keyOf({ kind, number }: StoredName): string {
  return `${kind} ${number}`;
}
