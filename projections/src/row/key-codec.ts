/**
 * Keys of rows as byte strings that sort as their fields do: `null`, then booleans, numbers, strings by their UTF-8 bytes,
 * then anything else by its JSON text. Every field ends by itself, so the bytes of leading fields are a prefix of exactly
 * the keys that begin with them.
 */
import { createHash } from "node:crypto";
import { type Json, KEY_BYTES_MAX } from "@millrace/engine";
import { Bytes } from "./bytes.ts";

const NULL = 1;
const FALSE = 2;
const TRUE = 3;
const NUMBER = 4;
const STRING = 5;
const JSON_TEXT = 6;
/** Above every byte that may follow a field. */
const ABOVE = 0xff;
const HASH_BYTES = 32;
/** Bytes of a key that is too long, before its hash. */
const KEPT_BYTES = KEY_BYTES_MAX - HASH_BYTES;

/** Appends one field of a key. */
export function writeKeyField(value: Json, out: Bytes): void {
  if (value === null) out.byte(NULL);
  else if (typeof value === "boolean") out.byte(value ? TRUE : FALSE);
  else if (typeof value === "number") writeNumber(value, out);
  else if (typeof value === "string") writeText(STRING, value, out);
  else writeText(JSON_TEXT, JSON.stringify(value), out);
}

/** Big-endian IEEE 754 with the sign bit flipped, and all bits of negative numbers: sorts as numbers do. */
function writeNumber(value: number, out: Bytes): void {
  out.byte(NUMBER);
  const start = out.at;
  out.float64(value === 0 ? 0 : value);
  const { buffer } = out;
  if (value >= 0) buffer[start] = (buffer[start] as number) ^ 0x80;
  else for (let i = start; i < start + 8; i++) buffer[i] = ~(buffer[i] as number) & 0xff;
}

/** A zero byte inside is followed by 0xff, the one at the end by 1. */
function writeText(tag: number, text: string, out: Bytes): void {
  out.byte(tag);
  if (!text.includes("\0")) {
    out.utf8(text);
  } else {
    const parts = text.split("\0");
    for (const [i, part] of parts.entries()) {
      if (i > 0) out.uint16(0x00ff);
      out.utf8(part);
    }
  }
  out.uint16(0x0001);
}

/** Makes a key that a store takes: one that is too long ends in a hash of the whole. */
export function fitted(key: Uint8Array): Uint8Array {
  if (key.length <= KEY_BYTES_MAX) return key;
  const out = Buffer.alloc(KEY_BYTES_MAX);
  out.set(key.subarray(0, KEPT_BYTES));
  createHash("sha256").update(key).digest().copy(out, KEPT_BYTES);
  return out;
}

/**
 * Where keys that begin with these leading fields are stored: in `[gte, lt)`. What a long key ends in is a hash, so beyond what is kept
 * of it the range does not tell it from others.
 */
export function rangeOfPrefix(prefix: Uint8Array): { readonly gte: Uint8Array; readonly lt: Uint8Array } {
  if (prefix.length <= KEPT_BYTES) return { gte: prefix, lt: abovePrefix(prefix) };
  const gte = prefix.subarray(0, KEPT_BYTES);
  return { gte, lt: aboveAll(gte) };
}

/** The least byte string above all that begin with `bytes`, whatever follows. */
function aboveAll(bytes: Uint8Array): Uint8Array {
  let last = bytes.length - 1;
  while (bytes[last] === 0xff) last--;
  const out = Uint8Array.from(bytes.subarray(0, last + 1));
  out[last] = (out[last] as number) + 1;
  return out;
}

/** The least byte string above every key that begins with `prefix`. */
export function abovePrefix(prefix: Uint8Array): Uint8Array {
  const out = new Uint8Array(prefix.length + 1);
  out.set(prefix);
  out[prefix.length] = ABOVE;
  return out;
}

/** The least byte string above `key`. */
export function justAbove(key: Uint8Array): Uint8Array {
  const out = new Uint8Array(key.length + 1);
  out.set(key);
  return out;
}

const scratch = new Bytes();

export function keyFieldBytes(value: Json): Uint8Array {
  writeKeyField(value, scratch.reset());
  return scratch.kept();
}

/** The stored key of a row with these values in its key fields. */
export function keyOf(values: readonly Json[]): Uint8Array {
  return fitted(Buffer.concat(values.map(keyFieldBytes)));
}

/** Rows begin here: fields of keys begin with bytes from 1, entries of the index with 0. */
export const FIRST_ROW: Uint8Array = Uint8Array.of(1);
export const AFTER_ROWS: Uint8Array = Uint8Array.of(0xff);

/** Where the key of the row with this value of the index field is kept. */
export function indexKey(value: Json): Uint8Array {
  return fitted(Buffer.concat([Uint8Array.of(0), keyFieldBytes(value)]));
}
