/** Events for contract suites and tests: every id differs, every field can be overridden. */
import { CLIENT_SCHEMA } from "../log/client-event.ts";
import type { EventContext, EventInput, StreamAppend } from "../log/event-log.ts";

let drawn = 0;

/** 16 bytes that no other call of this process returned. */
export function uniqueId(): Uint8Array {
  const id = new Uint8Array(16);
  const view = new DataView(id.buffer);
  drawn += 1;
  view.setUint32(0, 0x5eed_0001);
  view.setUint32(8, Math.imul(drawn, 0x9e37_79b1) >>> 0);
  view.setUint32(12, drawn);
  return id;
}

export type EventOverrides = Partial<Omit<EventInput, "context">> & { readonly context?: Partial<EventContext> };

export function sampleEvent(overrides: EventOverrides = {}): EventInput {
  const id = overrides.id ?? uniqueId();
  return {
    id,
    type: overrides.type ?? "Sampled",
    schemaVersion: overrides.schemaVersion ?? 1,
    payload: overrides.payload ?? Uint8Array.of(1, 2, 3),
    context: {
      causationId: id,
      correlationId: id,
      principal: "system",
      tenant: "main",
      codeVersion: "test",
      graph: "",
      graphRevision: 0,
      node: "",
      epoch: 1,
      ...overrides.context,
    },
  };
}

/** What a client's event with these tags has beside the rest. `padding` bytes of data make it larger. */
export function tagged(tags: readonly unknown[], padding = 0): Pick<EventInput, "schemaVersion" | "payload"> {
  const metadata = Buffer.from(JSON.stringify({ $tags: tags }), "utf8");
  const payload = Buffer.concat([...wireField(7, metadata), ...wireField(8, Buffer.alloc(padding, 1))]);
  return { schemaVersion: CLIENT_SCHEMA, payload };
}

function wireField(field: number, bytes: Buffer): Buffer[] {
  const head = [field * 8 + 2];
  let length = bytes.length;
  for (; length >= 0x80; length >>= 7) head.push((length & 0x7f) | 0x80);
  return [Buffer.from([...head, length]), bytes];
}

export function sampleEvents(count: number, overrides: Omit<EventOverrides, "id"> = {}): EventInput[] {
  return Array.from({ length: count }, () => sampleEvent(overrides));
}

/** An append of `events` to one stream, whatever its head is unless `expected` says otherwise. */
export function to(
  stream: string,
  events: EventInput | readonly EventInput[],
  expected: StreamAppend["expected"] = "any",
): readonly StreamAppend[] {
  return [{ stream, expected, events: "id" in events ? [events] : events }];
}

/** Everything that batches of an iterable hold, in order. */
export async function gather<T>(batches: AsyncIterable<readonly T[]>): Promise<T[]> {
  const out: T[] = [];
  for await (const batch of batches) out.push(...batch);
  return out;
}
