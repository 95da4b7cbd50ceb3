import fc from "fast-check";
import { expect, it } from "vitest";
import { EventId } from "./event-id.ts";
import { RecentAppends } from "./recent-appends.ts";

const BEYOND_ONE_WORD = 2 ** 32 - 3;

function idOf(bytes: Uint8Array): EventId {
  const id = new EventId();
  id.read(bytes);
  return id;
}

it.each([0, BEYOND_ONE_WORD])(
  "remembers exactly the last appends, whatever their ids and streams (from %i on)",
  (from) => {
    const bytes = fc.uint8Array({ minLength: 16, maxLength: 16, max: 2 });
    const append = fc.record({ bytes, stream: fc.nat(3) });
    const unique = fc.uniqueArray(append, { maxLength: 60, selector: (made) => `${made.stream}/${made.bytes.join()}` });
    fc.assert(
      fc.property(unique, (appends) => {
        const recent = new RecentAppends(16);
        for (const [number, made] of appends.entries()) {
          expect(recent.find(idOf(made.bytes), made.stream)).toBe(-1);
          recent.add(idOf(made.bytes), made.stream, from + number);
          for (const [other, known] of appends.slice(0, number + 1).entries()) {
            expect(recent.find(idOf(known.bytes), known.stream)).toBe(other > number - 16 ? from + other : -1);
          }
        }
      }),
    );
  },
);
