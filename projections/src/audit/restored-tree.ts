/**
 * Opening a tree (L-R23): what was signed is compared with what the tiles and the log say, before anything more is signed. The
 * tiles at the right edge give the root at the signed size; the newest leaves are hashed again from the log. Tiles that do not
 * hold are no evidence against the log: the tree is made again from its records, and then those must give the signed root.
 */
import type { LiveStoredLog } from "@millrace/engine";
import type { AuditDirectory, SignedCheckpoint } from "./audit-directory.ts";
import { auditError } from "./audit-errors.ts";
import type { Frontier } from "./frontier.ts";
import { firstDifference, GrowingTree, type TileBytes } from "./growing-tree.ts";
import { HASH_BYTES, sameHash } from "./merkle.ts";
import { partialTiles, TILE_WIDTH, tileIn } from "./tile.ts";
import type { TreeHasher } from "./tree-hasher.ts";

export interface RestoredTree {
  readonly tree: GrowingTree;
  /** The log's chain value at the tree's size; 0 when the tree is empty. */
  readonly chain: number;
  /** Why the tree was made again from the log, when it was. */
  readonly rebuilt: string | undefined;
}

/** Tiles that a tree made again may keep in memory before they are written. */
const FULL_TILES_MAX = 256;

/**
 * @throws LOG-FORK the log's records are not what was signed; the place has the position, as far as it is known
 * @throws AUDIT-AHEAD what was signed is not in the log any more
 * @throws AUDIT-TILE a tile is missing or damaged
 */
export async function restoreTree(
  log: LiveStoredLog,
  directory: AuditDirectory,
  checkpoint: SignedCheckpoint | undefined,
  hasher: TreeHasher,
): Promise<RestoredTree> {
  const frontier = await directory.frontier();
  const seen = Math.max(checkpoint?.size ?? 0, typeof frontier === "object" ? frontier.size : 0);
  if (seen > log.durableEnd) {
    const message = `the tree has ${seen} records, the log ends at ${log.durableEnd}`;
    throw auditError("AUDIT-AHEAD", message, { place: { file: directory.path, position: log.durableEnd } });
  }
  const why = await whyNotFromTiles(directory, frontier, checkpoint);
  const parts = { log, directory, checkpoint, hasher };
  if (why !== undefined) return rebuilt(parts, seen, why);
  // A log that took a new id begins a new tree. Of what it has pruned only the leaves are left; the tree ends where a block does.
  if (frontier === undefined && log.base > 0) return rebuilt(parts, log.durableEnd, "there was no tree of this log id");
  if (typeof frontier !== "object") return { tree: new GrowingTree(hasher), chain: 0, rebuilt: undefined };
  await compareNewestLeaves(log, directory, frontier.size, hasher);
  const tree = GrowingTree.restored(frontier.size, (await edgeOf(directory, frontier.size)) ?? [], hasher);
  return { tree, chain: frontier.chain, rebuilt: undefined };
}

/** Why the tiles cannot be trusted; `undefined` when they can, or when there never was a tree. */
async function whyNotFromTiles(
  directory: AuditDirectory,
  frontier: Frontier | "damaged" | undefined,
  checkpoint: SignedCheckpoint | undefined,
): Promise<string | undefined> {
  if (frontier === "damaged") return `${directory.frontierPath()} is damaged, or of an earlier version`;
  if (frontier === undefined) return checkpoint === undefined ? undefined : `${directory.frontierPath()} is missing`;
  if (checkpoint !== undefined && checkpoint.size > frontier.size)
    return `${directory.frontierPath()} is older than the checkpoint`;
  const short = await directory.tiles.levels.shortFor(frontier.size);
  if (short !== undefined) return `${short} is missing or too short`;
  const wanted = [
    { size: frontier.size, root: Buffer.from(frontier.root, "hex") },
    ...(checkpoint === undefined ? [] : [checkpoint]),
  ];
  for (const { size, root } of wanted) {
    const edge = await edgeOf(directory, size);
    if (edge === undefined) return `a tile of the tree of ${size} records is missing`;
    if (!sameHash(GrowingTree.restored(size, edge).root(), root))
      return `the tiles do not give the root of the tree of ${size} records`;
  }
  return undefined;
}

async function edgeOf({ tiles }: AuditDirectory, size: number): Promise<TileBytes[] | undefined> {
  const edge: TileBytes[] = [];
  for (const tile of partialTiles(size)) {
    const bytes = await tiles.read(tile);
    if (bytes === undefined) return undefined;
    edge.push({ tile, bytes });
  }
  return edge;
}

/** The tiles give what was signed; so a record whose leaf differs from theirs was changed. */
async function compareNewestLeaves(
  log: LiveStoredLog,
  { tiles }: AuditDirectory,
  size: number,
  hasher: TreeHasher,
): Promise<void> {
  if (size === 0) return;
  const index = Math.floor((size - 1) / TILE_WIDTH);
  const from = Math.max(index * TILE_WIDTH, log.base);
  const bytes = await tiles.read(tileIn(size, 0, index));
  if (bytes === undefined) throw auditError("AUDIT-TILE", `tile ${index} of level 0 is missing`);
  for await (const batch of log.readStored(from, size)) {
    const { first } = batch;
    const found = await hasher.leaves(batch);
    const at = (first - index * TILE_WIDTH) * HASH_BYTES;
    const different = firstDifference(found, bytes.subarray(at, at + found.length));
    if (different >= 0) throw forkAt(first + different);
  }
}

interface RebuildParts {
  readonly log: LiveStoredLog;
  readonly directory: AuditDirectory;
  readonly checkpoint: SignedCheckpoint | undefined;
  readonly hasher: TreeHasher;
}

/** Makes the tree again from every record up to `seen`, and compares the root on the way. */
async function rebuilt(
  { log, directory, checkpoint, hasher }: RebuildParts,
  seen: number,
  why: string,
): Promise<RestoredTree> {
  // A crash from here on leaves tiles of both kinds: they are made again until all of them are there.
  await directory.dropFrontier();
  const tree = new GrowingTree(hasher);
  let chain = 0;
  const append = async (leaves: Uint8Array): Promise<void> => {
    await tree.append(leaves, checkpoint?.size, () => {
      if (checkpoint !== undefined) mustBe(checkpoint, tree.root());
    });
    if (tree.fullCount >= FULL_TILES_MAX) await directory.tiles.levels.write(tree.takeFull());
  };
  for await (const { bytes } of log.prunedLeaves()) await append(bytes);
  for await (const batch of log.readStored(log.base, seen)) {
    chain = batch.chain;
    await append(await hasher.leaves(batch));
  }
  return { tree, chain, rebuilt: why };
}

function mustBe({ size, root }: SignedCheckpoint, found: Uint8Array): void {
  if (sameHash(found, root)) return;
  throw auditError("LOG-FORK", `the first ${size} records do not give the root that was signed for them`);
}

function forkAt(position: number): Error {
  return auditError("LOG-FORK", `the record at position ${position} is not the one that was signed`, {
    place: { position },
  });
}
