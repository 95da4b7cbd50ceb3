/**
 * Cosignatures of checkpoints (https://c2sp.org/tlog-cosignature, version 1, Ed25519): a witness's statement that, at that time,
 * this was the largest tree of the log that it had seen, and that each that it had seen before is its beginning.
 */
import { verify } from "node:crypto";
import { parseKey, signaturesBy, splitNote, type VerifierKey, WITNESS_KEY } from "./signed-note.ts";

export type WitnessKey = VerifierKey<typeof WITNESS_KEY>;

const TIME_BYTES = 8;
const SIGNATURE_BYTES = 64;

/** `undefined` when the text is no verifier key of a witness. */
export function parseWitnessKey(text: string): WitnessKey | undefined {
  return parseKey(text, WITNESS_KEY);
}

/** When the witness cosigned this note, in seconds since 1970; `undefined` when it has not. */
export function cosignedAtS(note: string, key: WitnessKey): number | undefined {
  const { text, lines } = splitNote(note) ?? { text: "", lines: [] };
  const times = signaturesBy(key, lines).map((signature) => timeOf(text, signature, key));
  return times.includes(undefined) ? undefined : times[0];
}

function timeOf(text: string, signature: Buffer, { key }: WitnessKey): number | undefined {
  if (signature.length !== TIME_BYTES + SIGNATURE_BYTES) return undefined;
  const time = signature.readBigUInt64BE(0);
  const message = Buffer.from(`cosignature/v1\ntime ${time}\n${text}`, "utf8");
  const isSigned = verify(null, message, key, signature.subarray(TIME_BYTES));
  return isSigned && time <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(time) : undefined;
}

/** The lines of `answer` that name the key: what of an answer belongs into a note. */
export function linesOf(answer: string, key: WitnessKey): readonly string[] {
  return answer.split("\n").filter((line) => signaturesBy(key, [line]).length > 0);
}
