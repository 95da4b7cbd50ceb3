import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type Feed, type FeedReceipt, type Json, sleep, systemEnv } from "@millrace/engine";
import { feedContract, virtualEnv } from "@millrace/engine/testing";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type ServerOptions, type WebSocket, WebSocketServer } from "ws";
import { type SocketFeedOptions, socketFeed } from "./socket-feed.ts";

const env = systemEnv();
const WAIT = { timeout: 45_000, interval: 5 };
const QUICK = { backoffMs: 5, backoffMaxMs: 20, suspendMs: 50 };

const ending: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

interface SocketService {
  readonly url: string;
  readonly server: Server;
  readonly sockets: WebSocketServer;
}

async function serve(options: ServerOptions = {}): Promise<SocketService> {
  const server = createServer((_, response) => void response.writeHead(404).end("no such page"));
  const sockets = new WebSocketServer({ server, ...options });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  ending.push(async () => stop(server, sockets));
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/live?shop=1`, server, sockets };
}

function stop(server: Server, sockets: WebSocketServer): void {
  for (const client of sockets.clients) client.terminate();
  sockets.close();
  server.close();
  server.closeAllConnections();
}

function feedOf(url: string, options: Partial<SocketFeedOptions> = {}, over = env): Feed {
  return socketFeed({ url, allow: ["127.0.0.0/8"], policy: QUICK, ...options }, over);
}

/** Sends each message until it is acknowledged, at most so many at a time; those that were not, again over the next connection. */
class AckingQueue {
  readonly #waiting: { readonly id: number; readonly body: string }[] = [];
  readonly #sent = new Map<number, string>();
  #next = 0;
  #window = 0;
  #socket: WebSocket | undefined;

  constructor(sockets: WebSocketServer) {
    sockets.on("connection", (socket) => {
      this.#socket = socket;
      for (const [id, body] of [...this.#sent].reverse()) this.#waiting.unshift({ id, body });
      this.#sent.clear();
      socket.on("message", (data) => {
        const { ack } = JSON.parse(String(data)) as { ack: number };
        this.#sent.delete(ack);
        this.#pump();
      });
      this.#pump();
    });
  }

  limit(window: number): void {
    this.#window = window;
  }

  send(bodies: readonly string[]): void {
    for (const body of bodies) this.#waiting.push({ id: this.#next++, body });
    this.#pump();
  }

  #pump(): void {
    const socket = this.#socket;
    while (socket?.readyState === 1 && this.#sent.size < this.#window) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#sent.set(next.id, next.body);
      socket.send(`{"id":${next.id},"data":${next.body}}`);
    }
  }
}

feedContract(
  "a WebSocket with acknowledgements",
  async () => {
    const { url, server, sockets } = await serve();
    const queue = new AckingQueue(sockets);
    return {
      connect(unsettledMax) {
        queue.limit(unsettledMax);
        return feedOf(url, { ack: true });
      },
      send: async (bodies) => queue.send(bodies),
      close: async () => stop(server, sockets),
    };
  },
  { jsonOnly: true },
);

feedContract(
  "a WebSocket",
  async () => {
    const { url, server, sockets } = await serve();
    return {
      connect: () => feedOf(url),
      async send(bodies) {
        for (const client of sockets.clients) for (const body of bodies) client.send(body);
      },
      breakConnections() {
        for (const client of sockets.clients) client.terminate();
      },
      close: async () => stop(server, sockets),
    };
  },
  { holdsBackAt: 1000 },
);

class Running {
  readonly taken: { readonly message: Json; readonly receipt: FeedReceipt | undefined; readonly error?: unknown }[] =
    [];
  readonly feed: Feed;

  constructor(feed: Feed, settles = true) {
    this.feed = feed;
    const stopping = new AbortController();
    const running = feed.run(
      {
        cursor: undefined,
        takeGroup: () => undefined,
        take: (message, receipt) => {
          this.taken.push({ message, receipt });
          if (settles) receipt?.settle?.();
        },
        reject: (error, message, receipt) => this.taken.push({ message, receipt, error }),
        lose: () => undefined,
      },
      stopping.signal,
    );
    ending.push(async () => {
      stopping.abort();
      await running;
    });
  }

  async until(count: number): Promise<void> {
    await vi.waitFor(() => expect(this.taken.length).toBeGreaterThanOrEqual(count), WAIT);
  }

  async connection(state: object): Promise<void> {
    await vi.waitFor(() => expect(this.feed.connection()).toMatchObject(state), WAIT);
  }
}

describe("messages of a WebSocket", () => {
  test("are asked for as the graph says, come as text and as bytes, and have their ids", async () => {
    const { url, sockets } = await serve();
    const heard: string[] = [];
    sockets.on("connection", (socket, request) => {
      socket.send('{"ref":{"n":1}}');
      heard.push(request.url ?? "", String(request.headers["x-shop"]));
      socket.on("message", (data) => {
        heard.push(String(data));
        if (heard.length === 4) socket.send(Buffer.from('{"ref":{"n":2}}'));
      });
    });
    const running = new Running(
      feedOf(url, { id: "ref.n", send: ['{"op":"subscribe"}', "go"], headers: { "x-shop": "eu" } }),
    );
    await running.until(2);
    expect(heard).toEqual(["/live?shop=1", "eu", '{"op":"subscribe"}', "go"]);
    expect(running.taken).toMatchObject([
      { message: { ref: { n: 1 } }, receipt: { id: "1" } },
      { message: { ref: { n: 2 } }, receipt: { id: "2" } },
    ]);
  });

  test("that are no JSON are dead letters with their place; with acknowledgements so are those without an id, once", async () => {
    const { url, sockets } = await serve();
    sockets.on("connection", (socket) => {
      for (const text of ["{", '{"data":1}', "{"]) socket.send(text);
      socket.send(Buffer.from([0x22, 0xff, 0x22]));
    });
    const place = { stream: url.replace(/\?.*/, "") };
    const plain = new Running(feedOf(url));
    await plain.until(4);
    expect(plain.taken).toMatchObject([
      { message: "{", error: { code: "MSG-DECODE", place } },
      { message: { data: 1 } },
      { message: "{" },
      { error: { code: "MSG-DECODE" } },
    ]);
    const acked = new Running(feedOf(url, { ack: true }));
    await acked.until(4);
    expect(acked.taken).toMatchObject([
      { error: {} },
      { error: { code: "HTTP-SHAPE", place } },
      { error: {} },
      { error: {} },
    ]);
    const ids = acked.taken.map(({ receipt }) => receipt?.id);
    expect([ids[0] === ids[2], new Set(ids).size]).toEqual([true, 3]);
  });

  test("stay with the sender while what came is not durable, and go on after that", async () => {
    const { url, sockets } = await serve();
    const count = 50_000;
    sockets.on("connection", (socket) => {
      for (let i = 0; i < count; i++) socket.send(`{"n":${i},"text":"${"x".repeat(500)}"}`);
    });
    const running = new Running(feedOf(url), false);
    await running.until(1000);
    await sleep(env, 200);
    expect(running.taken.length).toBeLessThan(2000);
    let settled = 0;
    await vi.waitFor(() => {
      for (; settled < running.taken.length; settled++) running.taken[settled]?.receipt?.settle?.();
      expect(settled).toBe(count);
    }, WAIT);
    expect(running.taken.map(({ message }) => (message as { n: number }).n)).toEqual(
      Array.from({ length: count }, (_, i) => i),
    );
  });
});

describe("a WebSocket", () => {
  test("whose other end does not answer is given up and made again", async () => {
    const { url, sockets } = await serve({ autoPong: false });
    let connections = 0;
    sockets.on("connection", (socket) => {
      connections++;
      if (connections > 1) socket.on("ping", (data) => socket.pong(data));
      socket.send(String(connections));
    });
    const virtual = virtualEnv(1);
    const policy = { ...QUICK, probeEveryMs: 5000, probeTimeoutMs: 3000 };
    const running = new Running(feedOf(url, { policy }, { ...env, timers: virtual.timers, clock: virtual.clock }));
    await running.until(1);
    await virtual.advance(7999);
    expect(running.feed.connection().state).toBe("up");
    await virtual.advance(1);
    await vi.waitFor(() => expect(running.feed.connection().reason).toBe("no answer to a probe in 3000 ms"), WAIT);
    await vi.waitFor(async () => {
      await virtual.advance(10);
      expect(running.taken.map(({ message }) => message)).toEqual([1, 2]);
    }, WAIT);
  });

  test("that breaks again and again is held back by what came over all connections", async () => {
    const { url, sockets } = await serve();
    let connections = 0;
    sockets.on("connection", (socket) => {
      connections++;
      for (let i = 0; i < 500; i++) socket.send(String(i));
      if (connections < 3) socket.close();
    });
    const running = new Running(feedOf(url), false);
    await running.until(1000);
    await sleep(env, 200);
    expect(running.taken).toHaveLength(1000);
    for (const { receipt } of running.taken) receipt?.settle?.();
    await running.until(1500);
  });

  test("that is closed says why, and is made again", async () => {
    const { url, sockets } = await serve();
    let connections = 0;
    sockets.on("connection", (socket) => {
      socket.send(String(++connections));
      socket.close(1013, "too many");
    });
    const running = new Running(feedOf(url, { policy: { ...QUICK, backoffMs: 100 } }));
    await running.connection({ state: "backing-off", reason: expect.stringContaining("closed with 1013: too many") });
    await running.until(2);
  });

  test("that sends more than it may in one message is given up", async () => {
    const { url, sockets } = await serve();
    sockets.on("connection", (socket) => socket.send(JSON.stringify("x".repeat(20_000))));
    const running = new Running(feedOf(url, { bytesMax: 10_000, policy: { ...QUICK, backoffMs: 200 } }));
    await running.connection({ state: "backing-off", reason: expect.stringContaining("more than 10000 bytes") });
    expect(running.taken).toEqual([]);
  });

  test("is not made to an address that may not be called, by number or by name", async () => {
    const { url, sockets } = await serve();
    let connections = 0;
    sockets.on("connection", () => connections++);
    for (const target of [url, url.replace("127.0.0.1", "localhost")]) {
      const running = new Running(feedOf(target, { allow: [] }));
      await running.connection({ state: "backing-off", reason: expect.stringContaining("may not be called") });
    }
    expect(connections).toBe(0);
  });

  test("that is refused says with what, and does not follow where it is led", async () => {
    const { url } = await serve({
      verifyClient: (_, done) => done(false, 429, "slow down", { "retry-after": "3600" }),
    });
    await new Running(feedOf(url)).connection({
      state: "backing-off",
      reason: expect.stringContaining("answered 429"),
    });
    const server = createServer((_, response) => void response.end());
    server.on("upgrade", (_, socket) => socket.end("HTTP/1.1 302 Found\r\nlocation: ws://10.0.0.1/\r\n\r\n"));
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    ending.push(async () => void server.close());
    const port = (server.address() as AddressInfo).port;
    const running = new Running(feedOf(`ws://127.0.0.1:${port}/`));
    await running.connection({ state: "backing-off", reason: expect.stringContaining("answered 302") });
  });

  test("gets other credentials once the first are refused", async () => {
    let tokens = 0;
    const tokenServer = createServer((_, response) => {
      response.end(JSON.stringify({ access_token: `t${++tokens}`, expires_in: 60 }));
    });
    await new Promise<void>((listening) => tokenServer.listen(0, "127.0.0.1", listening));
    ending.push(async () => {
      tokenServer.close();
      tokenServer.closeAllConnections();
    });
    const { url, sockets } = await serve({
      verifyClient: ({ req }, done) => done(req.headers.authorization === "Bearer t2", 401),
    });
    sockets.on("connection", (socket) => socket.send("1"));
    const tokenUrl = `http://127.0.0.1:${(tokenServer.address() as AddressInfo).port}/`;
    const auth = { type: "oauth2", tokenUrl, clientId: "a", clientSecret: "b" } as const;
    await new Running(feedOf(url, { auth })).until(1);
    expect(tokens).toBe(2);
  });
});
