/** The seal: the last block of a segment, after which no record follows. Its body names what the segment holds. */
import {
  BLOCK_HEADER_BYTES,
  BLOCK_SEAL,
  type BlockHeader,
  getBlockHeader,
  PADDING,
  paddedBytes,
  putBlockHeader,
} from "./block.ts";
import type { Crc32c } from "./crc32c.ts";
import { getU64, hexOf, putU64, viewOf } from "./little-endian.ts";
import type { BlockPlace } from "./open-block.ts";

const BODY_BYTES = 8 + 8 + 8 + 32 + 32;
const ROOT_BYTES = 32;

export interface Seal {
  readonly firstPos: number;
  readonly endPos: number;
  /** Blocks of the segment, the seal not counted. */
  readonly blocks: number;
  /** sha256 of the file up to the seal, 64 hex digits. */
  readonly sha256: string;
}

/** Room that a seal needs at the end of a segment. */
export function sealBytes(align: number): number {
  return paddedBytes(BLOCK_HEADER_BYTES + BODY_BYTES, align);
}

export function encodeSeal(
  seal: Seal,
  place: BlockPlace,
  crc: Crc32c,
): { readonly bytes: Buffer; readonly headCrc: number } {
  const end = BLOCK_HEADER_BYTES + BODY_BYTES;
  const bytes = Buffer.alloc(sealBytes(place.align), PADDING);
  const view = viewOf(bytes);
  putU64(view, 64, seal.firstPos);
  putU64(view, 72, seal.endPos);
  putU64(view, 80, seal.blocks);
  bytes.write(seal.sha256, 88, "hex");
  bytes.fill(0, 120, 120 + ROOT_BYTES);
  const header = {
    ...place,
    first: seal.endPos,
    count: 0,
    bytes: end,
    bodyCrc: crc(view, BLOCK_HEADER_BYTES, end),
    zeros: 0,
  };
  return { bytes, headCrc: putBlockHeader(bytes, { ...header, kind: BLOCK_SEAL }, crc) };
}

/** `undefined` when there is no whole seal at `at`. */
export function decodeSeal(
  bytes: Uint8Array,
  at: number,
  crc: Crc32c,
): { readonly header: BlockHeader; readonly seal: Seal } | undefined {
  const header = getBlockHeader(bytes, at, crc);
  const end = at + BLOCK_HEADER_BYTES + BODY_BYTES;
  if (header === undefined || header.kind !== BLOCK_SEAL || bytes.length < end) return undefined;
  if (header.bodyCrc !== crc(viewOf(bytes), at + BLOCK_HEADER_BYTES, end)) return undefined;
  const view = viewOf(bytes);
  return {
    header,
    seal: {
      firstPos: getU64(view, at + 64),
      endPos: getU64(view, at + 72),
      blocks: getU64(view, at + 80),
      sha256: hexOf(bytes.subarray(at + 88, at + 120)),
    },
  };
}
