import { createHash } from "node:crypto";
import { SimulatedDisk, SimulatedMount, virtualEnv } from "@millrace/engine/testing";
import { asyncProperty, assert as check, integer, tuple } from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { AuditTiles } from "./audit-tiles.ts";
import { edgeOf } from "./frontier.ts";
import { GrowingTree, tilesOf } from "./growing-tree.ts";
import { leafOfEntry } from "./leaf-hash.ts";
import { consistencyProof, inclusionProof, isConsistent, rootByInclusion } from "./proof.ts";
import { partialTiles, TILE_WIDTH, type Tile, tileOf, tilePath } from "./tile.ts";
import { TreeReader } from "./tree-reader.ts";

/** The definition of RFC 6962, section 2.1, word for word. */
function naiveRoot(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return createHash("sha256").digest();
  if (leaves.length === 1) return leaves[0] as Uint8Array;
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  const [left, right] = [naiveRoot(leaves.slice(0, k)), naiveRoot(leaves.slice(k))];
  return createHash("sha256").update(Buffer.of(1)).update(left).update(right).digest();
}

/** Section 2.1.1. */
function naivePath(m: number, leaves: readonly Uint8Array[]): Uint8Array[] {
  if (leaves.length <= 1) return [];
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return m < k
    ? [...naivePath(m, leaves.slice(0, k)), naiveRoot(leaves.slice(k))]
    : [...naivePath(m - k, leaves.slice(k)), naiveRoot(leaves.slice(0, k))];
}

/** Section 2.1.2. */
function naiveSubproof(m: number, leaves: readonly Uint8Array[], isWhole: boolean): Uint8Array[] {
  if (m === leaves.length) return isWhole ? [] : [naiveRoot(leaves)];
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return m <= k
    ? [...naiveSubproof(m, leaves.slice(0, k), isWhole), naiveRoot(leaves.slice(k))]
    : [...naiveSubproof(m - k, leaves.slice(k), false), naiveRoot(leaves.slice(0, k))];
}

const fullTiles = (tree: GrowingTree): Tile[] => tilesOf(tree.takeFull()).map(({ tile }) => tile);
const leafAt = (i: number): Buffer => leafOfEntry(Buffer.from(`entry ${i}`));
const leavesOf = (size: number): Buffer[] => Array.from({ length: size }, (_, i) => leafAt(i));
const SIZE_MAX = 700;

const env = virtualEnv("tiles");
const mount = new SimulatedMount(new SimulatedDisk({ env, random: env.random.fork("disk"), latencyMsMax: 0 }));

/** The tiles of a tree that was written at each of `sizes`, with the frontier of the last. */
async function written(directory: string, sizes: readonly number[]): Promise<AuditTiles> {
  const tree = new GrowingTree();
  const tiles = new AuditTiles(mount, directory, async () => ({
    logId: "",
    size: tree.size,
    root: "",
    chain: 0,
    edge: edgeOf(tree.partial()),
  }));
  for (const size of sizes) {
    await tree.append(Buffer.concat(leavesOf(size).slice(tree.size)));
    await env.until(tiles.levels.write(tree.takeFull()));
  }
  return tiles;
}

describe("a growing tree", () => {
  it("has the roots of the vectors of Certificate Transparency", async () => {
    const inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    const tree = new GrowingTree();
    const roots: string[] = [];
    for (const input of inputs) {
      await tree.append(leafOfEntry(Buffer.from(input, "hex")));
      roots.push(Buffer.from(tree.root()).toString("hex"));
    }
    expect(Buffer.from(new GrowingTree().root()).toString("hex")).toBe(
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    );
    expect(roots[0]).toBe("6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    expect(roots[7]).toBe("5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
  });

  it("has at every size the root of the definition", async () => {
    const leaves = leavesOf(SIZE_MAX);
    const tree = new GrowingTree();
    for (const [i, leaf] of leaves.entries()) {
      await tree.append(leaf);
      if (i % 7 === 0 || i % TILE_WIDTH < 2) expect(tree.root()).toEqual(naiveRoot(leaves.slice(0, i + 1)));
    }
  });

  it("has given a root that stays, and tiles that stay", async () => {
    const leaves = leavesOf(600);
    const tree = new GrowingTree();
    await tree.append(leaves[0] as Buffer);
    const root = tree.root();
    await tree.append(Buffer.concat(leaves.slice(1, 300)));
    const [full] = tilesOf(tree.takeFull());
    const [partial] = tree.partial();
    await tree.append(Buffer.concat(leaves.slice(300)));
    expect(root).toEqual(leaves[0]);
    expect(full?.bytes).toEqual(Buffer.concat(leaves.slice(0, 256)));
    expect(partial?.bytes).toEqual(Buffer.concat(leaves.slice(256, 300)));
  });

  it("goes on from its tiles as if it had never stopped", async () => {
    const sizes = [1, 255, 256, 257, 65_535, 65_536, 65_537, 66_000];
    const tiles = await written("/restored", sizes);
    const whole = new GrowingTree();
    const leaves = leavesOf(66_100);
    await whole.append(Buffer.concat(leaves));
    const full = fullTiles(whole);
    for (const size of sizes) {
      const edge = [];
      for (const tile of partialTiles(size)) {
        const bytes = await env.until(tiles.read(tile));
        expect(bytes, tilePath(tile)).toBeDefined();
        if (bytes !== undefined) edge.push({ tile, bytes });
      }
      const tree = GrowingTree.restored(size, edge);
      await tree.append(Buffer.concat(leaves.slice(size)));
      expect(tree.root()).toEqual(whole.root());
      const later = full.filter(({ level, index }) => (index + 1) * TILE_WIDTH ** (level + 1) > size);
      expect(fullTiles(tree)).toEqual(later);
    }
  });

  it("is seen at a size that an append passes, and at no other", async () => {
    const leaves = leavesOf(600);
    for (const [before, size, isSeen] of [
      [0, 300, true],
      [0, 600, true],
      [300, 301, true],
      [300, 300, false],
      [0, 601, false],
    ] as const) {
      const tree = new GrowingTree();
      await tree.append(Buffer.concat(leaves.slice(0, before)));
      const seen: Uint8Array[] = [];
      await tree.append(Buffer.concat(leaves.slice(before)), size, () => seen.push(tree.root()));
      expect(seen).toEqual(isSeen ? [naiveRoot(leaves.slice(0, size))] : []);
      expect(tree.root()).toEqual(naiveRoot(leaves));
    }
  });
});

describe("tiles", () => {
  it.each([
    [{ level: 0, index: 0, width: 256 }, "tile/0/000"],
    [{ level: 1, index: 7, width: 12 }, "tile/1/007.p/12"],
    [{ level: 0, index: 1_234_067, width: 256 }, "tile/0/x001/x234/067"],
    [{ level: 2, index: 1000, width: 1 }, "tile/2/x001/000.p/1"],
  ])("%j is at %s", (tile, path) => {
    expect(tilePath(tile)).toBe(path);
    expect(tileOf(path)).toEqual(tile);
  });

  it.each([
    "tile/0/0",
    "tile/0/1000",
    "tile/0/x000/001",
    "tile/0/x001",
    "tile/00/000",
    "tile/100/000",
    "tile/0/000.p/0",
    "tile/0/000.p/256",
    "tile/0/000.p/01",
    "tile/0/000.p/",
    "tile/0/000/",
    "/tile/0/000",
    "tile/0/x999/x999/x999/x999/x999/x999/999",
    "checkpoint",
  ])("none is at %s", (path) => {
    expect(tileOf(path)).toBeUndefined();
  });

  it("of a tree of 70 000 leaves are those of the specification's example", () => {
    expect(partialTiles(70_000).map(tilePath)).toEqual(["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]);
    expect(partialTiles(256).map(tilePath)).toEqual(["tile/1/000.p/1"]);
  });

  it("lie one after the other in the file of their level once they are full", async () => {
    await written("/full", [100, 300, 1000]);
    expect(mount.disk.paths().filter((path) => path.startsWith("/full/"))).toEqual(["/full/level-0"]);
    expect(Buffer.from(mount.disk.bytesOf("/full/level-0"))).toEqual(Buffer.concat(leavesOf(768)));
  });

  it("are read in every width that they have had, full or not, and in none that they have not", async () => {
    const tiles = await written("/widths", [100, 300]);
    const read = async (index: number, width: number): Promise<unknown> =>
      env.until(tiles.read({ level: 0, index, width }));
    const expected = (from: number, to: number): unknown => Buffer.concat(leavesOf(to).slice(from));
    for (const width of [1, 100, 255, 256]) expect(await read(0, width)).toEqual(expected(0, width));
    for (const width of [1, 44]) expect(await read(1, width)).toEqual(expected(256, 256 + width));
    for (const width of [45, 255, 256]) expect(await read(1, width)).toBeUndefined();
    expect(await env.until(tiles.read({ level: 1, index: 0, width: 1 }))).toEqual(naiveRoot(leavesOf(256)));
  });

  it("are shown to nobody before a frontier covers them, wherever a crash has left bytes", async () => {
    const tiles = await written("/covered", [300]);
    await env.until(tiles.levels.write([{ level: 0, index: 1, bytes: Buffer.alloc(8192, 1) }]));
    const covered = async (index: number, width: number): Promise<number | undefined> =>
      (await env.until(tiles.covered({ level: 0, index, width })))?.length;
    expect(await covered(0, 256)).toBe(8192);
    expect(await covered(1, 44)).toBe(44 * 32);
    for (const width of [45, 256]) expect(await covered(1, width)).toBeUndefined();
  });

  it("are missed when the file of their level is gone or cut", async () => {
    const { levels } = await written("/short", [70_000]);
    const shortFor = (size: number): Promise<string | undefined> => env.until(levels.shortFor(size));
    expect(await shortFor(70_000)).toBeUndefined();
    expect(await shortFor(70_143)).toBeUndefined();
    expect(await shortFor(70_144)).toBe("/short/level-0");
    mount.disk.remove("/short/level-1");
    expect(await shortFor(70_000)).toBe("/short/level-1");
    expect(await shortFor(65_535)).toBeUndefined();
  });
});

describe("proofs", () => {
  const leaves = leavesOf(SIZE_MAX);
  let tiles: AuditTiles;
  beforeAll(async () => {
    tiles = await written(
      "/proofs",
      leaves.map((_, i) => i + 1),
    );
  });

  const sizeAndIndex = integer({ min: 1, max: SIZE_MAX }).chain((size) =>
    tuple(integer({ min: size, max: size }), integer({ min: 0, max: size - 1 })),
  );

  it("of inclusion are those of the definition, and lead to the root and nowhere else", async () => {
    await check(
      asyncProperty(sizeAndIndex, async ([size, index]) => {
        const some = leaves.slice(0, size);
        const proof = await env.until(inclusionProof(new TreeReader(tiles, size), index));
        expect(proof).toEqual(naivePath(index, some));
        const leaf = leafAt(index);
        expect(rootByInclusion(leaf, index, size, proof)).toEqual(naiveRoot(some));
        expect(rootByInclusion(leafAt(index + 1), index, size, proof)).not.toEqual(naiveRoot(some));
        if (size > 1) expect(rootByInclusion(leaf, index ^ 1, size, proof)).not.toEqual(naiveRoot(some));
        expect(rootByInclusion(leaf, index, size, [...proof, leaf])).toBeUndefined();
        if (proof.length > 0) expect(rootByInclusion(leaf, index, size, proof.slice(1))).toBeUndefined();
      }),
      { numRuns: 60 },
    );
  });

  it("of consistency are those of the definition, and hold for nothing else", async () => {
    await check(
      asyncProperty(sizeAndIndex, async ([size, before]) => {
        const old = before + 1;
        const proof = await env.until(consistencyProof(new TreeReader(tiles, size), old));
        expect(proof).toEqual(naiveSubproof(old, leaves.slice(0, size), true));
        const earlier = { size: old, root: naiveRoot(leaves.slice(0, old)) };
        const later = { size, root: naiveRoot(leaves.slice(0, size)) };
        const forked = { size, root: naiveRoot([leafAt(-1), ...leaves.slice(1, size)]) };
        expect(isConsistent(earlier, later, proof)).toBe(true);
        expect(isConsistent(earlier, forked, proof)).toBe(false);
        expect(isConsistent({ ...earlier, root: leafAt(9999) }, later, proof)).toBe(false);
        expect(isConsistent(earlier, later, [...proof, leafAt(0)])).toBe(false);
        if (proof.length > 0) expect(isConsistent(earlier, later, proof.slice(0, -1))).toBe(false);
      }),
      { numRuns: 60 },
    );
  });

  it("are refused beyond the tree", async () => {
    const tree = new TreeReader(tiles, 5);
    await expect(inclusionProof(tree, 5)).rejects.toMatchObject({ code: "AUDIT-RANGE" });
    await expect(consistencyProof(tree, 6)).rejects.toMatchObject({ code: "AUDIT-RANGE" });
  });

  it("name a tile that is not there", async () => {
    const nowhere = new AuditTiles(mount, "/nowhere", async () => undefined);
    for (const [size, file] of [
      [300, "/nowhere/frontier"],
      [256, "/nowhere/level-0"],
    ] as const)
      await expect(env.until(inclusionProof(new TreeReader(nowhere, size), size - 1))).rejects.toMatchObject({
        code: "AUDIT-TILE",
        place: { file },
      });
  });
});
