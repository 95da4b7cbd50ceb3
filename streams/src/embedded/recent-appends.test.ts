import fc from "fast-check";
import { expect, it } from "vitest";
import { RecentAppends } from "./recent-appends.ts";
import { EVENT_ID } from "./record.ts";

/** The fields of a record that count here. */
function recordOf(id: Uint8Array, stream: number): DataView {
  const record = new Uint8Array(64);
  record.set(id, EVENT_ID);
  const view = new DataView(record.buffer);
  view.setUint32(24, stream, true);
  return view;
}

it("remembers exactly the last appends, whatever their ids and streams", () => {
  const id = fc.uint8Array({ minLength: 16, maxLength: 16, max: 2 });
  const append = fc.record({ id, stream: fc.nat(3) });
  const unique = fc.uniqueArray(append, { maxLength: 60, selector: (made) => `${made.stream}/${made.id.join()}` });
  fc.assert(
    fc.property(unique, (appends) => {
      const recent = new RecentAppends(16);
      for (const [position, made] of appends.entries()) {
        expect(recent.find(made.id, made.stream)).toBe(-1);
        recent.add(recordOf(made.id, made.stream), 0, position);
        for (const [other, known] of appends.slice(0, position + 1).entries()) {
          expect(recent.find(known.id, known.stream)).toBe(other > position - 16 ? other : -1);
        }
      }
    }),
  );
});
