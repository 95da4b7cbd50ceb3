/**
 * The whole check: every record of the log that the checkpoint covers is hashed again, every tile is compared with what comes
 * out, and the root with the signed one. It writes nothing, so it can run beside the host and on a copy.
 */
import { type Disk, type PrunedLeaves, reportOf, type StoredLog } from "@millrace/engine";
import { AuditDirectory, type SignedCheckpoint } from "./audit-directory.ts";
import { openCheckpoint } from "./checkpoint.ts";
import { firstDifference, GrowingTree, type TileBytes } from "./growing-tree.ts";
import { hashesOf, sameHash } from "./merkle.ts";
import { formatVerifierKey, type VerifierKey } from "./signed-note.ts";
import { partialTiles, TILE_WIDTH, type Tile, tileIn } from "./tile.ts";
import { inlineTreeHasher, type TreeHasher } from "./tree-hasher.ts";

export interface AuditVerificationOptions {
  readonly log: StoredLog;
  readonly disk: Disk;
  /** Holds the directory of this log's tree, and of others'. */
  readonly directory: string;
  /** Whose checkpoints are believed. Default: the key that lies beside them. */
  readonly key?: VerifierKey;
  /** An older checkpoint that somebody has kept: the log must still begin with what it covered. */
  readonly since?: string;
  /** Default: one in this thread. */
  readonly hasher?: TreeHasher | undefined;
}

export interface AuditFinding {
  /** LOG-CORRUPT, LOG-FORK, AUDIT-TILE, AUDIT-CHECKPOINT, AUDIT-KEY … */
  readonly code: string;
  readonly message: string;
  readonly position?: number;
  readonly file?: string;
}

export interface AuditReport {
  readonly key: string;
  readonly checkpoint: SignedCheckpoint | undefined;
  /** Records that were hashed and found to be what was signed; `checkpoint.size` when nothing was found. */
  readonly verified: number;
  /** How many of them are pruned, so that only their hashes were compared. */
  readonly pruned: number;
  /** Empty when all holds; those with a position first, in the order of the log. */
  readonly findings: readonly AuditFinding[];
}

/** @throws AUDIT-KEY there is no key to check with */
export async function verifyAudit(options: AuditVerificationOptions): Promise<AuditReport> {
  const directory = new AuditDirectory(options.disk, options.directory, options.log.id);
  const key = options.key ?? (await directory.verifierKey());
  const verification = new Verification(options.log, directory, key, options.hasher ?? inlineTreeHasher());
  await verification.run(options.since);
  return verification.report();
}

class Verification {
  readonly #log: StoredLog;
  readonly #directory: AuditDirectory;
  readonly #key: VerifierKey;
  readonly #tree: GrowingTree;
  readonly #hasher: TreeHasher;
  readonly #findings: AuditFinding[] = [];
  /** Tiles that differ from the records, and the first position at which each does. */
  readonly #different: { readonly tile: Tile; readonly position: number }[] = [];
  #checkpoint: SignedCheckpoint | undefined;
  #since: { readonly size: number; readonly root: Uint8Array } | undefined;

  constructor(log: StoredLog, directory: AuditDirectory, key: VerifierKey, hasher: TreeHasher) {
    this.#log = log;
    this.#tree = new GrowingTree(hasher);
    this.#hasher = hasher;
    this.#directory = directory;
    this.#key = key;
  }

  async run(since: string | undefined): Promise<void> {
    try {
      this.#checkpoint = await this.#directory.checkpoint(this.#key);
    } catch (thrown) {
      this.#found(thrown);
    }
    if (this.#checkpoint === undefined) {
      if (this.#findings.length === 0)
        this.#add("AUDIT-CHECKPOINT", "there is no checkpoint", `${this.#directory.path}/checkpoint`);
      return;
    }
    if (since !== undefined) this.#openSince(since, this.#checkpoint);
    await this.#checkFrontier();
    try {
      await this.#hashRecords(this.#checkpoint);
    } catch (thrown) {
      this.#found(thrown, this.#tree.size);
      return;
    }
    await this.#judge(this.#checkpoint);
  }

  report(): AuditReport {
    const at = ({ position }: AuditFinding): number => position ?? Number.POSITIVE_INFINITY;
    const findings = [...this.#findings].sort((a, b) => at(a) - at(b));
    const first = findings[0]?.position;
    const verified = findings.length === 0 ? this.#tree.size : Math.min(first ?? 0, this.#tree.size);
    const pruned = Math.min(this.#log.base, verified);
    return { key: formatVerifierKey(this.#key), checkpoint: this.#checkpoint, verified, pruned, findings };
  }

  #openSince(note: string, checkpoint: SignedCheckpoint): void {
    this.#since = openCheckpoint(note, this.#key);
    if (this.#since === undefined)
      this.#add("AUDIT-CHECKPOINT", "the older checkpoint is not signed by this log's key");
    else if (this.#since.size > checkpoint.size) {
      const message = `the older checkpoint covers ${this.#since.size} records, the newest ${checkpoint.size}: the log was put back`;
      this.#add("LOG-FORK", message);
    }
  }

  async #checkFrontier(): Promise<void> {
    const frontier = await this.#directory.frontier();
    if (typeof frontier === "object") return;
    this.#add("AUDIT-TILE", `the frontier is ${frontier ?? "missing"}`, this.#directory.frontierPath());
  }

  async #hashRecords(checkpoint: SignedCheckpoint): Promise<void> {
    let expected: readonly Uint8Array[] | undefined;
    for await (const { first, bytes } of this.#leaves(checkpoint.size)) {
      for (const [i, leaf] of hashesOf(bytes).entries()) {
        const position = first + i;
        const within = position % TILE_WIDTH;
        if (within === 0) expected = await this.#leavesOf(checkpoint.size, position);
        if (expected !== undefined && !sameHash(leaf, expected[within])) {
          this.#different.push({ tile: tileAt(checkpoint.size, position), position });
          expected = undefined;
        }
      }
      await this.#tree.append(bytes, this.#since?.size, () => this.#compareSince());
      await this.#compareTiles(this.#tree.takeFull());
    }
    await this.#compareTiles(this.#tree.partial());
  }

  /** Of records that are pruned the hashes that were kept, of all others those that are made of them now. */
  async *#leaves(size: number): AsyncGenerator<PrunedLeaves> {
    yield* this.#log.prunedLeaves();
    for await (const batch of this.#log.readStored(this.#log.base, size))
      yield { first: batch.first, bytes: await this.#hasher.leaves(batch) };
  }

  async #leavesOf(size: number, position: number): Promise<readonly Uint8Array[] | undefined> {
    const tile = tileAt(size, position);
    const bytes = await this.#directory.tiles.read(tile);
    if (bytes === undefined) this.#tileFound(tile, position, "is missing, or not as long as it was written");
    return bytes === undefined ? undefined : hashesOf(bytes);
  }

  /** Tiles above the leaves; those of the leaves are compared leaf by leaf. */
  async #compareTiles(tiles: readonly TileBytes[]): Promise<void> {
    for (const { tile, bytes } of tiles) {
      if (tile.level === 0) continue;
      const found = await this.#directory.tiles.read(tile);
      const leaves = TILE_WIDTH ** tile.level;
      const first = tile.index * TILE_WIDTH * leaves;
      if (found === undefined) this.#tileFound(tile, first, "is missing, or not as long as it was written");
      else if (!sameHash(bytes, found))
        this.#different.push({ tile, position: first + firstDifference(bytes, found) * leaves });
    }
  }

  #compareSince(): void {
    if (sameHash(this.#tree.root(), this.#since?.root)) return;
    const message = `the first ${this.#tree.size} records are not those that the older checkpoint covered`;
    this.#add("LOG-FORK", message);
  }

  /** Who is wrong where records and tiles differ: whichever does not give the signed root. */
  async #judge(checkpoint: SignedCheckpoint): Promise<void> {
    if (this.#tree.size !== checkpoint.size) {
      this.#add(
        "LOG-CORRUPT",
        `the log ends at ${this.#tree.size}, the checkpoint covers ${checkpoint.size}`,
        undefined,
        this.#tree.size,
      );
      return;
    }
    const recordsHold = sameHash(this.#tree.root(), checkpoint.root);
    const tilesHold = sameHash((await this.#rootOfTiles(checkpoint.size)) ?? new Uint8Array(0), checkpoint.root);
    const position = this.#different.find(({ tile }) => tile.level === 0)?.position;
    if (!recordsHold) {
      const where = position === undefined ? "a record" : `the record at position ${position}`;
      this.#add("LOG-FORK", `${where} is not the one that was signed`, undefined, position);
    }
    if (recordsHold || !tilesHold) {
      for (const different of this.#different) this.#tileFound(different.tile, different.position, "is damaged");
    }
  }

  async #rootOfTiles(size: number): Promise<Uint8Array | undefined> {
    const edge: TileBytes[] = [];
    for (const tile of partialTiles(size)) {
      const bytes = await this.#directory.tiles.read(tile);
      if (bytes === undefined) return undefined;
      edge.push({ tile, bytes });
    }
    return GrowingTree.restored(size, edge).root();
  }

  #tileFound(tile: Tile, position: number, what: string): void {
    this.#add("AUDIT-TILE", `the tile ${what}`, this.#directory.tiles.pathOf(tile), position);
  }

  #found(thrown: unknown, from?: number): void {
    const { code, message, place } = reportOf(thrown);
    this.#add(code, message, place?.file, place?.position ?? from);
  }

  #add(code: string, message: string, file?: string, position?: number): void {
    this.#findings.push({
      code,
      message,
      ...(file === undefined ? {} : { file }),
      ...(position === undefined ? {} : { position }),
    });
  }
}

function tileAt(size: number, position: number): Tile {
  return tileIn(size, 0, Math.floor(position / TILE_WIDTH));
}
