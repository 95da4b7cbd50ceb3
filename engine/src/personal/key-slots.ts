/**
 * The bytes of a key file: a header with the file's secret, then slots of fixed size, each with a check of its own.
 *
 * A slot lies within one sector, and each append on pages of its own, so a crash leaves a slot written or not and its neighbours as
 * they were; slots of an append that did not end read as zeros and are passed over. Anything else that does not verify is refused,
 * because a key that cannot be read must not be taken for one that was erased.
 */
import { hash, timingSafeEqual } from "node:crypto";

/** What is known of one subject. */
export interface KeySlot {
  /** 32 hex digits. */
  readonly id: string;
  /** 64 hex digits. */
  readonly hash: string;
  /** 64 of them; `undefined`: erased. */
  readonly bytes: Buffer | undefined;
}

const MAGIC = "MRKEYS01";
const PAGE_BYTES = 4096;
export const HEADER_BYTES: number = PAGE_BYTES;
const SECRET_BYTES = 32;
export const SLOT_BYTES = 128;
const CHECK_AT = SLOT_BYTES - 8;
const LIVE = 1;
const ERASED = 2;
export const ID_BYTES = 16;
const HASH_AT = 8 + ID_BYTES;
const KEY_AT = 56;

/** Where the page ends that `at` lies in, or that ends there. */
export function pageEnd(at: number): number {
  return Math.ceil(at / PAGE_BYTES) * PAGE_BYTES;
}

export function headerBytes(secret: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.write(MAGIC, "latin1");
  header.set(secret, MAGIC.length);
  header.set(checkOf(header.subarray(0, CHECK_AT)), CHECK_AT);
  return header;
}

/** The secret in the header of a file. @throws Error the header does not verify */
export function secretOf(file: Buffer): Buffer {
  if (file.length < HEADER_BYTES || file.toString("latin1", 0, MAGIC.length) !== MAGIC || !isWhole(file, 0))
    throw new Error("the header is not what was written");
  return file.subarray(MAGIC.length, MAGIC.length + SECRET_BYTES);
}

export function slotBytes({ id, hash: subject, bytes }: KeySlot): Buffer {
  const slot = Buffer.alloc(SLOT_BYTES);
  slot[0] = bytes === undefined ? ERASED : LIVE;
  slot.write(id, 8, "hex");
  slot.write(subject, HASH_AT, "hex");
  if (bytes !== undefined) slot.set(bytes, KEY_AT);
  slot.set(checkOf(slot.subarray(0, CHECK_AT)), CHECK_AT);
  return slot;
}

/** The slots of a file that were written. @throws Error one of them does not verify */
export function* slotsOf(file: Buffer): Generator<KeySlot> {
  for (let at = HEADER_BYTES; at < file.length; at += SLOT_BYTES) {
    const slot = file.subarray(at, at + SLOT_BYTES);
    if (slot.every((byte) => byte === 0)) continue;
    const state = slot[0];
    if (slot.length < SLOT_BYTES || !isWhole(file, at) || (state !== LIVE && state !== ERASED))
      throw new Error(`the slot at byte ${at} is not what was written`);
    yield {
      id: slot.toString("hex", 8, HASH_AT),
      hash: slot.toString("hex", HASH_AT, KEY_AT),
      bytes: state === LIVE ? Buffer.from(slot.subarray(KEY_AT, CHECK_AT)) : undefined,
    };
  }
}

/** True if the check at the end of the slot that begins at `at` is that of its content. */
function isWhole(bytes: Buffer, at: number): boolean {
  return timingSafeEqual(checkOf(bytes.subarray(at, at + CHECK_AT)), bytes.subarray(at + CHECK_AT, at + SLOT_BYTES));
}

function checkOf(content: Uint8Array): Buffer {
  return hash("sha256", content, "buffer").subarray(0, SLOT_BYTES - CHECK_AT);
}
