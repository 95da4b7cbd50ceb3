/** Which payloads events name. A name is the hash as text, wherever it stands in an event: whoever asks need not know the event. */
import type { EventLog } from "../log/event-log.ts";

export type NamingLog = Pick<EventLog, "durableEnd" | "read" | "base">;

const HASH = /(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/g;

/** All that may be a hash in the events of `[from, end)`. */
export async function hashesIn(log: NamingLog, from: number, end: number): Promise<ReadonlySet<string>> {
  const hashes = new Set<string>();
  for await (const events of log.read({ from, limit: end - from }))
    for (const { payload } of events)
      for (const [sha256] of textOf(payload).toString("latin1").matchAll(HASH)) hashes.add(sha256);
  return hashes;
}

/** Which of the hashes stand in some event from `from` on, as far as events can be read. */
export async function namedOf(log: NamingLog, wanted: ReadonlySet<string>, from: number): Promise<ReadonlySet<string>> {
  const named = new Set<string>();
  for await (const events of log.read({ from: Math.max(from, log.base ?? 0) })) {
    for (const { payload } of events) {
      const text = textOf(payload);
      for (const sha256 of wanted) if (!named.has(sha256) && text.includes(sha256, 0, "latin1")) named.add(sha256);
    }
    if (named.size === wanted.size) break;
  }
  return named;
}

function textOf({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length);
}
