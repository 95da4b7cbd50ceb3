/** Methods as sinks: what is sent, when it is done, and what an answer that is none means. */
import { inspect } from "node:util";
import { status } from "@grpc/grpc-js";
import {
  type InputSlice,
  type Json,
  type Place,
  Positions,
  RowBatch,
  reportOf,
  type SinkConnector,
  systemEnv,
} from "@millrace/engine";
import { sinkContract } from "@millrace/engine/testing";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { type GrpcSinkOptions, grpcSink } from "../../src/grpc/mod.ts";
import { type BoxMethod, boxMethod, GrpcBox, heldTime, serve } from "./grpc-box.ts";

const env = systemEnv();
const WAIT = { timeout: 45_000, interval: 5 };
const QUICK = { backoffMs: 5, backoffMaxMs: 20, suspendMs: 50 };

function sinkOf(box: GrpcBox, method: BoxMethod, options: Partial<GrpcSinkOptions> = {}, by = env): SinkConnector {
  const how = { method: boxMethod(method), channel: {}, sink: "g/s", policy: QUICK, ...options };
  return grpcSink(box.address(method, "sink"), by, how)();
}

/** More than are on their way at once, where that is said. */
const MANY = 60;
const KEYED = { message: "item", id: "key" };
const WAYS: readonly (readonly [string, BoxMethod, Partial<GrpcSinkOptions>])[] = [
  ["a method that takes a message as it is", "Add", {}],
  ["a method that takes one message", "Put", KEYED],
  ["a method that takes a stream", "Load", KEYED],
  ["a method that acknowledges in order", "Sync", KEYED],
  ["a method that acknowledges by id", "Sync", { ...KEYED, ack: "key", refused: "refused" }],
];

for (const [name, method, options] of WAYS.slice(1))
  sinkContract(
    name,
    async () => {
      const box = await GrpcBox.start();
      return {
        connect: () => sinkOf(box, method, options),
        content: async () => box.held.map(({ item }) => item),
        breakConnections: () => box.breakConnections(),
        close: () => box.close(),
      };
    },
    { many: MANY },
  );

function slice(rows: readonly Json[], from = 0): InputSlice {
  return { lane: "l", input: 0, batch: new RowBatch(rows), positions: Positions.dense(from, rows.length), late: [] };
}

async function opened(sink: SinkConnector): Promise<SinkConnector> {
  await sink.open(undefined);
  onTestFinished(() => sink.close());
  return sink;
}

function errorOf(make: () => unknown): unknown {
  try {
    return make();
  } catch (error) {
    return error;
  }
}

const row = (id: number): Json => ({ id, name: "n", amount: 0 });
const ids = (box: GrpcBox): readonly unknown[] => box.held.map(({ item }) => (item as { readonly id: number }).id);

describe("a method that is written to", () => {
  test("has the same id for a message that is sent again, also by another incarnation", async () => {
    const box = await serve();
    for (const method of ["Put", "Load", "Sync"] as const) {
      for (let incarnation = 0; incarnation < 2; incarnation++) {
        const sink = await opened(sinkOf(box, method, KEYED));
        await sink.deliver([slice([row(1), row(2)], 5)]);
      }
      const held = box.held.splice(0).map(({ id }) => id);
      expect(held.slice(2)).toEqual(held.slice(0, 2));
      expect(new Set(held).size).toBe(2);
      for (const id of held) expect(id).toMatch(/^[\w-]{22}\/\d+\/\d+$/);
    }
  });

  test("is not sent again what it took of a delivery that failed", async () => {
    const box = await serve();
    for (const [method, options] of [
      ["Put", { ...KEYED, inFlight: 2 }],
      ["Sync", { ...KEYED, ack: "key", refused: "refused" }],
    ] as const) {
      const sink = await opened(sinkOf(box, method, options));
      box.refused.set(2, { code: status.INVALID_ARGUMENT, details: "not this one" });
      const refused = {
        code: "GRPC-MESSAGE-REFUSED",
        kind: "rejected",
        message: expect.stringContaining("not this one"),
      };
      await expect(sink.deliver([slice([row(1), row(2)])])).rejects.toMatchObject(refused);
      // As the node bisects it.
      await sink.deliver([slice([row(1)])]);
      await expect(sink.deliver([slice([row(2)], 1)])).rejects.toMatchObject(refused);
      box.refused.clear();
      await sink.deliver([slice([row(2)], 1)]);
      expect(ids(box)).toEqual([1, 2]);
      box.held.splice(0);
    }
  });

  test("a stream that is refused is refused as a whole, until its message is found", async () => {
    const box = await serve();
    const sink = await opened(sinkOf(box, "Load", KEYED));
    box.refused.set(2, { code: status.FAILED_PRECONDITION });
    await expect(sink.deliver([slice([row(1), row(2)])])).rejects.toMatchObject({ code: "GRPC-MESSAGE-REFUSED" });
    await sink.deliver([slice([row(1)])]);
    await expect(sink.deliver([slice([row(2)], 1)])).rejects.toMatchObject({ code: "GRPC-MESSAGE-REFUSED" });
  });

  const PASSES = ["CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "ABORTED"];
  const REFUSES = ["INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION", "OUT_OF_RANGE"];
  const ALSO = ["UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"];
  test.each([
    ...[...PASSES, ...ALSO].map((name) => [name, "GRPC-STATUS", "transient"]),
    ...REFUSES.map((name) => [name, "GRPC-MESSAGE-REFUSED", "rejected"]),
  ])("%s is %s (%s), and nothing of the message is lost", async (name, code, kind) => {
    const box = await serve();
    for (const [, method, options] of WAYS.slice(1)) {
      const sink = await opened(sinkOf(box, method, options));
      box.failures.push({ code: status[name as keyof typeof status], details: "so" });
      await expect(sink.deliver([slice([row(1)])])).rejects.toMatchObject({
        code,
        kind,
        message: expect.stringContaining(`${name}: so`),
      });
      await sink.deliver([slice([row(1)])]);
      expect(ids(box)).toEqual([1]);
      box.held.splice(0);
    }
  });

  test.each([
    "Received message larger than max (5 vs. 4)",
    "grpc: received message larger than max (5 vs. 4)",
    "gRPC message exceeds maximum size 4: 5",
    "Received message exceeds the maximum configured message size.",
    "Error, decoded message length too large: found 5 bytes, the limit is: 4 bytes",
  ])("a message that is too large is rejected: %s", async (details) => {
    const box = await serve();
    const sink = await opened(sinkOf(box, "Put", KEYED));
    box.failures.push({ code: status.RESOURCE_EXHAUSTED, details });
    await expect(sink.deliver([slice([row(1)])])).rejects.toMatchObject({ code: "GRPC-TOO-LARGE", kind: "rejected" });
  });

  test("what is not answered in time is sent again, over a new call", async () => {
    const box = await serve();
    for (const [method, code] of [
      ["Put", "GRPC-STATUS"],
      ["Sync", "GRPC-ACK"],
    ] as const) {
      const sink = await opened(sinkOf(box, method, { ...KEYED, deadlineMs: 500 }));
      box.isSilent = true;
      await expect(sink.deliver([slice([row(1)])])).rejects.toMatchObject({ code, kind: "transient" });
      box.isSilent = false;
      await sink.deliver([slice([row(1)])]);
      const sent = box.held.splice(0).map(({ id }) => id);
      expect(sent).toHaveLength(2);
      expect(new Set(sent).size).toBe(1);
    }
  });

  test("each acknowledgement has its own time", async () => {
    const box = await serve();
    box.isSilent = true;
    const time = heldTime();
    const sink = await opened(sinkOf(box, "Sync", { ...KEYED, ack: "key", deadlineMs: 100_000 }, time.env));
    const delivered = sink.deliver([slice([row(1), row(2), row(3)])]);
    const outcome = delivered.then(
      () => "taken",
      (error: { readonly code: string }) => error.code,
    );
    await vi.waitFor(() => expect(box.held).toHaveLength(3), WAIT);
    for (const [i, { id }] of box.held.entries()) {
      await vi.waitFor(() => expect(time.waits.filter((ms) => ms === 100_000)).toHaveLength(i + 1), WAIT);
      await time.advance(60_000);
      box.acknowledge(id);
    }
    expect(await outcome).toBe("taken");
  });

  test("a call that both ends write to is not made again before the service wants it", async () => {
    const box = await serve();
    const time = heldTime();
    const sink = await opened(sinkOf(box, "Sync", KEYED, time.env));
    box.failures.push({ code: status.UNAVAILABLE, pushbackMs: 100_000 });
    await expect(sink.deliver([slice([row(1)])])).rejects.toMatchObject({ code: "GRPC-STATUS", retryAfterMs: 100_000 });
    await vi.waitFor(() => expect(sink.connection?.().state).toBe("backing-off"), WAIT);
    const again = sink.deliver([slice([row(1)])]);
    await vi.waitFor(() => expect(time.waits).toContain(100_000), WAIT);
    expect(box.held).toEqual([]);
    await time.advance(100_000);
    await again;
    expect(ids(box)).toEqual([1]);
  });

  test("an acknowledgement of what was not sent is none", async () => {
    const box = await serve();
    box.acknowledges = "x/1/0";
    const sink = await opened(sinkOf(box, "Sync", { ...KEYED, ack: "key" }));
    await expect(sink.deliver([slice([row(1)])])).rejects.toMatchObject({ code: "GRPC-ACK", kind: "transient" });
    box.acknowledges = undefined;
    await sink.deliver([slice([row(1)])]);
    expect(new Set(box.held.map(({ id }) => id)).size).toBe(1);
  });

  test("a row that does not fit is rejected with its place, and nothing of the delivery was sent", async () => {
    const box = await serve();
    for (const [, method, options] of WAYS) {
      const sink = await opened(sinkOf(box, method, options));
      const path = options.message === undefined ? "$.id" : "$.item.id";
      await expect(sink.deliver([slice([row(1), { id: "x" }])])).rejects.toMatchObject({
        code: "GRPC-VALUE",
        kind: "rejected",
        details: { path },
      });
      expect(box.held).toEqual([]);
    }
    const plain = await opened(sinkOf(box, "Add"));
    await expect(plain.deliver([slice([7])])).rejects.toMatchObject({ code: "GRPC-VALUE", details: { path: "$" } });
  });

  test("secrets are shown in no error", async () => {
    const box = await serve();
    const sink = await opened(sinkOf(box, "Put", { ...KEYED, secrets: ["s3cret"], metadata: { a: "s3cret" } }));
    box.failures.push({ code: status.UNAUTHENTICATED, details: "not with s3cret" });
    await expect(sink.deliver([slice([row(1)])])).rejects.toMatchObject({
      message: expect.stringContaining("not with ***"),
    });
  });

  test.each(["s3cret\n", "s3crét"])(
    "a value of metadata that cannot be one is refused without being shown",
    async (value) => {
      const box = await serve();
      const placeOf = (...keys: readonly string[]): Place => ({ path: `/${keys.join("/")}` });
      for (const method of ["Put", "Load", "Sync"] as const) {
        const error = errorOf(() => sinkOf(box, method, { ...KEYED, metadata: { token: value }, placeOf }));
        expect(reportOf(error)).toMatchObject({
          code: "GRPC-SCHEMA",
          message: "the value of `token` has characters that metadata cannot hold",
          place: { path: "/metadata/token" },
        });
        expect(inspect(error)).not.toContain("s3cr");
      }
    },
  );
});
