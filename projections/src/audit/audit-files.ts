/**
 * What everybody may read of a log's tree, as files at the names of https://c2sp.org/tlog-tiles: checkpoint, cosignatures of
 * witnesses, verifier key and tiles. They hold hashes and signatures, no events; the signing key is not among them.
 */
import type { Disk } from "@millrace/engine";
import { AuditDirectory } from "./audit-directory.ts";
import { partialTiles, TILE_WIDTH, tileOf, tilePath } from "./tile.ts";
import { readWhole } from "./whole-file.ts";

export interface AuditFile {
  readonly bytes: Uint8Array;
  /** True for a tile: what is at its name now will be there for ever. Anything else is text that may change. */
  readonly isTile: boolean;
}

export interface AuditFiles {
  /** `undefined` when there is no such file, or none that everybody may read. */
  read(name: string): Promise<AuditFile | undefined>;
  /** The names of the tiles of the tree of `size` records, which a checkpoint covers. */
  tileNames(size: number): Iterable<string>;
}

const TEXT = /^(?:checkpoint(?:-cosigned)?|verifier-key|cosigned\/[0-9a-f]{8})$/;

/** @param parent holds the directory of this log's tree, and of others' */
export function auditFiles(disk: Disk, parent: string, logId: string): AuditFiles {
  const { path, tiles } = new AuditDirectory(disk, parent, logId);
  return {
    async read(name) {
      const tile = tileOf(name);
      if (tile === undefined && !TEXT.test(name)) return undefined;
      const bytes = tile === undefined ? readWhole(disk, `${path}/${name}`) : tiles.covered(tile);
      const found = await bytes;
      return found === undefined ? undefined : { bytes: found, isTile: tile !== undefined };
    },
    tileNames,
  };
}

function* tileNames(size: number): Generator<string> {
  for (let level = 0, full = Math.floor(size / TILE_WIDTH); full > 0; level++, full = Math.floor(full / TILE_WIDTH))
    for (let index = 0; index < full; index++) yield tilePath({ level, index, width: TILE_WIDTH });
  yield* partialTiles(size).map(tilePath);
}
