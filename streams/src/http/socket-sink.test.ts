import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type InputSlice, type Json, Positions, RowBatch, reportOf, systemEnv } from "@millrace/engine";
import { sinkContract, virtualEnv } from "@millrace/engine/testing";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type ServerOptions, type WebSocket, WebSocketServer } from "ws";
import { type SocketSinkOptions, socketSink } from "./socket-sink.ts";

const env = systemEnv();
const WAIT = { timeout: 45_000, interval: 5 };
const QUICK = { backoffMs: 1, backoffMaxMs: 5, suspendMs: 20 };

const ending: (() => void)[] = [];
afterEach(() => {
  for (const end of ending.splice(0).reverse()) end();
});

/** A server that notes what it is sent. */
async function targetOf(heard: (text: string, socket: WebSocket) => void, options: ServerOptions = {}) {
  const server = createServer();
  const sockets = new WebSocketServer({ server, ...options });
  sockets.on("connection", (socket) => socket.on("message", (data) => heard(String(data), socket)));
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const stop = (): void => {
    for (const client of sockets.clients) client.terminate();
    sockets.close();
    server.close();
  };
  ending.push(stop);
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/in`, sockets, stop };
}

const sinkOf = (url: string, options: Partial<SocketSinkOptions> = {}, over = env) =>
  socketSink({ url, sink: "g/out", allow: ["127.0.0.0/8"], policy: QUICK, ...options }, over);

function sliceOf(rows: readonly Json[], first = 0): InputSlice {
  return {
    lane: "in>out",
    input: 0,
    batch: new RowBatch(rows),
    positions: Positions.dense(first, rows.length),
    late: [],
  };
}

interface Framed {
  readonly id: string;
  readonly data: Json;
}

const acknowledge = (text: string, socket: WebSocket): Framed => {
  const message = JSON.parse(text) as Framed;
  socket.send(JSON.stringify({ ack: message.id }));
  return message;
};

for (const ack of [false, true])
  sinkContract(`a WebSocket ${ack ? "with" : "without"} acknowledgements`, async () => {
    const received: Json[] = [];
    const { url, sockets, stop } = await targetOf((text, socket) => {
      received.push(ack ? acknowledge(text, socket).data : (JSON.parse(text) as Json));
    });
    const breakConnections = (): void => {
      for (const socket of sockets.clients) socket.terminate();
    };
    const close = async (): Promise<void> => stop();
    return { connect: () => sinkOf(url, { ack }), content: async () => received, breakConnections, close };
  });

describe("a delivery over a WebSocket", () => {
  test("promises what the other end says about it", () => {
    expect(sinkOf("ws://h/").guarantee).toBe("best-effort");
    expect(sinkOf("ws://h/", { ack: true }).guarantee).toBe("at-least-once");
  });

  test("that was acknowledged in part is sent again without that part, and with the same ids", async () => {
    const received: Framed[] = [];
    let isOdd = true;
    const { url } = await targetOf((text, socket) => {
      const message = JSON.parse(text) as Framed;
      received.push(message);
      if (Number(message.data) < 2 || !isOdd) acknowledge(text, socket);
      else socket.terminate();
    });
    const sink = sinkOf(url, { ack: true });
    await sink.open(undefined);
    const failure = await sink.deliver([sliceOf([0, 1, 2, 3])]).catch(reportOf);
    expect(failure).toMatchObject({ kind: "transient" });
    isOdd = false;
    const before = received.length;
    await sink.open(undefined);
    await sink.deliver([sliceOf([0, 1, 2, 3])]);
    expect(received.slice(before).map(({ data }) => data)).toEqual([2, 3]);
    const ids = new Map<Json, string>();
    for (const { data, id } of received) {
      expect(ids.get(data) ?? id).toBe(id);
      ids.set(data, id);
    }
    expect(new Set(ids.values()).size).toBe(4);
    await sink.close();
  });

  test.each([
    ["acknowledges nothing", true, {}],
    ["answers no ping", false, { autoPong: false }],
  ])("to who %s fails at the deadline, and is done over another connection", async (_, ack, options) => {
    let isDeaf = true;
    const received: string[] = [];
    const { url, sockets } = await targetOf((text, socket) => {
      received.push(text);
      if (ack && !isDeaf) acknowledge(text, socket);
    }, options);
    let connections = 0;
    sockets.on("connection", (socket) => {
      connections++;
      if (!isDeaf) socket.on("ping", (data) => socket.pong(data));
    });
    const virtual = virtualEnv(1);
    const sink = sinkOf(url, { ack, deadlineMs: 2000 }, { ...env, timers: virtual.timers, clock: virtual.clock });
    await sink.open(undefined);
    let end: unknown = "waits";
    const delivering = sink.deliver([sliceOf([1])]).then(
      () => "taken",
      (error) => {
        end = reportOf(error);
      },
    );
    await vi.waitFor(() => expect(received.length).toBe(1), WAIT);
    await virtual.advance(1999);
    expect(end).toBe("waits");
    await virtual.advance(1);
    await delivering;
    expect(end).toMatchObject({ code: "HTTP-DEADLINE", kind: "transient" });
    isDeaf = false;
    const again = sink.deliver([sliceOf([1])]);
    let isDone = false;
    void again.then(() => {
      isDone = true;
    });
    await vi.waitFor(async () => {
      await virtual.advance(1);
      expect(isDone).toBe(true);
    }, WAIT);
    expect([received.length, connections]).toEqual([2, 2]);
    await sink.close();
  });

  test("is not needed to notice that who answered once answers no more, also where the connection came by itself", async () => {
    let isDeaf = false;
    const { url, sockets } = await targetOf(() => undefined, { autoPong: false });
    sockets.on("connection", (socket) => socket.on("ping", (data) => isDeaf || socket.pong(data)));
    const sink = sinkOf(url, { policy: { ...QUICK, probeEveryMs: 5, probeTimeoutMs: 50 } });
    const connected = async (times: number): Promise<void> =>
      vi.waitFor(() => expect(sink.connection?.().connects).toBeGreaterThanOrEqual(times), WAIT);
    await sink.deliver([sliceOf([1])]);
    for (const socket of sockets.clients) socket.terminate();
    await connected(2);
    isDeaf = true;
    await connected(3);
    await sink.close();
  });

  test("waits for a target that is not there yet", async () => {
    const sink = sinkOf("ws://127.0.0.1:9/");
    await sink.open(undefined);
    const failure = await sink.deliver([sliceOf([1])]).catch(reportOf);
    expect(failure).toMatchObject({ code: "CONNECTION-FAILED", kind: "transient" });
    expect(sink.connection?.().state).toBe("backing-off");
    await sink.close();
  });
});
