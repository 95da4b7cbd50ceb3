/**
 * Records of every version that was ever written, byte by byte. They stay readable for ever: a new version adds a file here, and
 * changes none. What the present version writes may not change without a new version.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  encodeOwned,
  encodeStep,
  HORIZON,
  heardLanesOf,
  horizonOf,
  LANES_HEARD,
  OWNED,
  ownedOf,
  packState,
  type RecordedEvent,
  SOURCE_IDENTIFIED,
  SOURCE_MARKED,
  STEP,
  STEP_SCHEMA,
  type StepRecord,
  sourceIdentityOf,
  sourceMarkOf,
  stepOf,
} from "../src/mod.ts";

const id = new Uint8Array(16);

/** A golden record as an event. */
function golden(type: string, schemaVersion: number): RecordedEvent {
  const file = join(import.meta.dirname, "golden", `${type.toLowerCase()}-v${schemaVersion}.hex`);
  const payload = Uint8Array.from(Buffer.from(readFileSync(file, "utf8").replaceAll(/\s/g, ""), "hex"));
  const who = { causationId: id, correlationId: id, principal: "system", tenant: "", codeVersion: "1" };
  const context = { ...who, graph: "g", graphRevision: 1, node: "n", epoch: 0 };
  return { id, type, schemaVersion, payload, context, position: 7, stream: "g/n", revision: 0, timeMs: 0 };
}

/** One of everything that a step can hold. */
const step: StepRecord = {
  at: 1_700_000_000_123,
  since: Number.NEGATIVE_INFINITY,
  inputs: [
    {
      lane: 0,
      from: { pos: -1, ord: 4_294_967_295 },
      to: { pos: 88, ord: 0 },
      watermark: 1_690_000_000_000,
      exact: true,
      idle: false,
      mark: { epoch: 2, n: 5 },
      revision: 1,
      messages: 4,
      shed: 1,
    },
    {
      lane: 1,
      from: { pos: 2, ord: 3 },
      to: { pos: 2, ord: 4 },
      watermark: Number.POSITIVE_INFINITY,
      exact: false,
      idle: true,
      mark: null,
      revision: 2,
      messages: 0,
      shed: 0,
    },
  ],
  opened: [{ lane: 1, name: "orders[0]>large>table" }],
  recorded: [0.25, { answer: [1, "zwei", null, true] }],
  state: [{ rows: ["columns", Uint8Array.of(1, 2, 3)] }, null, "text", -1.5, 2 ** 40],
  emitted: [
    {
      port: "out",
      firstSeq: 17,
      count: 2,
      batch: [1, Uint8Array.of(255)],
      late: [{ pos: 18, watermark: 1_690_000_000_000 }],
    },
  ],
  dead: [
    {
      id: "00112233445566778899aabbccddeeff",
      lane: "orders[0]>large>table",
      pos: 12,
      ord: 0,
      node: "large",
      attempts: 3,
      error: { code: "EXPR-FAILED", kind: "rejected", message: "no amount", place: { file: "g.yaml", line: 4 } },
      input: { id: 5, größe: "ü" },
    },
    {
      id: "ffeeddccbbaa99887766554433221100",
      lane: "orders[0]",
      pos: 13,
      ord: 0,
      node: "orders",
      attempts: 1,
      error: { code: "MSG-DECODE", kind: "rejected", message: "no JSON" },
      input: undefined,
    },
  ],
  dropped: [{ reason: "late", count: 9 }],
  watermark: 1_690_000_000_001,
  out: { watermark: 1_690_000_000_002, idle: true },
};

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe("a step record", () => {
  it.each([
    [1, []],
    [2, [{ pos: 18, watermark: 1_690_000_000_000 }]],
  ])("of version %i is read", (version, late) => {
    const read = stepOf(golden(STEP, version));
    expect(read.emitted.map((emitted) => emitted.late)).toEqual([late]);
    // Byte arrays are read as buffers, which are equal in what they hold only.
    expect(packState(read.state)).toEqual(packState(step.state));
    expect(read.emitted.map(({ batch }) => packState(batch))).toEqual(
      step.emitted.map(({ batch }) => packState(batch)),
    );
    const emitted = (of: StepRecord): unknown => of.emitted.map(({ port, firstSeq, count }) => [port, firstSeq, count]);
    expect(emitted(read)).toEqual(emitted(step));
    expect({ ...read, state: [], emitted: [] }).toEqual({ ...step, state: [], emitted: [] });
  });

  it("is written as its version says", () => {
    expect(hex(encodeStep(step))).toBe(hex(golden(STEP, STEP_SCHEMA).payload));
  });

  it("of a version to come is refused with type, version and position", () => {
    const message = "Step at position 7 has schema version 3; this code knows 1 to 2";
    expect(() => stepOf({ ...golden(STEP, 2), schemaVersion: 3 })).toThrow(message);
  });
});

describe("other events of the engine", () => {
  it("of version 1 are read, and written so", () => {
    const owned = { epoch: 3, host: "höst" };
    expect(ownedOf(golden(OWNED, 1))).toEqual(owned);
    expect(hex(encodeOwned(owned))).toBe(hex(golden(OWNED, 1).payload));
    expect(horizonOf(golden(HORIZON, 1))).toEqual({ partition: "0", through: 4096 });
    const anchor = { pos: 90, watermark: 1_690_000_000_000 };
    expect(heardLanesOf(golden(LANES_HEARD, 1))).toEqual([
      { origin: "in#0", path: 3, durable: { pos: 99, ord: 4_294_967_295 }, durableAnchor: anchor },
    ]);
    expect(sourceIdentityOf(golden(SOURCE_IDENTIFIED, 1))).toEqual({ partition: "0", identity: "created at 7" });
    const mark = { partition: "0", from: 4096, place: { key: "día.csv", etag: '"7"' } };
    expect(sourceMarkOf(golden(SOURCE_MARKED, 1))).toEqual(mark);
  });

  it("of a version to come are refused", () => {
    expect(() => ownedOf({ ...golden(OWNED, 1), schemaVersion: 2 })).toThrow("Owned at position 7");
    expect(() => horizonOf({ ...golden(HORIZON, 1), schemaVersion: 2 })).toThrow("Horizon at position 7");
  });
});
