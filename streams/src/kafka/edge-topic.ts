/**
 * The topic that one subject of edges lies on: one partition, made on first use. What was taken is removed from its front, so the
 * place where the topic begins is what has been acknowledged, and what it holds is what was published and not taken.
 */
import { createHash } from "node:crypto";

/** What nobody took for so long is not taken any more; its origin sends it again when it is asked. */
const MAX_AGE_MS = 24 * 3_600_000;
/** Only whole segments that were taken leave the disk. */
const SEGMENT_BYTES = 16 * 1024 * 1024;
const NAME_CHARS_MAX = 249;
const HASH_CHARS = 32;

export const EDGE_TOPIC_SETTINGS: Readonly<Record<string, string>> = {
  "cleanup.policy": "delete",
  "retention.ms": String(MAX_AGE_MS),
  "segment.bytes": String(SEGMENT_BYTES),
};

/**
 * Any text as the name of a topic: letters, digits and dots stay, all else is escaped. Underscores, too, because the brokers take
 * names that differ only in dots and underscores for the same. What is too long ends with a hash of the whole.
 */
export function edgeTopic(prefix: string, subject: string): string {
  const escaped = [...Buffer.from(`${prefix}.${subject}`)].map(escapedByte).join("");
  if (escaped.length <= NAME_CHARS_MAX) return escaped;
  const hash = createHash("sha256").update(subject).digest("hex").slice(0, HASH_CHARS);
  return `${escaped.slice(0, NAME_CHARS_MAX - HASH_CHARS - 1)}-${hash}`;
}

function escapedByte(byte: number): string {
  const char = String.fromCharCode(byte);
  return /[A-Za-z0-9.]/.test(char) ? char : `-${byte.toString(16).padStart(2, "0")}`;
}
