/**
 * How far the tiles of a tree are, and those at its right edge that are not full yet: one small file, replaced as a whole, so
 * that after a crash there is the one before or this one.
 */
import { createHash } from "node:crypto";
import type { TileBytes } from "./growing-tree.ts";

/** Everything below `size` is in the tiles and in the edge, durably. */
export interface Frontier {
  readonly logId: string;
  readonly size: number;
  /** Of the tree of that size, hex. */
  readonly root: string;
  /** The log's chain value at that position, for the log to be opened with (L-R15). */
  readonly chain: number;
  /** The tiles that are not full, by level: their hashes one after the other, as base64. */
  readonly edge: readonly string[];
}

const FORMAT = 2;

/** Partial tiles as a frontier has them. */
export function edgeOf(partial: readonly TileBytes[]): readonly string[] {
  const edge: string[] = [];
  for (const { tile, bytes } of partial) {
    while (edge.length < tile.level) edge.push("");
    edge.push(Buffer.from(bytes).toString("base64"));
  }
  return edge;
}

/** The hashes of the level's partial tile. */
export function edgeAt({ edge }: Frontier, level: number): Uint8Array {
  return Buffer.from(edge[level] ?? "", "base64");
}

export function encodeFrontier(frontier: Frontier): Buffer {
  const json = JSON.stringify({ format: FORMAT, ...frontier });
  return Buffer.from(`${digest(json)}\n${json}\n`, "utf8");
}

/** `"damaged"` when the bytes are not what was written, or were written by another version. */
export function decodeFrontier(bytes: Buffer, logId: string): Frontier | "damaged" {
  const [sum = "", json = ""] = bytes.toString("utf8").split("\n");
  if (digest(json) !== sum) return "damaged";
  // The digest holds, so this is what a version of encodeFrontier wrote.
  const { format, ...frontier } = JSON.parse(json) as Frontier & { readonly format: number };
  return format === FORMAT && frontier.logId === logId ? frontier : "damaged";
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
