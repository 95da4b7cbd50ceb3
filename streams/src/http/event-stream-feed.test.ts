import { createServer, type RequestListener, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Feed, type FeedGroup, type Json, sleep, systemEnv } from "@millrace/engine";
import { cursorFeedContract, virtualEnv } from "@millrace/engine/testing";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type EventStreamOptions, eventStreamFeed } from "./event-stream-feed.ts";

const env = systemEnv();
const WAIT = { timeout: 45_000, interval: 5 };
const QUICK = { backoffMs: 5, backoffMaxMs: 20, suspendMs: 50 };
const HEAD = { "content-type": "text/event-stream; charset=utf-8" };

const ending: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

async function serve(listener: RequestListener): Promise<{ readonly url: string; readonly server: Server }> {
  const server = createServer(listener);
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  ending.push(async () => stop(server));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/live`, server };
}

function stop(server: Server): void {
  server.close();
  server.closeAllConnections();
}

function feedOf(url: string, options: Partial<EventStreamOptions> = {}, over = env): Feed {
  return eventStreamFeed({ url, allow: ["127.0.0.0/8"], policy: QUICK, ...options }, over);
}

class Running {
  readonly groups: FeedGroup[] = [];
  readonly feed: Feed;

  constructor(feed: Feed, cursor?: Json, settles = true) {
    this.feed = feed;
    const stopping = new AbortController();
    const unused = (): never => {
      throw new Error("a stream of events hands over groups");
    };
    const takeGroup = (group: FeedGroup): void => {
      this.groups.push(group);
      if (settles) group.settle?.();
    };
    const running = feed.run({ cursor, takeGroup, take: unused, reject: unused, lose: unused }, stopping.signal);
    ending.push(async () => {
      stopping.abort();
      await running;
    });
  }

  get messages(): readonly Json[] {
    return this.groups.flatMap(({ items }) => items.map(({ message }) => message));
  }

  async until(count: number): Promise<void> {
    await vi.waitFor(() => expect(this.messages.length).toBeGreaterThanOrEqual(count), WAIT);
  }

  async connection(state: object): Promise<void> {
    await vi.waitFor(() => expect(this.feed.connection()).toMatchObject(state), WAIT);
  }
}

cursorFeedContract("a stream of events", async () => {
  const bodies: string[] = [];
  const open = new Set<ServerResponse>();
  const eventOf = (i: number): string => `id: é${i}\nevent: order\ndata: ${bodies[i]}\n\n`;
  const { url, server } = await serve((request, response) => {
    const last = Buffer.from(String(request.headers["last-event-id"] ?? "é-1"), "latin1").toString("utf8");
    response.writeHead(200, HEAD);
    response.write(": hello\nretry: 5\n\n");
    for (let i = Number(last.slice(1)) + 1; i < bodies.length; i++) response.write(eventOf(i));
    open.add(response);
    response.on("close", () => open.delete(response));
  });
  return {
    connect: () => feedOf(url),
    async send(more) {
      for (const body of more) {
        const i = bodies.push(body) - 1;
        for (const response of open) response.write(eventOf(i));
      }
    },
    breakConnections: () => server.closeAllConnections(),
    close: async () => stop(server),
  };
});

/** A stream that says the same to everybody. */
const saying = (text: string, status = 200, head: Record<string, string> = HEAD): ReturnType<typeof serve> =>
  serve((_, response) => void response.writeHead(status, head).write(text));

describe("events", () => {
  test("are taken by type, in an envelope, over several lines, cut anywhere", async () => {
    const text = 'event: ping\ndata: {}\n\n: still here\n\nid: 1\ndata: {"név":\ndata:  "ő"}\n\nevent: o\ndata: 2\n\n';
    const { url } = await serve(async (_, response) => {
      response.writeHead(200, HEAD);
      for (const byte of Buffer.from(text)) {
        response.write(Buffer.from([byte]));
        await new Promise<void>((sent) => setImmediate(sent));
      }
    });
    const running = new Running(feedOf(url, { events: ["message", "o"], envelope: true, id: "id" }));
    await running.until(2);
    expect(running.groups.flatMap(({ items, cursor }) => [items[0], cursor])).toEqual([
      { message: { id: "1", event: "message", data: { név: "ő" } }, id: "1" },
      { id: "1" },
      { message: { id: null, event: "o", data: 2 } },
      { id: "1" },
    ]);
  });

  test("stay with the server while what came is not durable, and go on after that", async () => {
    const count = 60_000;
    let written = 0;
    const { url } = await serve((_, response) => {
      response.writeHead(200, HEAD);
      const more = (): void => {
        while (written < count && response.write(`data: ${JSON.stringify("x".repeat(1000))}\n\n`)) written++;
      };
      response.on("drain", more);
      more();
    });
    const running = new Running(feedOf(url), undefined, false);
    await running.until(1000);
    await sleep(env, 200);
    expect(running.messages.length).toBeLessThan(1200);
    expect(written).toBeLessThan(count / 2);
    const settled = new Set<FeedGroup>();
    await vi.waitFor(() => {
      for (const group of running.groups) {
        if (settled.has(group)) continue;
        settled.add(group);
        group.settle?.();
      }
      expect(settled.size).toBeGreaterThan(5000);
    }, WAIT);
  });
});

describe("a server of events", () => {
  test("whose connections break is held back by what came over all of them", async () => {
    const each = 500;
    const { url } = await serve((request, response) => {
      const first = Number(request.headers["last-event-id"] ?? -1) + 1;
      const events = Array.from({ length: each }, (_, i) => `id: ${first + i}\ndata: ${first + i}\n\n`);
      response.writeHead(200, HEAD).end(events.join(""));
    });
    const running = new Running(feedOf(url), undefined, false);
    await running.until(2 * each);
    await sleep(env, 200);
    expect(running.messages).toHaveLength(2 * each);
    for (const { settle } of running.groups) settle?.();
    await running.until(3 * each);
  });

  test("that goes silent is left, and asked again behind the last event", async () => {
    const asked: unknown[] = [];
    const { url } = await serve((request, response) => {
      asked.push(request.headers["last-event-id"]);
      response.writeHead(200, HEAD).write(`id: ${asked.length}\ndata: ${asked.length}\n\n`);
    });
    const virtual = virtualEnv(1);
    const over = { ...env, timers: virtual.timers, clock: virtual.clock };
    const running = new Running(feedOf(url, { silenceMs: 20_000 }, over));
    await running.until(1);
    await virtual.advance(19_000);
    expect(running.feed.connection().state).toBe("up");
    await virtual.advance(6000);
    await running.until(2);
    expect([running.messages, asked]).toEqual([
      [1, 2],
      [undefined, "1"],
    ]);
  });

  test("says how long to stay away, and is obeyed", async () => {
    let connections = 0;
    const { url } = await serve((_, response) => {
      connections++;
      response.writeHead(200, HEAD).end("retry: 3600000\ndata: 1\n\n");
    });
    const running = new Running(feedOf(url));
    await running.connection({ state: "backing-off", reason: expect.stringContaining("ended") });
    await sleep(env, 150);
    expect([connections, running.messages]).toEqual([1, [1]]);
  });

  test.each([
    [
      "answers with a page",
      () => saying("<p>", 200, { "content-type": "text/html" }),
      "`text/html`, which is no stream",
    ],
    ["has nothing to say", () => saying("", 204, {}), "answered 204"],
    ["is overloaded", () => saying("later", 503, { "retry-after": "1" }), "answered 503: later"],
    ["sends an event without an end", () => saying(`data: ${"x".repeat(20_000)}`), "has more than 10000 bytes"],
    ["leads to a private address", () => saying("", 302, { location: "http://10.0.0.1/" }), "10.0.0.1, which may not"],
    ["leads around", () => saying("", 307, { location: "/live" }), "redirects more than 3 times"],
  ])("that %s shows why nothing comes", async (_, start, reason) => {
    const { url, server } = await start();
    server.on("request", (_request, response) => setImmediate(() => response.end()));
    const running = new Running(feedOf(url, { bytesMax: 10_000 }));
    await running.connection({ state: "backing-off", reason: expect.stringContaining(reason) });
    expect(running.messages).toEqual([]);
  });

  test("is not called at an address that may not be called", async () => {
    let requests = 0;
    const { url } = await serve(() => void requests++);
    const running = new Running(feedOf(url, { allow: [] }));
    await running.connection({ state: "backing-off", reason: expect.stringContaining("may not be called") });
    expect(requests).toBe(0);
  });

  test("goes on behind the last event where it is redirected to another origin", async () => {
    const seen: unknown[] = [];
    const elsewhere = await serve(({ headers }, response) => {
      seen.push(headers["last-event-id"]);
      response.writeHead(200, HEAD).end(`id: ${seen.length}\ndata: ${seen.length}\n\n`);
    });
    const { url } = await serve((_, response) => void response.writeHead(307, { location: elsewhere.url }).end());
    await new Running(feedOf(url)).until(2);
    expect(seen.slice(0, 2)).toEqual([undefined, "1"]);
  });

  test("gets credentials, other ones once they are refused, and no headers of ours elsewhere", async () => {
    const seen: unknown[] = [];
    const elsewhere = await serve(({ headers }, response) => {
      seen.push(headers.authorization);
      response.writeHead(200, HEAD).write("data: 1\n\n");
    });
    let tokens = 0;
    const { url } = await serve(({ url: path, headers }, response) => {
      if (path === "/token") return void response.end(JSON.stringify({ access_token: `t${++tokens}`, expires_in: 60 }));
      if (headers.authorization !== "Bearer t2") return void response.writeHead(401).end();
      return void response.writeHead(302, { location: elsewhere.url }).end();
    });
    const tokenUrl = new URL("/token", url).href;
    const auth = { type: "oauth2", tokenUrl, clientId: "a", clientSecret: "b" } as const;
    await new Running(feedOf(url, { auth })).until(1);
    expect([tokens, seen]).toEqual([2, [undefined]]);
  });
});
