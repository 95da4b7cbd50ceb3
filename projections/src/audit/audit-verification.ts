/**
 * The whole check: every record of the log that the checkpoint covers is hashed again, every tile is compared with what comes
 * out, and the root with the signed one. It writes nothing, so it can run beside the host and on a copy.
 */
import { type Disk, type PrunedLeaves, reportOf, type StoredLog } from "@millrace/engine";
import { AuditDirectory, type SignedCheckpoint } from "./audit-directory.ts";
import type { AuditFinding } from "./audit-finding.ts";
import { openCheckpoint } from "./checkpoint.ts";
import { firstDifference, GrowingTree, type TileBytes, tilesOf } from "./growing-tree.ts";
import { HASH_BYTES, hashesOf, sameHash } from "./merkle.ts";
import type { TreeHead } from "./proof.ts";
import { formatVerifierKey, type VerifierKey } from "./signed-note.ts";
import { partialTiles, TILE_WIDTH, type Tile, tileIn } from "./tile.ts";
import { inlineTreeHasher, type TreeHasher } from "./tree-hasher.ts";
import {
  hearWitnesses,
  NO_TESTIMONY,
  type Testimony,
  type WantedWitnesses,
  type WitnessFact,
} from "./witness-testimony.ts";

export interface AuditVerificationOptions {
  readonly log: StoredLog;
  readonly disk: Disk;
  /** Holds the directory of this log's tree, and of others'. */
  readonly directory: string;
  /** Whose checkpoints are believed. Default: the key that lies beside them. */
  readonly key?: VerifierKey;
  /** An older checkpoint that somebody has kept: the log must still begin with what it covered. */
  readonly since?: string;
  /** Whose cosignatures are asked for. Default: nobody's. */
  readonly witnesses?: WantedWitnesses;
  /** Default: one in this thread. */
  readonly hasher?: TreeHasher | undefined;
}

export interface AuditReport {
  readonly key: string;
  readonly checkpoint: SignedCheckpoint | undefined;
  /** Records that were hashed and found to be what was signed; `checkpoint.size` when nothing was found. */
  readonly verified: number;
  /** How many of them are pruned, so that only their hashes were compared. */
  readonly pruned: number;
  /** What each of the witnesses that were asked for has cosigned. */
  readonly witnesses: readonly WitnessFact[];
  /** Records for which as many of them vouch as were asked for. */
  readonly witnessed: number;
  /** Empty when all holds; those with a position first, in the order of the log. */
  readonly findings: readonly AuditFinding[];
}

/** @throws AUDIT-KEY there is no key to check with */
export async function verifyAudit(options: AuditVerificationOptions): Promise<AuditReport> {
  const directory = new AuditDirectory(options.disk, options.directory, options.log.id);
  const key = options.key ?? (await directory.verifierKey());
  const verification = new Verification(options.log, directory, key, options.hasher ?? inlineTreeHasher());
  await verification.run(options.since, options.witnesses ?? { keys: [], quorum: 0 });
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
  /** True when no tile can be read that is not full. */
  #isFrontierLost = false;
  /** What the first records must give, by how many they are. */
  readonly #expectedRoots = new Map<number, ((root: Uint8Array) => void)[]>();
  #testimony: Testimony = NO_TESTIMONY;

  constructor(log: StoredLog, directory: AuditDirectory, key: VerifierKey, hasher: TreeHasher) {
    this.#log = log;
    this.#tree = new GrowingTree(hasher);
    this.#hasher = hasher;
    this.#directory = directory;
    this.#key = key;
  }

  async run(since: string | undefined, wanted: WantedWitnesses): Promise<void> {
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
    await this.#hear(wanted, this.#checkpoint);
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
    const key = formatVerifierKey(this.#key);
    return { key, checkpoint: this.#checkpoint, verified, pruned, ...this.#testimony, findings };
  }

  #openSince(note: string, checkpoint: SignedCheckpoint): void {
    const since = openCheckpoint(note, this.#key);
    if (since === undefined) this.#add("AUDIT-CHECKPOINT", "the older checkpoint is not signed by this log's key");
    else if (since.size > checkpoint.size) {
      const message = `the older checkpoint covers ${since.size} records, the newest ${checkpoint.size}: the log was put back`;
      this.#add("LOG-FORK", message);
    } else
      this.#expect(since, () => {
        const message = `the first ${since.size} records are not those that the older checkpoint covered`;
        this.#add("LOG-FORK", message);
      });
  }

  async #hear(wanted: WantedWitnesses, checkpoint: SignedCheckpoint): Promise<void> {
    const { testimony, heard, findings } = await hearWitnesses(this.#directory, this.#key, wanted, checkpoint);
    this.#testimony = testimony;
    this.#findings.push(...findings);
    for (const { name, size, root } of heard)
      this.#expect({ size, root }, () => {
        this.#add("WITNESS-FORK", `${name} has cosigned other records than the first ${size} of this log`);
      });
  }

  #expect({ size, root }: TreeHead, differs: () => void): void {
    const expected = this.#expectedRoots.get(size) ?? [];
    expected.push((found) => {
      if (!sameHash(found, root)) differs();
    });
    this.#expectedRoots.set(size, expected);
  }

  async #checkFrontier(): Promise<void> {
    const frontier = await this.#directory.frontier();
    if (typeof frontier === "object") return;
    this.#isFrontierLost = true;
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
      await this.#append(bytes);
      await this.#compareTiles(tilesOf(this.#tree.takeFull().filter(({ level }) => level > 0)));
    }
    await this.#compareTiles(this.#tree.partial());
  }

  /** Stops at each size of which something is expected. */
  async #append(leaves: Uint8Array): Promise<void> {
    const end = this.#tree.size + leaves.length / HASH_BYTES;
    const sizes = [...this.#expectedRoots.keys()].filter((size) => size > this.#tree.size && size <= end);
    let rest = leaves;
    for (const size of sizes.sort((a, b) => a - b)) {
      const before = (size - this.#tree.size) * HASH_BYTES;
      await this.#tree.append(rest.subarray(0, before));
      rest = rest.subarray(before);
      for (const compare of this.#expectedRoots.get(size) ?? []) compare(this.#tree.root());
    }
    await this.#tree.append(rest);
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
    if (bytes === undefined) this.#tileMissing(tile, position);
    return bytes === undefined ? undefined : hashesOf(bytes);
  }

  /** Tiles above the leaves; those of the leaves are compared leaf by leaf. */
  async #compareTiles(tiles: readonly TileBytes[]): Promise<void> {
    for (const { tile, bytes } of tiles) {
      if (tile.level === 0) continue;
      const found = await this.#directory.tiles.read(tile);
      const leaves = TILE_WIDTH ** tile.level;
      const first = tile.index * TILE_WIDTH * leaves;
      if (found === undefined) this.#tileMissing(tile, first);
      else if (!sameHash(bytes, found))
        this.#different.push({ tile, position: first + firstDifference(bytes, found) * leaves });
    }
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

  /** Of a frontier that is lost it has been said. */
  #tileMissing(tile: Tile, position: number): void {
    if (tile.width === TILE_WIDTH || !this.#isFrontierLost) this.#tileFound(tile, position, "is missing");
  }

  #tileFound(tile: Tile, position: number, what: string): void {
    const { level, index } = tile;
    const message = `tile ${index} of level ${level} ${what}`;
    this.#add("AUDIT-TILE", message, this.#directory.tiles.pathOf(tile), position);
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
