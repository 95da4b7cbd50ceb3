/**
 * Signed notes (https://c2sp.org/signed-note) with Ed25519: a text, an empty line, and lines `— <name> <base64>` of signatures.
 * Key names and ids tell signatures apart; those of unknown keys are passed over.
 */
import { createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { sha256 } from "./merkle.ts";

/** The byte that says what a key signs: notes as they are, or cosignatures of checkpoints (tlog-cosignature). */
export const NOTE_KEY = 1;
export const WITNESS_KEY = 4;
type KeyType = typeof NOTE_KEY | typeof WITNESS_KEY;

const KEY_BYTES = 32;
const ID_BYTES = 4;
/** DER of an Ed25519 public key up to its 32 bytes (RFC 8410). */
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");
const DASH = "\u2014 ";

/** Whose signatures are believed. */
export interface VerifierKey<T extends KeyType = typeof NOTE_KEY> {
  readonly type: T;
  readonly name: string;
  /** 4 bytes. */
  readonly id: Buffer;
  readonly key: KeyObject;
}

export interface SigningKey extends VerifierKey {
  readonly privateKey: KeyObject;
}

/** @param name without spaces and `+` */
export function signingKey(name: string, privateKey: KeyObject): SigningKey {
  const key = createPublicKey(privateKey);
  return { type: NOTE_KEY, name, id: keyId(name, NOTE_KEY, rawOf(key)), key, privateKey };
}

/** `<name>+<id>+<base64 of the key>`: what others need in order to check signatures. */
export function formatVerifierKey({ type, name, id, key }: VerifierKey<KeyType>): string {
  return `${name}+${id.toString("hex")}+${Buffer.concat([Buffer.of(type), rawOf(key)]).toString("base64")}`;
}

/** `undefined` when the text is no verifier key of an Ed25519 key. */
export function parseVerifierKey(text: string): VerifierKey | undefined {
  return parseKey(text, NOTE_KEY);
}

/** `undefined` when the text is no verifier key of this type. */
export function parseKey<T extends KeyType>(text: string, type: T): VerifierKey<T> | undefined {
  const match = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+=*)$/.exec(text.trim());
  if (match === null) return undefined;
  const [, name = "", id = "", encoded = ""] = match;
  const bytes = decoded(encoded);
  const raw = bytes?.subarray(1) ?? Buffer.alloc(0);
  if (bytes?.[0] !== type || raw.length !== KEY_BYTES || keyId(name, type, raw).toString("hex") !== id)
    return undefined;
  const key = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: "der", type: "spki" });
  return { type, name, id: Buffer.from(id, "hex"), key };
}

/** @param text ends with a line end */
export function signNote(text: string, key: SigningKey): string {
  const signature = Buffer.concat([key.id, sign(null, Buffer.from(text, "utf8"), key.privateKey)]);
  return `${text}\n${DASH}${key.name} ${signature.toString("base64")}\n`;
}

/** The text of a note that the key has signed; `undefined` when it has not, or the note is none. */
export function openNote(note: string, key: VerifierKey): string | undefined {
  const { text, lines } = splitNote(note) ?? { text: "", lines: [] };
  const signatures = signaturesBy(key, lines);
  const isSigned =
    signatures.length > 0 && signatures.every((found) => verify(null, Buffer.from(text, "utf8"), key.key, found));
  return isSigned ? text : undefined;
}

/** A note's text and the lines of its signatures, without their line ends; `undefined` when it is no note. */
export function splitNote(note: string): { readonly text: string; readonly lines: readonly string[] } | undefined {
  const split = note.lastIndexOf("\n\n");
  if (split < 0 || !note.endsWith("\n")) return undefined;
  return { text: note.slice(0, split + 1), lines: note.slice(split + 2, -1).split("\n") };
}

/** What those lines hold that name the key, without its id. Nothing is verified yet. */
export function signaturesBy({ name, id }: VerifierKey<KeyType>, lines: readonly string[]): readonly Buffer[] {
  const start = `${DASH}${name} `;
  return lines.flatMap((line) => {
    const bytes = line.startsWith(start) ? decoded(line.slice(start.length)) : undefined;
    return bytes?.subarray(0, ID_BYTES).equals(id) === true ? [bytes.subarray(ID_BYTES)] : [];
  });
}

/** Who is said to have signed, by the lines of signatures. */
export function signersOf(lines: readonly string[]): readonly string[] {
  return lines.flatMap((line) => /^\u2014 (\S+) \S+$/.exec(line)?.[1] ?? []);
}

/** Bytes have one base64 text. Node also takes others, such as one whose last digit has bits that say nothing. */
function decoded(base64: string): Buffer | undefined {
  const bytes = Buffer.from(base64, "base64");
  return bytes.toString("base64") === base64 ? bytes : undefined;
}

function keyId(name: string, type: KeyType, raw: Uint8Array): Buffer {
  return sha256(Buffer.concat([Buffer.from(`${name}\n`, "utf8"), Buffer.of(type), raw])).subarray(0, ID_BYTES);
}

function rawOf(key: KeyObject): Buffer {
  return key.export({ format: "der", type: "spki" }).subarray(-KEY_BYTES);
}
