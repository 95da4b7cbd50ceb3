/**
 * Messages by the schemas of a registry over any broker: bytes go in and come out, through a graph that reads them by one schema and writes
 * them by another. While the registry is away nothing is lost and nothing is refused; what does not fit is a dead letter with its place.
 */
import type { DeadLettered } from "@millrace/engine";
import { expect, vi } from "vitest";
import { SchemaServer } from "../../services/schema-server.ts";
import { deadLettersOf } from "./dead-letters.ts";
import { QUICK, RunningGraph, WAIT } from "./running-graph.ts";

export interface RegisteredPlaces {
  /** Whole addresses. */
  readonly source: string;
  readonly sink: string;
  /** What else nodes say, as a graph file has it. */
  readonly also?: string;
  /** The sink's messages have keys. */
  readonly hasKeys?: boolean;
  /** Field of a row that a message is in. Default: it is the row. */
  readonly field?: string;
  /** What a message's place says. */
  readonly stream: unknown;
  /** What the subject of the sink's schema is named by. */
  readonly subject: string;
  send(bodies: readonly Buffer[]): Promise<unknown>;
  /** All messages of the sink's place, however often it is asked. */
  received(): Promise<readonly Uint8Array[]>;
}

/** Only what hangs takes so long. */
export const REGISTERED_LIMIT_MS = 90_000;

/** What nobody waits a receipt for is lost when a connection breaks, so a busy machine must not make one look broken. */
const PATIENT = { ...QUICK, probeEveryMs: 60_000, probeTimeoutMs: 30_000 };

const record = (type: string): object => ({ type: "record", name: "shop.Count", fields: [{ name: "n", type }] });
const READ_ID = 7;
const WRITTEN_ID = 258;
const NO_ID = 8;
/** More than an `int`, which is what is written. */
const TOO_MUCH = 2n ** 40n;

export async function expectRegistered(places: RegisteredPlaces): Promise<void> {
  const { source, sink, also = "", hasKeys = false, field, stream, subject } = places;
  const schemas = new Map([
    [READ_ID, record("long")],
    [WRITTEN_ID, record("int")],
  ]);
  const registry = await SchemaServer.start(schemas, new Map([[`${subject}-value`, WRITTEN_ID]]));
  registry.isOpen = false;
  const by = `registry: { url: "${registry.url}", allow: [127.0.0.0/8] }${also}`;
  const inner = field === undefined ? "event" : `event.${field}`;
  const text = `name: registered
nodes:
  in:    { kind: source, from: "${source}", ${by} }
  count: { kind: map, input: in, set: { n: ${inner}.n }, select: [n] }
  out:   { kind: sink, input: count, to: "${sink}", ${hasKeys ? "key: [n], " : ""}${by} }
`;
  const graph = await RunningGraph.start(text, undefined, {}, PATIENT);
  /** Those that come twice, once. */
  const received = async (): Promise<readonly string[]> => [
    ...new Set((await places.received()).map((body) => Buffer.from(body).toString("hex"))),
  ];
  const lettersOf = async (): Promise<readonly DeadLettered[]> => [
    ...new Map((await deadLettersOf(graph.log)).map((one) => [JSON.stringify([one.node, one.input]), one])).values(),
  ];
  try {
    await vi.waitFor(() => expect(graph.connection("in")).toBe("up"), WAIT);
    await places.send([framed(READ_ID, 1n)]);
    const node = () => graph.status().nodes.find((one) => one.node === "in");
    const away = { name: registry.url, state: expect.stringMatching(/^(?:backing-off|suspended)$/) };
    await vi.waitFor(() => expect(node()?.connection).toMatchObject(away), WAIT);
    registry.isOpen = true;
    await vi.waitFor(async () => expect(await received()).toHaveLength(1), WAIT);
    expect(await lettersOf()).toEqual([]);
    const cut = framed(READ_ID, TOO_MUCH).subarray(0, -1);
    await places.send([Buffer.from('{"n":1}'), framed(NO_ID, 1n), cut, framed(READ_ID, TOO_MUCH), framed(READ_ID, 2n)]);
    await vi.waitFor(async () => expect(await received()).toHaveLength(2), WAIT);
    expect(await received()).toEqual([1n, 2n].map((n) => framed(WRITTEN_ID, n).toString("hex")));
    await vi.waitFor(async () => expect(await lettersOf()).toHaveLength(4), WAIT);
    const letters = await lettersOf();
    expect(letters.map(({ node, error }) => `${node} ${error.code}`).sort()).toEqual([
      "in REGISTRY-BYTES",
      "in REGISTRY-BYTES",
      "in REGISTRY-UNKNOWN",
      "out REGISTRY-VALUE",
    ]);
    for (const { error } of letters.filter(({ node }) => node === "in")) expect(error.place).toMatchObject({ stream });
    expect(letters.map(({ input }) => input)).toContainEqual({ base64: cut.toString("base64") });
    expect(letters.find(({ node }) => node === "out")?.error.details).toMatchObject({ path: "$.n" });
  } finally {
    await graph.stop();
    await registry.stop();
  }
}

/** As Confluent's serializers frame it: a zero, the id of the schema, and the number in zig-zag, seven bits a byte. */
function framed(id: number, n: bigint): Buffer {
  const head = Buffer.alloc(5);
  head.writeInt32BE(id, 1);
  const bytes: number[] = [];
  let left = n * 2n;
  for (; left > 0x7fn; left >>= 7n) bytes.push(Number(left & 0x7fn) | 0x80);
  return Buffer.concat([head, Buffer.from([...bytes, Number(left)])]);
}
