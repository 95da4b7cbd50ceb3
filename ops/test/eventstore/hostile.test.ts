/** Peers that break the protocol, flood it, or stop reading: each gets a status, and the others never notice. */
import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { connect as connectTcp } from "node:net";
import { systemEnv, type Timers } from "@millrace/engine";
import { sampleEvent, sampleEvents, to } from "@millrace/engine/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ask as askOn, frame, open as openOn } from "./raw-call.ts";
import { type ServedLog, serveLog } from "./served-log.ts";

const READ = "/event_store.client.streams.Streams/Read";
const APPEND = "/event_store.client.streams.Streams/Append";
const BATCH = "/event_store.client.streams.Streams/BatchAppend";
const FEATURES = "/event_store.client.server_features.ServerFeatures/GetSupportedMethods";
const MIB = 1 << 20;

const machine = systemEnv();
/** What would be done so many ms from now. */
const due = new Map<number, () => void>();
const timers: Timers = {
  after: (delayMs, fire) => {
    due.set(delayMs, fire);
    return machine.timers.after(delayMs, fire);
  },
};

let served: ServedLog;
let session: ClientHttp2Session;
beforeAll(async () => {
  served = await serveLog("memory", { env: { ...machine, timers } });
  session = connect(`http://${served.address}`);
});
afterAll(async () => {
  session.destroy();
  await served.close();
});

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");

const open = (path: string, headers: Readonly<Record<string, string>> = {}, on = session) => openOn(on, path, headers);
const ask = (path: string, bytes: Buffer, headers?: Readonly<Record<string, string>>) =>
  askOn(session, path, bytes, headers);

const isAlive = async (): Promise<boolean> => (await ask(FEATURES, frame(Buffer.alloc(0)))).status === 0;

/** `ReadReq` with options: $all from the start, forwards, without a filter, structured ids. */
const readAll = (rest: string): Buffer => {
  const options = hex(`12 02 12 00 42 00 4a 02 0a 00 ${rest}`);
  return frame(Buffer.concat([Buffer.from([0x0a, options.length]), options]));
};
const SUBSCRIBE = readAll("32 00");

describe("requests that are none", () => {
  it.each([
    ["no message", Buffer.alloc(0), 3, /holds no message/],
    ["half a prefix", hex("00 00 00"), 3, /ends within a message/],
    ["a message cut short", hex("00 00 00 00 10 0a"), 3, /ends within a message/],
    ["a field longer than its message", frame(hex("0a 7f 01")), 3, /longer than its message/],
    ["an endless number", frame(hex(`08 ${"ff".repeat(11)}`)), 3, /more than ten bytes/],
    ["a group", frame(hex("0b 0c")), 3, /wire type 3/],
    ["a field without a number", frame(hex("00 01")), 3, /without a number/],
    ["a number where a message belongs", frame(hex("08 01")), 3, /field 1 is a number/],
    ["text that is no UTF-8", frame(hex("0a 08 0a 06 0a 04 1a 02 ff fe")), 3, /not UTF-8/],
    ["neither a stream nor all", frame(hex("0a 02 28 05")), 3, /neither a stream nor all/],
    ["a compressed message", frame(hex("0a 00"), 1), 12, /compressed/],
    ["a subscription backwards", readAll("18 01 32 00"), 3, /backwards/],
  ])("%s", async (_name, bytes, status, message) => {
    const outcome = await ask(READ, bytes);
    expect(outcome).toMatchObject({ status, message: expect.stringMatching(message) });
    expect(outcome.code).toMatch(/^EVENTSTORE-/);
    expect(await isAlive()).toBe(true);
  });

  it("takes fields that it does not know", async () => {
    const known = readAll("28 01").subarray(5);
    const unknown = Buffer.concat([known, hex("f8 07 01"), hex("fa 07 02 aa bb"), hex("fd 07 01 02 03 04")]);
    expect(await ask(READ, frame(unknown))).toMatchObject({ status: 0 });
  });

  it("a message of millions of fields", async () => {
    const bytes = Buffer.alloc(2 * MIB, hex("f8 07 01"));
    expect(await ask(READ, frame(bytes))).toMatchObject({
      status: 3,
      message: expect.stringMatching(/too many fields/),
    });
  });

  it("a message longer than the limit, before it has come", async () => {
    const stream = open(APPEND);
    const trailers: Record<string, unknown> = {};
    stream.on("response", (head) => Object.assign(trailers, head));
    stream.on("error", () => {});
    stream.write(hex("00 7f ff ff ff"));
    await once(stream, "close");
    expect(trailers).toMatchObject({ "grpc-status": "3", "millrace-code": "EVENTSTORE-TOO-LARGE" });
  });

  it("an append that never says what it appends to, and one that is cut off", async () => {
    const end = served.log.durableEnd;
    expect(await ask(APPEND, Buffer.alloc(0))).toMatchObject({
      status: 3,
      message: expect.stringMatching(/no options/),
    });
    const lost = connect(`http://${served.address}`);
    lost.on("error", () => {});
    const stream = open(APPEND, {}, lost);
    stream.on("error", () => {});
    stream.write(Buffer.concat([frame(hex("0a 07 0a 03 1a 01 73 22 00")), proposed()]));
    await new Promise<void>((resolve) => lost.ping(() => resolve()));
    lost.destroy();
    await once(lost, "close");
    expect(await isAlive()).toBe(true);
    expect(served.log.durableEnd).toBe(end);
  });

  it("an event without its type, and one with an id that is none", async () => {
    const options = frame(hex("0a 07 0a 03 1a 01 73 22 00"));
    const nameless = await ask(APPEND, Buffer.concat([options, frame(hex("12 00"))]));
    expect(nameless).toMatchObject({ status: 3, code: "EVENTSTORE-METADATA" });
    const bad = await ask(APPEND, Buffer.concat([options, proposed("not-a-uuid")]));
    expect(bad).toMatchObject({ status: 3, code: "EVENTSTORE-INVALID", message: expect.stringMatching(/not a UUID/) });
  });

  it("a batch of appends that are never finished", async () => {
    const parts = Array.from({ length: 100 }, (_, i) => {
      const id = Buffer.from(`00000000-0000-4000-8000-${String(i).padStart(12, "0")}`);
      const uuid = Buffer.concat([hex("0a 26 12 24"), id]);
      return frame(Buffer.concat([uuid, hex("12 07 0a 03 1a 01 73 22 00")]));
    });
    const outcome = await ask(BATCH, Buffer.concat(parts));
    expect(outcome).toMatchObject({ status: 3, message: expect.stringMatching(/unfinished/) });
  });

  it("a path that nobody serves, and a request that is no gRPC", async () => {
    const unserved = await ask("/event_store.client.monitoring.Monitoring/Stats", frame(Buffer.alloc(0)));
    expect(unserved).toMatchObject({ status: 12, code: "EVENTSTORE-UNIMPLEMENTED" });
    const stream = open(READ, { "content-type": "application/json" });
    const [head] = await once(stream, "response");
    expect((head as { readonly ":status": number })[":status"]).toBe(415);
    stream.close();
  });
});

/** A `ProposedMessage` of type T with the bytes of a UUID. */
function proposed(id = "00000000-0000-4000-8000-000000000001"): Buffer {
  const text = Buffer.from(id);
  const uuid = Buffer.concat([Buffer.from([0x0a, text.length + 2, 0x12, text.length]), text]);
  const type = Buffer.concat([hex("12 09 0a 04"), Buffer.from("type"), hex("12 01"), Buffer.from("T")]);
  const content = Buffer.concat([hex("12 12 0a 0c"), Buffer.from("content-type"), hex("12 02"), Buffer.from("ab")]);
  const message = Buffer.concat([uuid, type, content]);
  return frame(Buffer.concat([Buffer.from([0x12, message.length]), message]));
}

describe("sockets that are none", () => {
  it("noise, half a preface and HTTP/1.1 with a bad method are closed", async () => {
    for (const text of ["\0\0\0\0nonsense\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "BREW / HTTP/1.1\r\n\r\n"]) {
      const socket = connectTcp(served.port, "127.0.0.1");
      socket.on("error", () => {});
      socket.write(text);
      socket.resume();
      await once(socket, "close");
      expect(await isAlive()).toBe(true);
    }
  });

  it.each([
    ["silence", "", 10_000],
    ["half a request of HTTP/1.1", "GET /info HTTP/1.1\r\n", 15_000],
  ])("%s does not keep its place for ever", async (_name, text, limitMs) => {
    due.clear();
    const socket = connectTcp(served.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(text);
    socket.resume();
    await expect.poll(() => due.has(limitMs)).toBe(true);
    const closed = once(socket, "close");
    due.get(limitMs)?.();
    await closed;
  });
});

it("connections of HTTP/2 are asked now and then whether somebody is there", async () => {
  due.clear();
  const quiet = connect(`http://${served.address}`);
  await expect.poll(() => due.has(30_000)).toBe(true);
  quiet.destroy();
});

describe("expressions that take for ever", () => {
  it("end the call, not the server", async () => {
    await served.log.append(to("victim", sampleEvent({ type: `${"a".repeat(40)}!` })));
    const regex = Buffer.from("^(a+)+$");
    const filter = Buffer.concat([hex("12"), Buffer.from([regex.length + 2, 0x0a, regex.length]), regex, hex("22 00")]);
    const options = Buffer.concat([hex("12 02 12 00 3a"), Buffer.from([filter.length]), filter, hex("28 64")]);
    const outcome = await ask(READ, frame(Buffer.concat([Buffer.from([0x0a, options.length]), options])));
    expect(outcome).toMatchObject({ status: 3, message: expect.stringMatching(/took more than/) });
  });
});

describe("subscribers", () => {
  it("who never read hold back neither appends nor other subscribers, and cost no memory", async () => {
    const quiet = connect(`http://${served.address}`);
    quiet.on("error", () => {});
    for (let i = 0; i < 20; i++) {
      const stream = open(READ, {}, quiet);
      stream.on("error", () => {});
      stream.end(SUBSCRIBE);
      stream.pause();
    }
    const reader = open(READ);
    reader.end(SUBSCRIBE);
    let received = 0;
    reader.on("data", (chunk: Buffer) => {
      received += chunk.length;
    });
    const before = process.memoryUsage().arrayBuffers;
    const payload = Buffer.from(JSON.stringify({ text: "x".repeat(32 * 1024) }));
    for (let i = 0; i < 64; i++) await served.log.append(to("flood", sampleEvents(16, { payload })));
    await expect.poll(() => received).toBeGreaterThan(64 * 16 * payload.length);
    // The log itself is in memory here: 32 MiB. Twenty copies of it would be 640.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(300 * MIB);
    reader.close();
    quiet.destroy();
    expect(await isAlive()).toBe(true);
  });

  it("come by the thousand", async () => {
    const many = connect(`http://${served.address}`);
    many.on("error", () => {});
    await once(many, "remoteSettings");
    const streams = Array.from({ length: 1000 }, (_, i) => {
      const name = Buffer.from(`s-${String(i).padStart(4, "0")}`);
      const target = Buffer.concat([hex("0a 0c 0a 08 1a 06"), name, hex("1a 00")]);
      const options = Buffer.concat([target, hex("32 00 42 00 4a 02 0a 00")]);
      const stream = open(READ, {}, many);
      stream.on("error", () => {});
      stream.end(frame(Buffer.concat([Buffer.from([0x0a, options.length]), options])));
      return stream;
    });
    const caughtUp = streams.map((stream) => bytesOf(stream, 60));
    await Promise.all(caughtUp);
    const next = bytesOf(streams[517] as ClientHttp2Stream, 300);
    await served.log.append(to("s-0517", sampleEvent()));
    await next;
    many.destroy();
    expect(await isAlive()).toBe(true);
  });
});

/** Resolves when that many more bytes have come. */
function bytesOf(stream: ClientHttp2Stream, bytes: number): Promise<void> {
  return new Promise((resolve) => {
    let left = bytes;
    const look = (chunk: Buffer): void => {
      left -= chunk.length;
      if (left > 0) return;
      stream.off("data", look);
      resolve();
    };
    stream.on("data", look);
  });
}
