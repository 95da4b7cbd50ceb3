/** Messages in a format that needs something from elsewhere, over connections. */
import {
  type ConnectionState,
  engineError,
  type Feed,
  type FeedReceipt,
  type InputSlice,
  type Json,
  Positions,
  RowBatch,
  reportOf,
  type SourceReader,
} from "@millrace/engine";
import { virtualEnv } from "@millrace/engine/testing";
import { describe, expect, test } from "vitest";
import { decoded } from "../format/decoded.ts";
import type { DecodeMessage, MessageDecoder, MessageEncoder } from "../format/message-format.ts";
import { NO_ATTRIBUTES } from "../format/message-parts.ts";
import { Connection } from "./connection.ts";
import type { MessageIntake } from "./message-intake.ts";
import { messageSink } from "./message-sink.ts";
import { messageSource } from "./message-source.ts";
import { type FeedDriver, resilientFeed } from "./resilient-feed.ts";

/** Texts, each with the name of a schema before a colon; only known ones can be read. */
class Schemas implements MessageDecoder, MessageEncoder {
  readonly known = new Set<string>();
  isClosed = false;
  /** Whether what answers is asked at all. */
  state: ConnectionState = "up";
  /** Never answers. */
  isSilent = false;

  connection() {
    return { name: "schemas", state: this.state, endpoint: null, reason: "", sinceMs: 0, connects: 0, failures: 0 };
  }

  ready(values: Iterable<Uint8Array>): DecodeMessage | undefined {
    return [...values].every((value) => this.known.has(schemaOf(value))) ? decode : undefined;
  }

  prepared(): Promise<never>;
  prepared(values: Iterable<Uint8Array>): Promise<DecodeMessage>;
  async prepared(values?: Iterable<Uint8Array>): Promise<unknown> {
    if (this.isSilent) return new Promise(() => undefined);
    if (values === undefined && this.known.has("a")) return encode;
    const found = values === undefined ? undefined : this.ready(values);
    if (found === undefined) throw engineError("SOURCE-FAILED", "no schemas", { retryAfterMs: 50 });
    return found;
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}

const SHOWN = 20;
const textOf = (value: Uint8Array): string => String(Buffer.from(value.subarray(0, SHOWN)));
const schemaOf = (value: Uint8Array): string => textOf(value).split(":")[0] ?? "";
const bytes = (text: string): Buffer => Buffer.from(text);

function decode(value: Uint8Array): Json {
  const text = textOf(value);
  if (text.endsWith("!")) throw engineError("MSG-DECODE", "it does not fit", { details: { path: "$" } });
  return text;
}

const encode = (row: Json) => ({
  body: bytes(`a:${row}`),
  contentType: undefined,
  attributes: NO_ATTRIBUTES,
  event: undefined,
});

/** `broken` resolves when the connection of the moment is to end. */
function broker() {
  const env = virtualEnv("messages");
  let breakNow: () => void = () => undefined;
  let given = 0;
  const connection = new Connection<{ readonly broken: Promise<void> }>({
    name: "broker",
    endpoints: ["b"],
    env,
    driver: {
      connect: async () => {
        given++;
        return { broken: new Promise((resolve) => (breakNow = resolve)) };
      },
      probe: async () => undefined,
      ended: async ({ broken }) => broken,
      disconnect: async () => undefined,
    },
  });
  return { env, connection, breakConnection: () => breakNow(), given: () => given };
}

const slice = (from: number, rows: readonly Json[]): InputSlice => ({
  lane: "l",
  input: 0,
  batch: new RowBatch(rows),
  positions: Positions.dense(from, rows.length),
  late: [],
});

describe("a feed", () => {
  /** One that listens; what it hands on, and whether that was settled. */
  async function listening(options: Partial<FeedDriver<object>> = {}) {
    const { env, connection, breakConnection } = broker();
    const schemas = new Schemas();
    const taken: unknown[] = [];
    let intake: MessageIntake | undefined;
    const feed: Feed = resilientFeed(
      connection,
      {
        ...options,
        listen(link, given) {
          intake = given;
          return link.broken;
        },
      },
      env,
      schemas,
    );
    const stop = new AbortController();
    const running = feed.run(
      {
        cursor: undefined,
        take: (message, receipt) => taken.push(receipt?.id ?? message),
        takeGroup: () => taken.push("group"),
        reject: (error, input) => taken.push([reportOf(error), input]),
        lose: (count, reason) => taken.push(`lost ${count}: ${reason}`),
      },
      stop.signal,
    );
    await env.advance(10);
    const end = async (): Promise<void> => {
      stop.abort();
      breakConnection();
      await env.until(running);
    };
    const into = (): MessageIntake => intake as MessageIntake;
    const send = (text: string, receipt?: FeedReceipt): void => into().takeBody(bytes(text), "q", receipt);
    return { env, feed, schemas, taken, into, send, breakConnection, end };
  }

  const RECEIPT = (id: string): FeedReceipt => ({ id, settle: () => undefined });

  test("hands on at once what needs nothing, and holds back whatever is behind what waits", async () => {
    const { env, feed, schemas, taken, into, send, end } = await listening();
    schemas.known.add("a");
    send("a:1");
    expect(taken).toEqual(["a:1"]);
    send("b:2");
    send("a:3!");
    into().take("4");
    into().reject(engineError("MSG-DECODE", "5"), 5);
    into().takeGroup({ items: [], cursor: null });
    await env.advance(500);
    expect(taken).toEqual(["a:1"]);
    expect(feed.connection()).toMatchObject({ name: "schemas", state: "backing-off", reason: "no schemas" });
    schemas.known.add("b");
    await env.advance(500);
    const place = { stream: "q" };
    expect(taken).toEqual([
      "a:1",
      "b:2",
      [expect.objectContaining({ code: "MSG-DECODE", message: "a message of q: it does not fit", place }), "a:3!"],
      "4",
      [expect.objectContaining({ message: "5" }), 5],
      "group",
    ]);
    expect(feed.connection()).toMatchObject({ name: "broker", state: "up" });
    send("b:6");
    expect(taken.at(-1)).toBe("b:6");
    await end();
    expect(schemas.isClosed).toBe(true);
  });

  test("rejects what cannot be put into its envelope, now or later, and goes on behind it", async () => {
    const { into, schemas, env, taken, end } = await listening();
    const impossible = (): never => {
      throw new RangeError("no time");
    };
    schemas.known.add("a");
    into().takeBody(bytes("a:1"), "q", undefined, impossible);
    into().takeBody(bytes("b:2"), "q", undefined, impossible);
    into().takeBody(bytes("a:3"), "q", undefined, (value) => ({ value }));
    schemas.known.add("b");
    await env.advance(2000);
    const fault = expect.objectContaining({ message: "no time" });
    expect(taken).toEqual([[fault, "a:1"], [fault, "b:2"], { value: "a:3" }]);
    await end();
  });

  test("shows the connection of its format where that is worse than its own", async () => {
    const { feed, schemas, end } = await listening();
    schemas.state = "suspended";
    expect(feed.connection()).toMatchObject({ name: "schemas", state: "suspended" });
    await end();
  });

  test.each([
    [true, ["plain", "b:1", "gone", "two"]],
    [false, ["one", "plain", "b:1", ["refused"], "gone", "two"]],
  ])("that is sent again what it did not settle (%s) waits for no more than it could settle", async (resends, all) => {
    const { env, feed, schemas, taken, into, send, breakConnection, end } = await listening({ resends });
    send("b:1", RECEIPT("one"));
    send("b:plain", { id: "plain" });
    send("b:1");
    into().reject("refused", null, RECEIPT("refused"));
    into().take("gone", RECEIPT("gone"));
    breakConnection();
    await env.advance(3000);
    send("b:2", RECEIPT("two"));
    schemas.known.add("b");
    await env.advance(3000);
    expect(taken.map((one) => (Array.isArray(one) ? ["refused"] : one))).toEqual(all);
    send("c:3", RECEIPT("three"));
    await env.advance(100);
    expect(feed.connection().state).toBe("backing-off");
    breakConnection();
    await env.advance(3000);
    expect(feed.connection().state).toBe(resends ? "up" : "backing-off");
    await end();
  });

  test("counts as lost what would fill the memory, and never what waits for a receipt", async () => {
    const { env, schemas, taken, into, end } = await listening();
    const mebibytes = Buffer.alloc(8 * 1024 * 1024, "b");
    mebibytes.write("b:");
    for (let n = 0; n < 9; n++) into().takeBody(mebibytes, "q", RECEIPT(String(n)));
    for (let n = 0; n < 9; n++) into().takeBody(mebibytes, "q", { id: `x${n}` });
    expect(taken).toEqual(["lost 1: came while a schema was waited for"]);
    schemas.known.add("b");
    await env.advance(3000);
    expect(taken).toHaveLength(18);
    // What was handed on makes room.
    schemas.known.delete("b");
    into().takeBody(mebibytes, "q");
    expect(taken).toHaveLength(18);
    await end();
  });
});

describe("a source", () => {
  function reading(texts: readonly string[]) {
    const { env, connection } = broker();
    const schemas = new Schemas();
    const opened: number[] = [];
    const taken: number[] = [];
    const source = messageSource(
      connection,
      {
        capabilities: { replay: true, ordered: true, bounded: true },
        partitions: ["0", "1"],
        form: {
          position: (n: number) => n,
          value: (n) => bytes(texts[n] as string),
          row: (n, by) => decoded(bytes(texts[n] as string), by, () => ({ name: `m${n}`, at: { position: n } })),
          shown: (n) => `shown ${n}`,
        },
        async open(_connection, _partition, after) {
          opened.push(after);
          let next = after + 1;
          return {
            async read(max) {
              if (next >= texts.length) return "end";
              const messages = texts.map((_, n) => n).slice(next, next + max);
              next += messages.length;
              return { messages, through: next - 1, rejected: [] };
            },
            taken: () => taken.push(next - 1),
            close: async () => undefined,
          };
        },
      },
      schemas,
    );
    const read = (reader: SourceReader, max: number) =>
      env.until(
        reader.read(max).then(
          (batch) => (typeof batch === "string" ? batch : [batch.batch.rows(), batch.rejected, batch.through]),
          (error: unknown) => reportOf(error).message,
        ),
      );
    return { env, source, schemas, opened, taken, read };
  }

  test("reads the same again until its format has what it needs, and then rejects what does not fit", async () => {
    const { source, schemas, opened, taken, read } = reading(["a:0", "b:1", "b:2!"]);
    schemas.known.add("a");
    const reader = await source.open("0", -1);
    expect(await read(reader, 1)).toEqual([["a:0"], [], 0]);
    expect(await read(reader, 2)).toBe("no schemas");
    expect(await read(reader, 2)).toBe("no schemas");
    schemas.known.add("b");
    const error = expect.objectContaining({
      code: "MSG-DECODE",
      message: "m2: it does not fit",
      place: { position: 2 },
    });
    expect(await read(reader, 2)).toEqual([["b:1"], [{ pos: 2, error, input: "shown 2" }], 2]);
    expect([opened, taken]).toEqual([
      [-1, 0, 0],
      [0, 2],
    ]);
    expect(await read(reader, 2)).toBe("end");
    await reader.close();
  });

  test("is left at once while its format waits, and ends the format with its last reader", async () => {
    const { env, source, schemas } = reading(["b:0"]);
    schemas.isSilent = true;
    const [one, other] = [await source.open("0", -1), await source.open("1", -1)];
    const waiting = one.read(1);
    await env.advance(10);
    await env.until(one.close());
    expect(await waiting).toBe("idle");
    expect(schemas.isClosed).toBe(false);
    schemas.state = "suspended";
    expect(source.connection?.()).toMatchObject({ name: "schemas" });
    await env.until(other.close());
    expect(schemas.isClosed).toBe(true);
  });
});

test("a sink asks nothing of its target, and gives nothing up, while its format has not what it needs", async () => {
  const { env, connection, given } = broker();
  const schemas = new Schemas();
  const written: string[] = [];
  const sink = messageSink(
    connection,
    {
      guarantee: "at-least-once",
      open: async () => undefined,
      async deliver(_connection, slices, by) {
        for (const { batch } of slices) written.push(...batch.rows().map((row) => String(by(row).body)));
        return null;
      },
    },
    schemas,
  );
  await sink.open(undefined);
  const deliver = (row: Json) =>
    env.until(sink.deliver([slice(0, [row])]).catch((error: unknown) => reportOf(error).message));
  schemas.known.add("a");
  expect(await deliver(1)).toBe(null);
  schemas.known.delete("a");
  expect(await deliver(2)).toBe("no schemas");
  expect(connection.status.state).toBe("up");
  schemas.state = "suspended";
  expect(sink.connection?.()).toMatchObject({ name: "schemas" });
  schemas.known.add("a");
  expect(await deliver(2)).toBe(null);
  expect([written, given()]).toEqual([["a:1", "a:2"], 1]);
  await env.until(sink.close());
  expect(schemas.isClosed).toBe(true);
});
