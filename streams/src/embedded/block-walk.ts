/**
 * Recovery's walk over one segment: blocks are taken while they verify; what the first one that does not means is decided by
 * zeros and by what lies behind it (L-R11, L-R12). Torn is cut, corrupt is refused, a clean end is neither.
 */
import {
  BLOCK_BYTES_MAX,
  BLOCK_HEADER_BYTES,
  BLOCK_SEAL,
  type BlockHeader,
  countZeroSectors,
  getBlockHeader,
  isZero,
  paddedBytes,
  SECTOR_BYTES,
} from "./block.ts";
import { type Crc32c, crc32cOfPair } from "./crc32c.ts";
import { alignUp, viewOf } from "./little-endian.ts";
import { isControlAt, positionAt, RECORD_ALIGN, recordCrcHolds, recordLengthAt } from "./record.ts";
import type { RulesOff } from "./rules.ts";
import { decodeSeal, type Seal } from "./seal.ts";
import { SEGMENT_HEADER_BYTES } from "./segment-header.ts";
import type { BlockLocation } from "./tail-table.ts";

/** What the next block has to be. */
export interface Expected {
  seq: number;
  prev: number;
  position: number;
  epoch: number;
}

export interface WalkContext {
  readonly crc: Crc32c;
  readonly align: number;
  readonly rulesOff: RulesOff;
}

export type WalkEnd =
  | { readonly kind: "sealed"; readonly seal: Seal; readonly header: BlockHeader; readonly offset: number }
  | { readonly kind: "clean"; readonly offset: number }
  | { readonly kind: "torn"; readonly offset: number; readonly bytes: number; readonly sectors: number }
  | { readonly kind: "corrupt"; readonly offset: number; readonly why: string };

export interface Walk {
  readonly blocks: BlockLocation[];
  readonly end: WalkEnd;
}

/** Walks the bytes of a whole segment and moves `expected` behind the last block that verifies. */
export function walkSegment(
  bytes: Buffer,
  serial: number,
  salt: Uint8Array,
  expected: Expected,
  context: WalkContext,
): Walk {
  const blocks: BlockLocation[] = [];
  const view = viewOf(bytes);
  let at = SEGMENT_HEADER_BYTES;
  for (;;) {
    const header = getBlockHeader(bytes, at, context.crc);
    const fits =
      header !== undefined && identityFits(header, salt, expected) && withinSegment(header, at, bytes, context);
    if (!fits) return { blocks, end: verdictAt(bytes, at, undefined, salt, expected, context) };
    if (header.kind === BLOCK_SEAL) {
      const found = decodeSeal(bytes, at, context.crc);
      if (found === undefined) return { blocks, end: verdictAt(bytes, at, header, salt, expected, context) };
      expected.seq++;
      expected.prev = header.headCrc;
      return { blocks, end: { kind: "sealed", ...found, offset: at } };
    }
    if (!bodyHolds(view, at, header, context.crc)) {
      return { blocks, end: verdictAt(bytes, at, header, salt, expected, context) };
    }
    const padded = paddedBytes(header.bytes, context.align);
    blocks.push({
      first: header.first,
      count: header.count,
      serial,
      offset: at,
      bytes: padded,
      headCrc: header.headCrc,
    });
    expected.seq++;
    expected.prev = header.headCrc;
    expected.position += header.count;
    expected.epoch = header.epoch;
    at += padded;
  }
}

function identityFits(header: BlockHeader, salt: Uint8Array, expected: Expected): boolean {
  return (
    Buffer.compare(header.salt, salt) === 0 &&
    header.seq === expected.seq &&
    header.prev === expected.prev &&
    header.first === expected.position &&
    header.epoch >= expected.epoch
  );
}

function withinSegment(header: BlockHeader, at: number, bytes: Buffer, context: WalkContext): boolean {
  return header.bytes >= BLOCK_HEADER_BYTES && at + paddedBytes(header.bytes, context.align) <= bytes.length;
}

function bodyHolds(view: DataView, at: number, header: BlockHeader, crc: Crc32c): boolean {
  const whole = wholeRecords(view, at, header, crc);
  return whole.end === at + header.bytes && whole.events === header.count && whole.pairsCrc === header.bodyCrc;
}

/** The leading records of a block that verify. */
export function wholeRecords(
  view: DataView,
  at: number,
  header: BlockHeader,
  crc: Crc32c,
): { readonly end: number; readonly events: number; readonly pairsCrc: number } {
  const end = at + header.bytes;
  let record = at + BLOCK_HEADER_BYTES;
  let events = 0;
  let pairsCrc = 0;
  while (record < end) {
    const length = recordLengthAt(view, record, end);
    if (length === 0 || !recordCrcHolds(view, record, length, crc)) break;
    if (positionAt(view, record) !== header.first + events) break;
    pairsCrc = crc32cOfPair(length, view.getUint32(record + 4, true), pairsCrc);
    if (!isControlAt(view, record)) events++;
    record = alignUp(record + length, RECORD_ALIGN);
  }
  return { end: record, events, pairsCrc };
}

/** `header` is given when it verifies and fits, so that only the body is in doubt. */
function verdictAt(
  bytes: Buffer,
  at: number,
  header: BlockHeader | undefined,
  salt: Uint8Array,
  expected: Expected,
  context: WalkContext,
): WalkEnd {
  if (isZero(bytes, at, bytes.length)) return { kind: "clean", offset: at };
  const { rulesOff, align } = context;
  const blockEnd = Math.min(
    bytes.length,
    at + (header === undefined ? BLOCK_BYTES_MAX : paddedBytes(header.bytes, align)),
  );
  const sectors = countZeroSectors(bytes, at, blockEnd);
  const torn: WalkEnd = { kind: "torn", offset: at, bytes: header?.bytes ?? 0, sectors };
  if (rulesOff.has("L-R11")) return torn;
  if (!looksTorn(bytes, at, header, sectors, rulesOff)) {
    return { kind: "corrupt", offset: at, why: "a block that was finished does not have its checksum" };
  }
  if (rulesOff.has("L-R12")) return torn;
  const why = evidenceBehind(bytes, at, blockEnd, salt, expected, context);
  return why === undefined ? torn : { kind: "corrupt", offset: at, why };
}

function looksTorn(
  bytes: Buffer,
  at: number,
  header: BlockHeader | undefined,
  sectors: number,
  rulesOff: RulesOff,
): boolean {
  if (isZero(bytes, at, Math.min(at + SECTOR_BYTES, bytes.length))) return true;
  if (header === undefined) return false;
  return sectors > (rulesOff.has("L-R11-zeros") ? 0 : header.zeros);
}

/** What shows that the block was once whole: at most one block is ever in doubt, so nothing can lie behind a torn one. */
function evidenceBehind(
  bytes: Buffer,
  at: number,
  blockEnd: number,
  salt: Uint8Array,
  expected: Expected,
  { crc, align }: WalkContext,
): string | undefined {
  if (!isZero(bytes, blockEnd, bytes.length)) return "bytes lie behind the longest block that could be torn";
  for (let next = at + align; next + BLOCK_HEADER_BYTES <= bytes.length; next += align) {
    const header = getBlockHeader(bytes, next, crc);
    if (header === undefined || Buffer.compare(header.salt, salt) !== 0) continue;
    if (header.seq > expected.seq) return `block ${header.seq} lies behind the missing block ${expected.seq}`;
  }
  return undefined;
}
