/** What the tree of one log keeps in its directory. */
import { createPrivateKey } from "node:crypto";
import type { Disk, Random } from "@millrace/engine";
import { auditError } from "./audit-errors.ts";
import { AuditTiles } from "./audit-tiles.ts";
import { type Checkpoint, openCheckpoint, originOf, signCheckpoint } from "./checkpoint.ts";
import { decodeFrontier, encodeFrontier, type Frontier } from "./frontier.ts";
import { formatVerifierKey, parseVerifierKey, type SigningKey, signingKey, type VerifierKey } from "./signed-note.ts";
import { readWhole, replaceWhole } from "./whole-file.ts";

const CHECKPOINT = "checkpoint";
/** The newest checkpoint that witnesses have cosigned, with their signatures. */
const COSIGNED_CHECKPOINT = "checkpoint-cosigned";
/** Holds for each witness, by the id of its key, the newest checkpoint that it has cosigned. */
const COSIGNED = "cosigned";
const FRONTIER = "frontier";
const SIGNING_KEY = "signing-key.pem";
const VERIFIER_KEY = "verifier-key";
const SEED_BYTES = 32;
/** DER of an Ed25519 private key up to its 32 bytes of seed (RFC 8410). */
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");

/** A checkpoint with the note that says so. */
export interface SignedCheckpoint extends Checkpoint {
  readonly note: string;
}

export class AuditDirectory {
  readonly path: string;
  readonly tiles: AuditTiles;
  readonly #disk: Disk;
  readonly #logId: string;

  /** @param parent holds a directory for each log that was ever audited, by its id */
  constructor(disk: Disk, parent: string, logId: string) {
    this.path = `${parent}/${logId}`;
    this.tiles = new AuditTiles(disk, this.path, () => this.frontier());
    this.#disk = disk;
    this.#logId = logId;
  }

  /** Makes the directory, durably. */
  async make(): Promise<void> {
    const parent = this.path.slice(0, this.path.lastIndexOf("/"));
    await this.#disk.makeDirectory(this.path);
    await this.#disk.syncDirectory(parent);
    await this.#disk.syncDirectory(parent.slice(0, parent.lastIndexOf("/")) || "/");
  }

  /**
   * The key that signs, made when there never was one.
   *
   * @throws AUDIT-KEY it does not decode, or is gone though its signatures are there
   */
  async signingKey(random: Random): Promise<SigningKey> {
    const found = await readWhole(this.#disk, `${this.path}/${SIGNING_KEY}`);
    if (found === undefined) {
      await this.#mustBeUnsigned();
      await replaceWhole(this.#disk, this.path, SIGNING_KEY, newPrivateKey(random));
      return this.signingKey(random);
    }
    const key = signingKeyOf(this.#logId, found);
    if (key === undefined) throw this.#error("AUDIT-KEY", SIGNING_KEY, "the signing key does not decode");
    const verifierKey = Buffer.from(`${formatVerifierKey(key)}\n`);
    const published = await readWhole(this.#disk, `${this.path}/${VERIFIER_KEY}`);
    if (published === undefined) await replaceWhole(this.#disk, this.path, VERIFIER_KEY, verifierKey);
    else if (!published.equals(verifierKey))
      throw this.#error("AUDIT-KEY", VERIFIER_KEY, "the keys do not belong together");
    return key;
  }

  /** @throws AUDIT-KEY there is none, or it does not decode */
  async verifierKey(): Promise<VerifierKey> {
    const found = await readWhole(this.#disk, `${this.path}/${VERIFIER_KEY}`);
    const key = found === undefined ? undefined : parseVerifierKey(found.toString("utf8"));
    if (key?.name !== originOf(this.#logId))
      throw this.#error("AUDIT-KEY", VERIFIER_KEY, "there is no verifier key of this log");
    return key;
  }

  /** The last checkpoint. @throws AUDIT-CHECKPOINT it is not signed by `key` */
  async checkpoint(key: VerifierKey): Promise<SignedCheckpoint | undefined> {
    const found = await readWhole(this.#disk, `${this.path}/${CHECKPOINT}`);
    if (found === undefined) return undefined;
    const note = found.toString("utf8");
    const opened = openCheckpoint(note, key);
    if (opened !== undefined) return { ...opened, note };
    throw this.#error("AUDIT-CHECKPOINT", CHECKPOINT, `the checkpoint is not signed by ${formatVerifierKey(key)}`);
  }

  async sign(size: number, root: Uint8Array, key: SigningKey): Promise<SignedCheckpoint> {
    const checkpoint = { origin: key.name, size, root };
    const note = signCheckpoint(checkpoint, key);
    await replaceWhole(this.#disk, this.path, CHECKPOINT, Buffer.from(note, "utf8"));
    return { ...checkpoint, note };
  }

  /** The newest checkpoint that the witness with this key id has cosigned, as a note. Nothing is verified. */
  async cosignedBy(id: string): Promise<string | undefined> {
    return (await readWhole(this.#disk, `${this.path}/${COSIGNED}/${id}`))?.toString("utf8");
  }

  async putCosignedBy(id: string, note: string): Promise<void> {
    await this.#disk.makeDirectory(`${this.path}/${COSIGNED}`);
    await this.#disk.syncDirectory(this.path);
    await replaceWhole(this.#disk, `${this.path}/${COSIGNED}`, id, Buffer.from(note, "utf8"));
  }

  /** The newest checkpoint with the cosignatures of all who could be reached. Nothing is verified. */
  async cosignedCheckpoint(): Promise<string | undefined> {
    return (await readWhole(this.#disk, `${this.path}/${COSIGNED_CHECKPOINT}`))?.toString("utf8");
  }

  async putCosignedCheckpoint(note: string): Promise<void> {
    await replaceWhole(this.#disk, this.path, COSIGNED_CHECKPOINT, Buffer.from(note, "utf8"));
  }

  /** `"damaged"` when the file is not what was written, or was written by another version. */
  async frontier(): Promise<Frontier | "damaged" | undefined> {
    const found = await readWhole(this.#disk, `${this.path}/${FRONTIER}`);
    return found === undefined ? undefined : decodeFrontier(found, this.#logId);
  }

  frontierPath(): string {
    return `${this.path}/${FRONTIER}`;
  }

  async putFrontier(frontier: Frontier): Promise<void> {
    await replaceWhole(this.#disk, this.path, FRONTIER, encodeFrontier(frontier));
  }

  /** Says that the tiles are not to be trusted, durably. They stay, and are written over. */
  async dropFrontier(): Promise<void> {
    if ((await this.#disk.stat(this.frontierPath())) === undefined) return;
    await this.#disk.unlink(this.frontierPath());
    await this.#disk.syncDirectory(this.path);
  }

  async #mustBeUnsigned(): Promise<void> {
    for (const name of [CHECKPOINT, VERIFIER_KEY]) {
      if ((await this.#disk.stat(`${this.path}/${name}`)) === undefined) continue;
      throw this.#error("AUDIT-KEY", SIGNING_KEY, "the signing key is gone, though it has been used");
    }
  }

  #error(code: "AUDIT-KEY" | "AUDIT-CHECKPOINT", name: string, message: string): Error {
    return auditError(code, message, { place: { file: `${this.path}/${name}` } });
  }
}

function newPrivateKey(random: Random): Buffer {
  const der = Buffer.concat([PKCS8_PREFIX, random.bytes(SEED_BYTES)]);
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  return Buffer.from(key.export({ format: "pem", type: "pkcs8" }));
}

function signingKeyOf(logId: string, pem: Buffer): SigningKey | undefined {
  try {
    const key = createPrivateKey(pem);
    return key.asymmetricKeyType === "ed25519" ? signingKey(originOf(logId), key) : undefined;
  } catch {
    // OpenSSL's messages say nothing that the caller could act on, and might quote the file.
    return undefined;
  }
}

/** What the trees in a directory have seen of their logs: for the log to be opened with. */
export async function auditWitnesses(
  disk: Disk,
  parent: string,
): Promise<readonly (Frontier & { readonly path: string })[]> {
  await disk.makeDirectory(parent);
  const logs = new Set((await disk.list(parent)).map((name) => name.split("/")[0] ?? ""));
  const found: (Frontier & { readonly path: string })[] = [];
  for (const logId of logs) {
    const directory = new AuditDirectory(disk, parent, logId);
    const frontier = await directory.frontier();
    if (frontier !== undefined && frontier !== "damaged") found.push({ ...frontier, path: directory.frontierPath() });
  }
  return found;
}
