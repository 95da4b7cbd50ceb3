/** Checkpoints (https://c2sp.org/tlog-checkpoint): the signed statement that a log of this name has this many leaves and this root. */
import { HASH_BYTES } from "./merkle.ts";
import { openNote, type SigningKey, signNote, type VerifierKey } from "./signed-note.ts";

export interface Checkpoint {
  /** Which log: also the name of the key that signs. */
  readonly origin: string;
  /** Leaves; the positions below it are covered. */
  readonly size: number;
  readonly root: Uint8Array;
}

/** The origin of a Millrace log. */
export function originOf(logId: string): string {
  return `millrace/log/${logId}`;
}

export function signCheckpoint({ origin, size, root }: Checkpoint, key: SigningKey): string {
  return signNote(`${origin}\n${size}\n${Buffer.from(root).toString("base64")}\n`, key);
}

/** `undefined` when the note is not signed by the key or states no tree of the key's log. */
export function openCheckpoint(note: string, key: VerifierKey): Checkpoint | undefined {
  const text = openNote(note, key);
  const match = /^(.+)\n(0|[1-9]\d*)\n([A-Za-z0-9+/]+=*)\n/.exec(text ?? "");
  if (match === null) return undefined;
  const [, origin = "", digits = "", encoded = ""] = match;
  const size = Number(digits);
  const root = Buffer.from(encoded, "base64");
  if (origin !== key.name || !Number.isSafeInteger(size) || root.length !== HASH_BYTES) return undefined;
  return { origin, size, root };
}
