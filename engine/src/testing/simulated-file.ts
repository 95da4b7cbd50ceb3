/**
 * One file of the simulated disk: what the page cache shows and what the medium holds, in sectors of 512 bytes.
 *
 * The model is the fault model of the embedded log's specification: a sector is written wholly or not; the sectors of an unfinished
 * write land in any order; sectors beside them in the same 4 KiB may be lost; after a failed sync the cache shows bytes the
 * medium does not have and calls them clean.
 */
import type { SeededRandom } from "./seeded-random.ts";

export const SECTOR_BYTES = 512;
export const PAGE_BYTES = 4096;
const NEIGHBOUR_LOSS_CHANCE = 0.5;

export class SimulatedFile {
  cache: Uint8Array = new Uint8Array(0);
  durable: Uint8Array = new Uint8Array(0);
  /** Sectors that the cache will still write back. */
  readonly dirty: Set<number> = new Set();
  /** The descriptor that holds the lock. */
  lockedBy: object | undefined;

  /** Puts bytes into the page cache and marks their sectors dirty. */
  writeCache(bytes: Uint8Array, position: number): void {
    const end = position + bytes.length;
    if (end > this.cache.length) this.cache = grown(this.cache, end);
    this.cache.set(bytes, position);
    for (const sector of sectorsOf(position, end)) this.dirty.add(sector);
  }

  /** Writes sectors of the cache to the medium. The size follows when `withSize`. */
  writeBack(sectors: Iterable<number>, withSize: boolean): void {
    if (withSize && this.durable.length < this.cache.length) this.durable = grown(this.durable, this.cache.length);
    for (const sector of sectors) {
      this.dirty.delete(sector);
      this.#land(sector, this.cache);
    }
  }

  truncate(): void {
    this.cache = new Uint8Array(0);
    this.dirty.clear();
  }

  /** Power goes: of what is dirty some sectors have landed, the cache is gone. */
  powerCut(random: SeededRandom): void {
    if (this.cache.length < this.durable.length && random.chance(0.5))
      this.durable = this.durable.slice(0, this.cache.length);
    const landed = tornSelection([...this.dirty], random);
    this.writeBack(landed, random.chance(0.5));
    this.dirty.clear();
    this.cache = this.durable.slice();
    this.lockedBy = undefined;
  }

  /**
   * A write of `[position, position + bytes)` is cut by a power failure: any of its sectors land, and sectors beside them in a
   * page that was being written may be lost.
   */
  tear(bytes: Uint8Array, position: number, random: SeededRandom): number {
    const end = position + bytes.length;
    const written = sectorsOf(position, end);
    const image = grown(this.cache, Math.max(this.cache.length, end));
    image.set(bytes, position);
    const landed = tornSelection(written, random);
    for (const sector of landed) this.#land(sector, image);
    this.#loseNeighbours(position, end, random);
    return landed.length;
  }

  #loseNeighbours(position: number, end: number, random: SeededRandom): void {
    const first = Math.floor(position / PAGE_BYTES) * PAGE_BYTES;
    const last = Math.ceil(end / PAGE_BYTES) * PAGE_BYTES;
    const inside = new Set(sectorsOf(position, end));
    for (const sector of sectorsOf(first, Math.min(last, this.durable.length))) {
      if (!inside.has(sector) && random.chance(NEIGHBOUR_LOSS_CHANCE)) {
        this.durable.fill(0, sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES);
      }
    }
  }

  #land(sector: number, image: Uint8Array): void {
    const at = sector * SECTOR_BYTES;
    const to = Math.min(at + SECTOR_BYTES, image.length, this.durable.length);
    if (at < to) this.durable.set(image.subarray(at, to), at);
  }
}

export function sectorsOf(from: number, to: number): number[] {
  const out: number[] = [];
  for (let sector = Math.floor(from / SECTOR_BYTES); sector * SECTOR_BYTES < to; sector++) out.push(sector);
  return out;
}

/** Which sectors of an unfinished write landed: none, all, a prefix, a suffix, all but one, or a coin for each. */
function tornSelection(sectors: readonly number[], random: SeededRandom): number[] {
  if (sectors.length === 0) return [];
  const cut = random.below(sectors.length + 1);
  switch (random.below(7)) {
    case 0:
      return [];
    case 1:
      return [...sectors];
    case 2:
      return sectors.slice(0, cut);
    case 3:
      return sectors.slice(cut);
    case 4:
      return sectors.filter((_sector, i) => i !== cut);
    default: {
      const share = random.pick([0.1, 0.5, 0.9]);
      return sectors.filter(() => random.chance(share));
    }
  }
}

function grown(bytes: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  out.set(bytes);
  return out;
}
