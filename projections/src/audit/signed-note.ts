/**
 * Signed notes (https://c2sp.org/signed-note) with Ed25519: a text, an empty line, and lines `— <name> <base64>` of signatures.
 * Key names and ids tell signatures apart; those of unknown keys are passed over.
 */
import { createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { sha256 } from "./merkle.ts";

const ED25519 = 1;
const KEY_BYTES = 32;
const ID_BYTES = 4;
/** DER of an Ed25519 public key up to its 32 bytes (RFC 8410). */
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");
const DASH = "\u2014 ";

/** Whose signatures are believed. */
export interface VerifierKey {
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
  return { name, id: keyId(name, rawOf(key)), key, privateKey };
}

/** `<name>+<id>+<base64 of the key>`: what others need in order to check signatures. */
export function formatVerifierKey({ name, id, key }: VerifierKey): string {
  return `${name}+${id.toString("hex")}+${Buffer.concat([Buffer.of(ED25519), rawOf(key)]).toString("base64")}`;
}

/** `undefined` when the text is no verifier key of an Ed25519 key. */
export function parseVerifierKey(text: string): VerifierKey | undefined {
  const match = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+=*)$/.exec(text.trim());
  if (match === null) return undefined;
  const [, name = "", id = "", encoded = ""] = match;
  const bytes = decoded(encoded);
  const raw = bytes?.subarray(1) ?? Buffer.alloc(0);
  if (bytes?.[0] !== ED25519 || raw.length !== KEY_BYTES || keyId(name, raw).toString("hex") !== id) return undefined;
  const key = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: "der", type: "spki" });
  return { name, id: Buffer.from(id, "hex"), key };
}

/** @param text ends with a line end */
export function signNote(text: string, key: SigningKey): string {
  const signature = Buffer.concat([key.id, sign(null, Buffer.from(text, "utf8"), key.privateKey)]);
  return `${text}\n${DASH}${key.name} ${signature.toString("base64")}\n`;
}

/** The text of a note that the key has signed; `undefined` when it has not, or the note is none. */
export function openNote(note: string, key: VerifierKey): string | undefined {
  const split = note.lastIndexOf("\n\n");
  if (split < 0 || !note.endsWith("\n")) return undefined;
  const text = note.slice(0, split + 1);
  const lines = note.slice(split + 2, -1).split("\n");
  const signatures = lines.map((line) => signatureOf(line, key)).filter((found) => found !== undefined);
  const isSigned =
    signatures.length > 0 && signatures.every((found) => verify(null, Buffer.from(text, "utf8"), key.key, found));
  return isSigned ? text : undefined;
}

function signatureOf(line: string, { name, id }: VerifierKey): Buffer | undefined {
  const start = `${DASH}${name} `;
  if (!line.startsWith(start)) return undefined;
  const bytes = decoded(line.slice(start.length));
  return bytes?.subarray(0, ID_BYTES).equals(id) === true ? bytes.subarray(ID_BYTES) : undefined;
}

/** Bytes have one base64 text. Node also takes others, such as one whose last digit has bits that say nothing. */
function decoded(base64: string): Buffer | undefined {
  const bytes = Buffer.from(base64, "base64");
  return bytes.toString("base64") === base64 ? bytes : undefined;
}

function keyId(name: string, raw: Uint8Array): Buffer {
  return sha256(Buffer.concat([Buffer.from(`${name}\n`, "utf8"), Buffer.of(ED25519), raw])).subarray(0, ID_BYTES);
}

function rawOf(key: KeyObject): Buffer {
  return key.export({ format: "der", type: "spki" }).subarray(-KEY_BYTES);
}
