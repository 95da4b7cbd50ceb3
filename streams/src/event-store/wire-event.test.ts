import { sampleEvent } from "@millrace/engine/testing";
import { expect, it } from "vitest";
import { recordedEvent, wireBytes, wireEvent } from "./wire-event.ts";

const place = { streamId: "s", revision: 4n, created: new Date(1_700_000_000_123), position: { commit: 17n } };

it("reads back what it wrote, field by field", () => {
  const event = sampleEvent({
    type: "Grüße",
    schemaVersion: 65_535,
    context: { principal: "user:Zoë", tenant: "北", graph: "g", graphRevision: 3, node: "n", epoch: 4_000_000_000 },
  });
  const { id, type, data, metadata } = wireEvent(event);
  // As the wire carries it: metadata is JSON text.
  const carried = JSON.parse(JSON.stringify(metadata)) as unknown;
  const stored = recordedEvent({ ...place, id, type, data, isJson: false, metadata: carried });
  expect(stored).toEqual({ ...event, position: 17, stream: "s", revision: 4, timeMs: 1_700_000_000_123 });
  expect(wireBytes(event)).toBeGreaterThan(event.payload.length);
});

it("reads what others wrote", () => {
  const id = "00112233-4455-6677-8899-aabbccddeeff";
  for (const metadata of [undefined, "text", [1], new Uint8Array(3), { $correlationId: 7, epoch: -1, graph: {} }]) {
    const stored = recordedEvent({ ...place, id, type: "T", isJson: true, data: { n: 1 }, metadata });
    expect(stored.context).toMatchObject({ correlationId: stored.id, graph: "", epoch: 0, principal: "" });
    expect(Buffer.from(stored.payload).toString()).toBe('{"n":1}');
  }
});
