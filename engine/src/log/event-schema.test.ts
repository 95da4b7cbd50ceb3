import { describe, expect, it } from "vitest";
import type { StateEvent } from "../behavior/committed-behavior.ts";
import type { RecordedEvent } from "./event-log.ts";
import { defineEventSchema } from "./event-schema.ts";
import { packState, unpackState } from "./packed-payload.ts";

const ID = new Uint8Array(16);
const CONTEXT = {
  causationId: ID,
  correlationId: ID,
  principal: "system",
  tenant: "",
  codeVersion: "1",
  graph: "g",
  graphRevision: 1,
  node: "n",
  epoch: 0,
};

/** As an embedded log gives it: fields are getters of a prototype, so that nothing is copied by spreading. */
function placed(schemaVersion: number, payload: Uint8Array, type = "OrderPlaced"): RecordedEvent {
  const fields = { id: ID, type, schemaVersion, payload, context: CONTEXT, position: 42, stream: "orders/1" };
  return Object.create({ ...fields, revision: 3, timeMs: 1 }) as RecordedEvent;
}

interface Order {
  readonly total: { readonly amount: number; readonly currency: string };
}

type V1 = { readonly amount: number };
type V2 = V1 & { readonly currency: string };

const orderPlaced = defineEventSchema({
  type: "OrderPlaced",
  version: 3,
  upcasters: [
    (order) => ({ ...(order as V1), currency: "EUR" }),
    (order) => {
      const { amount, currency } = order as V2;
      return { total: { amount, currency } };
    },
  ],
  parse: (payload) => payload as unknown as Order,
});

const VERSIONS = [
  [1, { amount: 5 }],
  [2, { amount: 5, currency: "EUR" }],
  [3, { total: { amount: 5, currency: "EUR" } }],
] as const;

describe("an event schema", () => {
  it.each(VERSIONS)("reads version %i in terms of the present one", (version, payload) => {
    expect(orderPlaced.decode(placed(version, packState(payload)))).toEqual(VERSIONS[2][1]);
  });

  it.each(VERSIONS)("makes an event of version %i one of the present version, in its place", (version, payload) => {
    const present = orderPlaced.upcast(placed(version, packState(payload)));
    expect(present).toMatchObject({ schemaVersion: 3, position: 42, stream: "orders/1", revision: 3, timeMs: 1 });
    expect(present.context).toEqual(CONTEXT);
    expect(unpackState(present.payload)).toEqual(VERSIONS[2][1]);
  });

  it.each([4, 65_535, 0])("refuses version %i with type, version and position", (version) => {
    const event = placed(version, packState(null));
    const refusal = expect.objectContaining({
      code: "EVENT-SCHEMA",
      message: `OrderPlaced at position 42 has schema version ${version}; this code knows 1 to 3`,
      place: { stream: "orders/1", position: 42 },
      details: { type: "OrderPlaced", schemaVersion: version, known: 3 },
    });
    expect(() => orderPlaced.decode(event)).toThrow(refusal);
    expect(() => orderPlaced.upcast(event)).toThrow(refusal);
  });

  it("says where a payload is that cannot be read, or not be brought to the present", () => {
    const refusal = expect.objectContaining({ code: "EVENT-PAYLOAD", place: { stream: "orders/1", position: 42 } });
    expect(() => orderPlaced.decode(placed(3, Uint8Array.of(0x92, 1)))).toThrow(refusal);
    expect(() => orderPlaced.upcast(placed(2, packState(null)))).toThrow(refusal);
  });

  it("reads and writes JSON where its payloads are that", () => {
    const upcasters = [(name: StateEvent) => ({ name })];
    const schema = defineEventSchema({ type: "OrderPlaced", version: 2, upcasters, format: "json" });
    const event = placed(1, new TextEncoder().encode('"Zoë"'));
    expect(schema.decode(event)).toEqual({ name: "Zoë" });
    expect(new TextDecoder().decode(schema.upcast(event).payload)).toBe('{"name":"Zoë"}');
    expect(() => schema.decode(placed(2, Uint8Array.of(0xff)))).toThrow(
      expect.objectContaining({ code: "EVENT-PAYLOAD" }),
    );
  });

  it("is a bug with an upcaster too few or too many, and for another type", () => {
    const invariant = expect.objectContaining({ code: "INVARIANT" });
    expect(() => defineEventSchema({ type: "A", version: 2 })).toThrow(invariant);
    expect(() => defineEventSchema({ type: "A", version: 1, upcasters: [(payload) => payload] })).toThrow(invariant);
    expect(() => defineEventSchema({ type: "A", version: 0 })).toThrow(invariant);
    expect(() => orderPlaced.decode(placed(1, packState(null), "OrderPaid"))).toThrow(invariant);
  });
});
