/** Which payloads events name. A name is the hash as text, wherever it stands in an event: whoever asks need not know the event. */
import type { EventLog } from "../log/event-log.ts";

export interface NamingLog extends Pick<EventLog, "durableEnd" | "read" | "base"> {
  /** What a prune carried names payloads too; absent: nothing was. */
  readonly carriedBytes?: () => AsyncIterable<Uint8Array>;
}

const HASH = /(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/g;

/** All that may be a hash in the events of `[from, end)`, and in what was carried of those before. */
export async function hashesIn(log: NamingLog, from: number, end: number): Promise<ReadonlySet<string>> {
  const hashes = new Set<string>();
  for await (const bytes of log.carriedBytes?.() ?? [])
    for (const [sha256] of textOf(bytes).toString("latin1").matchAll(HASH)) hashes.add(sha256);
  for await (const events of log.read({ from, limit: end - from }))
    for (const { payload } of events)
      for (const [sha256] of textOf(payload).toString("latin1").matchAll(HASH)) hashes.add(sha256);
  return hashes;
}

/** Which of the hashes stand in some event from `from` on, as far as events can be read, or in what was carried. */
export async function namedOf(log: NamingLog, wanted: ReadonlySet<string>, from: number): Promise<ReadonlySet<string>> {
  const named = new Set<string>();
  const look = (bytes: Uint8Array): void => {
    const text = textOf(bytes);
    for (const sha256 of wanted) if (!named.has(sha256) && text.includes(sha256, 0, "latin1")) named.add(sha256);
  };
  for await (const bytes of log.carriedBytes?.() ?? []) look(bytes);
  for await (const events of log.read({ from: Math.max(from, log.base ?? 0) })) {
    for (const { payload } of events) look(payload);
    if (named.size === wanted.size) break;
  }
  return named;
}

function textOf({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length);
}
