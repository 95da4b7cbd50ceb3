/** JSON that says itself whether it is whole: a line with the CRC32C of the rest, as 8 hex digits, then the text. */
import type { Crc32c } from "./crc32c.ts";
import { viewOf } from "./little-endian.ts";

const CRC_LINE_BYTES = 9;

export function encodeCheckedJson(value: object, crc: Crc32c): Buffer {
  const bytes = Buffer.from(`${" ".repeat(CRC_LINE_BYTES - 1)}\n${JSON.stringify(value, null, 1)}\n`, "utf8");
  bytes.write(sumOf(bytes, crc), 0, "latin1");
  return bytes;
}

/** `undefined` when the bytes are not what was written. */
export function decodeCheckedJson(bytes: Buffer, crc: Crc32c): unknown {
  if (bytes.length <= CRC_LINE_BYTES || bytes.toString("latin1", 0, CRC_LINE_BYTES) !== `${sumOf(bytes, crc)}\n`)
    return undefined;
  return JSON.parse(bytes.toString("utf8", CRC_LINE_BYTES));
}

function sumOf(bytes: Buffer, crc: Crc32c): string {
  return crc(viewOf(bytes), CRC_LINE_BYTES, bytes.length).toString(16).padStart(8, "0");
}
