import { connect, type Socket } from "node:net";
import { type PeekedMessage, systemEnv, type Timers } from "@millrace/engine";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { edgeStatus, graphStatus, nodeStatus } from "./fake-host.ts";
import { type TestGateway, testGateway } from "./test-gateway.ts";

interface Message {
  readonly id: string | undefined;
  readonly event: string;
  // biome-ignore lint/suspicious/noExplicitAny: parsed JSON that each test describes with its expectations.
  readonly data: any;
}

let gateway: TestGateway;
let origin = "";
const open: AbortController[] = [];

beforeEach(async () => {
  gateway = testGateway();
  origin = await gateway.app.listen({ host: "127.0.0.1", port: 0 });
});
afterEach(async () => {
  for (const controller of open.splice(0)) controller.abort();
  await gateway.app.close();
});

/** Messages of an event stream, read one after the other. */
async function* messages(path: string, headers: Record<string, string> = {}): AsyncGenerator<Message> {
  const controller = new AbortController();
  open.push(controller);
  const response = await fetch(origin + path, { headers, signal: controller.signal });
  expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/event-stream; charset=utf-8"]);
  expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
  let text = "";
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += Buffer.from(chunk).toString("utf8");
    const parts = text.split("\n\n");
    text = parts.pop() ?? "";
    for (const part of parts) {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(part)?.[1];
      const data = field("data");
      if (data !== undefined) yield { id: field("id"), event: field("event") ?? "", data: JSON.parse(data) };
    }
  }
}

async function next(stream: AsyncGenerator<Message>, wanted: (message: Message) => boolean): Promise<Message> {
  for (;;) {
    const { value, done } = await stream.next();
    if (done) throw new Error("the stream ended");
    if (wanted(value)) return value;
  }
}

const named =
  (event: string) =>
  (message: Message): boolean =>
    message.event === event;

describe("the live stream", () => {
  it("says now and then that it is still there, so that dead connections are found", async () => {
    const machine = systemEnv();
    let beat = (): void => {};
    const timers: Timers = {
      after: (delayMs, fire) => {
        if (delayMs === 15_000) beat = fire;
        return machine.timers.after(delayMs, fire);
      },
    };
    const quiet = testGateway({ env: { ...machine, timers } });
    const controller = new AbortController();
    const url = `${await quiet.app.listen({ host: "127.0.0.1", port: 0 })}/api/v1/live?status=none&events=none`;
    const { body } = await fetch(url, { signal: controller.signal });
    const reader = (body as ReadableStream<Uint8Array>).getReader();
    let text = "";
    for (let n = 1; n <= 2; n++) {
      beat();
      while (text.split(": still here").length <= n) text += Buffer.from((await reader.read()).value ?? "").toString();
    }
    controller.abort();
    await quiet.app.close();
  });

  it("makes rates from counters", async () => {
    const stream = messages("/api/v1/live?graph=late-flights");
    const first = await next(stream, named("status"));
    expect(first.data).toMatchObject({ end: 30, graphs: [{ graph: "late-flights", state: "running" }] });
    const status = gateway.host.status("late-flights");
    if (!status) throw new Error("no graph");
    let messagesOut = 0;
    const moving = setInterval(() => {
      messagesOut += 100;
      gateway.host.add({
        ...status,
        messagesIn: messagesOut,
        edges: [edgeStatus("flights", "late", { messages: messagesOut })],
      });
    }, 20);
    try {
      const live = await next(stream, ({ event, data }) => event === "status" && data.graphs[0].edges[0].rate > 2000);
      expect(live.data.graphs[0].inRate).toBeGreaterThan(2000);
      expect(live.data.graphs[0].edges[0].rate).toBeLessThan(8000);
    } finally {
      clearInterval(moving);
    }
  });

  it("names what holds a graph back", async () => {
    const nodes = [
      nodeStatus("flights", "source"),
      nodeStatus("slow", "window", { state: "parked", reason: "MSG-POISON, 5 restarts in 60 s" }),
    ];
    gateway.host.add(graphStatus("g", nodes, [edgeStatus("flights", "slow", { depth: 1000 })]));
    const { data } = await next(messages("/api/v1/live?graph=g"), named("status"));
    const graph = data.graphs.find((one: { graph: string }) => one.graph === "g");
    expect(graph.bottlenecks).toEqual([
      { node: "slow", share: 1, cause: "parked", sentence: "MSG-POISON, 5 restarts in 60 s" },
    ]);
    expect(graph.nodes[1].fill).toBeCloseTo(1000 / 1024, 2);
  });

  it.each(["summary", "all"])("shows the nodes of a graph that is called %s, and of no other", async (graph) => {
    gateway.host.add(graphStatus(graph, [nodeStatus("one", "source")], []));
    const { data } = await next(messages(`/api/v1/live?graph=${graph}`), named("status"));
    const shown = (data.graphs as { graph: string; nodes?: unknown }[]).filter(({ nodes }) => nodes !== undefined);
    expect(shown.map((one) => one.graph)).toEqual([graph]);
  });

  it("resumes after Last-Event-ID exactly, with every event", async () => {
    const stream = messages("/api/v1/live?events=all&status=none", { "last-event-id": "11" });
    const seen: number[] = [];
    let lastId = "";
    for (let added = 0; seen.length < 20; ) {
      const message = await next(stream, named("events"));
      seen.push(...message.data.events.map((event: { position: number }) => event.position));
      lastId = message.id ?? "";
      if (added++ === 0) gateway.log.add({ type: "Step", stream: "node/0" });
      if (seen.at(-1) === 30) break;
    }
    expect(seen).toEqual(Array.from({ length: 19 }, (_, i) => 12 + i));
    expect(lastId).toBe("30");
  });

  it.each(["all", "newest"])(
    "goes on at the log's end for a reader that knows another log, further on (%s)",
    async (events) => {
      const stream = messages(`/api/v1/live?events=${events}`, { "last-event-id": "999999999999" });
      await next(stream, named("status"));
      gateway.log.add({ type: "GraphStopped", stream: "graph/late-flights" });
      const { data } = await next(stream, named("events"));
      expect(data.events.map(({ position }: { position: number }) => position)).toEqual([30]);
    },
  );

  it("tells the newest events and counts those it left out", async () => {
    for (let i = 0; i < 170; i++) gateway.log.add({ type: "Step", stream: "node/0" });
    const { data, id } = await next(messages("/api/v1/live", { "last-event-id": "9" }), named("events"));
    expect([data.events.length, data.skipped, data.end, id]).toEqual([50, 140, 200, "199"]);
    expect(data.events.at(-1).position).toBe(199);
  });

  it("tells only events that pass the filter", async () => {
    const { data } = await next(messages("/api/v1/live?type=Step", { "last-event-id": "0" }), named("events"));
    expect(data.events.map((event: { position: number }) => event.position)).toEqual([3, 6, 9, 12, 15, 18, 21, 24, 27]);
    expect(data.skipped).toBe(0);
  });

  it("samples an edge, starting with what crossed it last, and stops when the reader goes", async () => {
    const peek = encodeURIComponent("late-flights/flights -> late");
    const stream = messages(`/api/v1/live?peek=${peek}`);
    const first = await next(stream, named("peek"));
    expect(first.data.messages[0].value).toEqual({ origin: "ATL", delay: 42 });
    const batch: PeekedMessage[] = Array.from({ length: 500 }, (_, i) => ({
      edge: "flights -> late",
      pos: 499 - i,
      ord: 0,
      atMs: 0,
      value: i,
    }));
    gateway.host.emit(batch);
    const second = await next(stream, named("peek"));
    expect(second.data.messages.length).toBeLessThanOrEqual(13);
    expect(second.data.messages[0].pos).toBe(499);
    for (const controller of open.splice(0)) controller.abort();
    await expect.poll(() => gateway.host.peekCount).toBe(0);
  });

  it("refuses edges and graphs that do not exist before it starts", async () => {
    for (const query of ["graph=nope", "peek=late-flights/nope", "peek=nope/x"]) {
      expect((await fetch(`${origin}/api/v1/live?${query}`)).status).toBe(404);
    }
  });
});

describe("a log that could not be read once", () => {
  it("is read again for the streams that are opened afterwards", async () => {
    const first = messages("/api/v1/live");
    await next(first, named("status"));
    gateway.log.failNextRead(new Error("the disk did not answer"));
    gateway.log.add({ type: "GraphStopped", stream: "graph/late-flights" });
    await expect(next(first, named("events"))).rejects.toThrow("the stream ended");
    const second = messages("/api/v1/live", { "last-event-id": String(gateway.log.durableEnd - 2) });
    const { data } = await next(second, named("events"));
    expect(data.events.map(({ type }: { type: string }) => type)).toEqual(["GraphStopped"]);
  });
});

it("is free again for others when a reader that asked for many live streams over one connection has gone", async () => {
  const { port } = new URL(origin);
  const socket = connect(Number(port), "127.0.0.1");
  await new Promise((resolve) => socket.once("connect", resolve));
  socket.write("GET /api/v1/live?events=none HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".repeat(70));
  await new Promise((resolve) => socket.once("data", resolve));
  const statusOfAnother = async (): Promise<number> => {
    const controller = new AbortController();
    const { status } = await fetch(`${origin}/api/v1/live`, { signal: controller.signal });
    controller.abort();
    return status;
  };
  await expect.poll(statusOfAnother).toBe(429);
  socket.destroy();
  await expect.poll(statusOfAnother).toBe(200);
});

it.each(["/api/v1/live", "/api/v1/projections/departures/live"])("has no head: %s", async (path) => {
  const { status, headers } = await fetch(`${origin}${path}`, { method: "HEAD" });
  expect([status, headers.get("allow")]).toEqual([405, "GET"]);
});

describe("a live projection", () => {
  it("sends the page once and then only rows that changed", async () => {
    const stream = messages("/api/v1/projections/departures/live?limit=10");
    const page = await next(stream, named("page"));
    expect([page.id, page.data.rows.length]).toEqual(["30", 2]);
    gateway.projections.set("departures", 31, [
      { origin: "ATL", flights: 3 },
      { origin: "ORD", flights: 6 },
      { origin: "SEA", flights: 1 },
    ]);
    const patch = await next(stream, named("patch"));
    expect(patch.data).toEqual({
      asOf: 31,
      length: 3,
      rows: [
        [1, { origin: "ORD", flights: 6 }],
        [2, { origin: "SEA", flights: 1 }],
      ],
      next: null,
    });
  });
});

describe("a reader that stalls", () => {
  const stall = (path: string): Promise<Socket> =>
    new Promise((resolve) => {
      const { port } = gateway.app.server.address() as { port: number };
      const socket = connect(port, "127.0.0.1", () => {
        socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
        socket.once("data", () => {
          socket.pause();
          resolve(socket);
        });
      });
    });

  it("holds a bounded amount of memory and nobody back", async () => {
    const reason = "x".repeat(1000);
    const nodes = Array.from({ length: 2000 }, (_, i) => nodeStatus(`node-${i}`, "map", { reason }));
    gateway.host.add(graphStatus("large", nodes, []));
    const responses: { writableLength: number }[] = [];
    gateway.app.server.on("request", (_request, response) => responses.push(response));
    const socket = await stall("/api/v1/live?graph=large");
    const quick = messages("/api/v1/live?graph=large");
    for (let beat = 0; beat < 12; beat++) await next(quick, named("status"));
    const snapshotBytes = 3 << 20;
    expect(responses[0]?.writableLength).toBeGreaterThan(0);
    expect(responses[0]?.writableLength).toBeLessThan((1 << 20) + snapshotBytes);
    socket.resume();
    let text = "";
    socket.on("data", (data) => {
      text = (text + data.toString("latin1")).slice(-200_000_000);
    });
    await expect.poll(() => /event: sampled\ndata: \{"missed":\d+\}/.test(text)).toBe(true);
    socket.destroy();
  });
});
