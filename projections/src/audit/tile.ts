/**
 * Tiles in the layout of https://c2sp.org/tlog-tiles: a tile is 256 neighbouring hashes of a level whose hashes each stand for
 * 256 times as many leaves as those of the level below. The last tile of a level may be partial.
 */
export const TILE_WIDTH = 256;

export interface Tile {
  /** 0 holds leaf hashes. */
  readonly level: number;
  /** Number of the tile within its level. */
  readonly index: number;
  /** Hashes in it, `1..256`. */
  readonly width: number;
}

const DIGITS = 3;
const RADIX = 10 ** DIGITS;

/** `tile/<level>/<index>`, with `.p/<width>` when it is partial; an index of 1234067 is `x001/x234/067`. */
export function tilePath({ level, index, width }: Tile): string {
  let path = digits(index % RADIX);
  for (let rest = Math.floor(index / RADIX); rest > 0; rest = Math.floor(rest / RADIX))
    path = `x${digits(rest % RADIX)}/${path}`;
  const full = `tile/${level}/${path}`;
  return width === TILE_WIDTH ? full : `${full}.p/${width}`;
}

const PATH = /^tile\/(0|[1-9]\d?)\/((?:x\d{3}\/)*)(\d{3})(?:\.p\/([1-9]\d{0,2}))?$/;

/** The tile at a path of {@link tilePath}; `undefined` when that is no path of a tile. */
export function tileOf(path: string): Tile | undefined {
  const [, level, above = "", last, width] = PATH.exec(path) ?? [];
  const tile = {
    level: Number(level),
    index: Number(above.replace(/\D/g, "") + last),
    width: width === undefined ? TILE_WIDTH : Number(width),
  };
  // Each tile has one path: no `x000` before it, and none that is full in the place of a partial one.
  return Number.isSafeInteger(tile.index) && tilePath(tile) === path ? tile : undefined;
}

function digits(value: number): string {
  return String(value).padStart(DIGITS, "0");
}

/** The tile of a tree of `size` leaves; its width is 0 when that tree has no hash there. */
export function tileIn(size: number, level: number, index: number): Tile {
  const hashes = Math.floor(size / TILE_WIDTH ** level);
  return { level, index, width: Math.max(0, Math.min(TILE_WIDTH, hashes - index * TILE_WIDTH)) };
}

/** The partial tiles of a tree of `size` leaves, lowest level first. */
export function partialTiles(size: number): Tile[] {
  const tiles: Tile[] = [];
  for (let level = 0; TILE_WIDTH ** level <= size; level++) {
    const hashes = Math.floor(size / TILE_WIDTH ** level);
    const width = hashes % TILE_WIDTH;
    if (width > 0) tiles.push({ level, index: (hashes - width) / TILE_WIDTH, width });
  }
  return tiles;
}
