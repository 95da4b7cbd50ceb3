/** Whole numbers up to 2^53 as little-endian u64, without BigInt. */
import { invariant } from "@millrace/engine/worker";

const HIGH = 2 ** 32;
const MACHINE_IS_LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

export function putU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / HIGH), true);
}

export function getU64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * HIGH + view.getUint32(at, true);
}

/** What of a whole number does not fit a word. Nearly always nothing. */
export function highWordOf(value: number): number {
  return value < HIGH ? 0 : Math.floor(value / HIGH);
}

/** Four bytes as a signed word. */
export function wordOf(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}

/** The same memory as words. @throws InvariantViolation the machine's byte order is the other one */
export function wordsOf(bytes: Uint8Array): Int32Array {
  invariant(MACHINE_IS_LITTLE_ENDIAN, "the log is written on machines of little-endian byte order");
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2);
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The next multiple of `unit`, a power of two. */
export function alignUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}
