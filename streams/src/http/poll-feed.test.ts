import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Feed, type FeedGroup, type Json, reportOf, sleep, systemEnv } from "@millrace/engine";
import { cursorFeedContract, virtualEnv } from "@millrace/engine/testing";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type PollOptions, pollFeed } from "./poll-feed.ts";

const env = systemEnv();
const WAIT = { timeout: 45_000, interval: 5 };
const QUICK = { backoffMs: 5, backoffMaxMs: 20, suspendMs: 50 };
const PAGE = 7;

const ending: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

interface Service {
  readonly url: string;
  readonly server: Server;
  readonly requests: IncomingMessage[];
}

async function serve(listener: RequestListener): Promise<Service> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    listener(request, response);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  ending.push(async () => stop(server));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/orders?shop=1`, server, requests };
}

function stop(server: Server): void {
  server.close();
  server.closeAllConnections();
}

function feedOf(url: string, options: Partial<PollOptions> = {}): Feed {
  const defaults = { schedule: { everyMs: 10 }, allow: ["127.0.0.0/8"], policy: QUICK };
  return pollFeed({ url, ...defaults, ...options }, env);
}

/** A feed that runs; groups are settled when they come. */
class Running {
  readonly groups: FeedGroup[] = [];
  readonly #stop = new AbortController();
  readonly feed: Feed;

  constructor(feed: Feed, cursor?: Json, settles = true) {
    this.feed = feed;
    const unused = (): never => {
      throw new Error("a poll hands over groups");
    };
    const running = feed.run(
      {
        cursor,
        takeGroup: (group) => {
          this.groups.push(group);
          if (settles) group.settle?.();
        },
        take: unused,
        reject: unused,
        lose: unused,
      },
      this.#stop.signal,
    );
    ending.push(async () => {
      this.#stop.abort();
      await running;
    });
  }

  get messages(): readonly Json[] {
    return this.groups.flatMap(({ items }) => items.map(({ message }) => message));
  }

  get cursor(): Json | undefined {
    return this.groups.at(-1)?.cursor;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await ending.pop()?.();
  }

  async until(count: number): Promise<void> {
    await vi.waitFor(() => expect(this.messages.length).toBeGreaterThanOrEqual(count), WAIT);
  }

  /** Waits until the connection is as it should be. */
  async connection(state: object): Promise<void> {
    await vi.waitFor(() => expect(this.feed.connection()).toMatchObject(state), WAIT);
  }
}

/** Waits until the service was asked so often more. */
async function asked(service: Service, times: number): Promise<void> {
  const before = service.requests.length;
  await vi.waitFor(() => expect(service.requests.length).toBeGreaterThanOrEqual(before + times), WAIT);
}

const json = (response: ServerResponse, body: Json, headers: Record<string, string> = {}): void =>
  void response.writeHead(200, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));

/** Lines of a list, behind the one with the id in `after`. */
function behindId(bodies: readonly string[], url: URL): string {
  const after = url.searchParams.get("after");
  const at = bodies.findIndex((body) => body.startsWith("{") && body.includes(`"id":${after}}`));
  const atNamed = bodies.findIndex((body) => body.includes(`"id":${after},`));
  return bodies.slice(Math.max(at, atNamed) + 1, Math.max(at, atNamed) + 1 + PAGE).join("\n");
}

for (const [name, options] of [
  ["a polled address with a cursor", { cursor: { field: "id", parameter: "after" } }],
  ["a polled address with links to pages", { next: "link" }],
] as const)
  cursorFeedContract(
    name,
    async () => {
      const bodies: string[] = [];
      const { url, server } = await serve((request, response) => {
        const asked = new URL(request.url ?? "", "http://x");
        response.setHeader("content-type", "application/x-ndjson");
        if (!("next" in options)) return void response.end(behindId(bodies, asked));
        const page = Number(asked.searchParams.get("page") ?? 0);
        const isFull = bodies.length >= (page + 1) * PAGE;
        if (isFull) response.setHeader("link", `</orders?page=${page + 1}&shop=1>; rel="next"; title="a, b"`);
        response.end(bodies.slice(page * PAGE, (page + 1) * PAGE).join("\n"));
      });
      return {
        connect: () => feedOf(url, options),
        send: async (more) => void bodies.push(...more),
        breakConnections: () => server.closeAllConnections(),
        close: async () => stop(server),
      };
    },
    { unsettledMax: 3 * PAGE },
  );

describe("a polled address", () => {
  test("is asked with the conditions of its last answer, and an unchanged one gives nothing", async () => {
    let version = 1;
    const service = await serve((request, response) => {
      if (request.headers["if-none-match"] === `"v${version}"`) response.writeHead(304).end();
      else json(response, [version], { etag: `"v${version}"`, "last-modified": "Thu, 01 Jan 2026 00:00:00 GMT" });
    });
    const first = new Running(feedOf(service.url));
    await first.until(1);
    await asked(service, 3);
    version = 2;
    await first.until(2);
    expect(first.messages).toEqual([1, 2]);
    expect(service.requests.at(-1)?.headers["if-modified-since"]).toBe("Thu, 01 Jan 2026 00:00:00 GMT");
    await first.stop();
    const later = new Running(feedOf(service.url), first.cursor);
    await asked(service, 3);
    version = 3;
    await later.until(1);
    expect(later.messages).toEqual([3]);
  });

  test("that knows no conditions gives nothing either when its document is the same, also after a restart", async () => {
    let document: Json = { at: 1 };
    const service = await serve((_, response) => json(response, document));
    const first = new Running(feedOf(service.url));
    await first.until(1);
    await asked(service, 3);
    expect(first.messages).toEqual([{ at: 1 }]);
    await first.stop();
    const later = new Running(feedOf(service.url), first.cursor);
    await asked(service, 3);
    document = { at: 2 };
    await later.until(1);
    expect(later.messages).toEqual([{ at: 2 }]);
  });

  test("gives the list where it is said to be, with the ids of its messages, and follows a field to the next page", async () => {
    const service = await serve((request, response) => {
      const page = Number(new URL(request.url ?? "", "http://x").searchParams.get("page") ?? 1);
      json(response, { data: { rows: [{ n: page, ref: { id: page } }] }, more: page < 3 ? `?page=${page + 1}` : null });
    });
    const running = new Running(feedOf(service.url, { items: "data.rows", id: "ref.id", next: "more" }));
    await running.until(3);
    await asked(service, 2);
    expect(running.groups.flatMap(({ items }) => items)).toEqual(
      [1, 2, 3].map((n) => ({ message: { n, ref: { id: n } }, id: String(n) })),
    );
  });

  test("asks on from a value of the whole answer", async () => {
    const service = await serve((request, response) => {
      const since = Number(new URL(request.url ?? "", "http://x").searchParams.get("since") ?? 0);
      json(response, { rows: since < 30 ? [since] : [], upTo: since + 10 });
    });
    const options = { items: "rows", cursor: { field: "$.upTo", parameter: "since" } };
    const running = new Running(feedOf(service.url, options));
    await running.until(3);
    expect(running.messages).toEqual([0, 10, 20]);
    const urls = service.requests.map(({ url }) => url);
    expect(urls[1]).toBe("/orders?shop=1&since=10");
  });

  test("follows a next page that stands in the second of two Link headers", async () => {
    const service = await serve(({ url = "" }, response) => {
      if (url.includes("page=2")) json(response, [2]);
      else response.writeHead(200, { link: ['</orders>; rel="first"', '</orders?page=2>; rel="next"'] }).end("[1]");
    });
    const running = new Running(feedOf(service.url, { next: "link" }));
    await running.until(2);
    expect(running.messages).toEqual([1, 2]);
  });

  test("loses and repeats nothing of a page that could not be read once", async () => {
    let fails = true;
    let last = [2, 3];
    const service = await serve(({ url = "" }, response) => {
      if (!url.includes("page=2")) json(response, [1], { link: '</orders?page=2>; rel="next"' });
      else if (fails) response.end("<html>");
      else json(response, last);
    });
    const running = new Running(feedOf(service.url, { next: "link" }));
    await running.until(2);
    fails = false;
    await running.until(4);
    fails = true;
    await running.until(5);
    last = [2, 3, 4];
    fails = false;
    await running.until(6);
    expect(running.messages).toEqual([1, "<html>", 2, 3, "<html>", 4]);
  });

  test.each([200, 204])(
    "that says with %d and no body that there is nothing is up, and repeats nothing",
    async (status) => {
      let list: Json | undefined = [1, 2];
      const service = await serve((_, response) => {
        if (list === undefined) response.writeHead(status).end();
        else json(response, list);
      });
      const running = new Running(feedOf(service.url, { next: "link" }));
      await running.until(2);
      list = undefined;
      await asked(service, 3);
      expect(running.feed.connection()).toMatchObject({ state: "up" });
      list = [1, 2, 3];
      await running.until(3);
      expect(running.messages).toEqual([1, 2, 3]);
    },
  );

  test("is asked for what the graph says that it takes", async () => {
    const service = await serve((_, response) => json(response, [1]));
    await new Running(feedOf(service.url, { headers: { accept: "application/vnd.shop+json" } })).until(1);
    expect(service.requests[0]?.headers.accept).toBe("application/vnd.shop+json");
  });

  test("does not ask for the next page before the last one is durable", async () => {
    const service = await serve((_, response) => {
      json(response, [1], { link: `</orders?page=${service.requests.length}>; rel=next` });
    });
    const running = new Running(feedOf(service.url, { next: "link" }), undefined, false);
    await running.until(1);
    await sleep(env, 100);
    expect(service.requests.length).toBe(1);
    running.groups[0]?.settle?.();
    await asked(service, 1);
  });

  test("makes what is no JSON, or has no list, a dead letter with its place, once", async () => {
    let body = "[1, ";
    const service = await serve((_, response) => void response.end(body));
    const running = new Running(feedOf(service.url, { items: "rows" }));
    await running.until(1);
    await asked(service, 3);
    expect(running.groups).toHaveLength(1);
    expect(running.groups[0]?.items).toMatchObject([
      { message: "[1, ", error: { code: "MSG-DECODE", place: { stream: service.url.replace(/\?.*/, "") } } },
    ]);
    body = '{"error":"no"}';
    await running.until(2);
    expect(running.groups[1]?.items).toMatchObject([
      { message: body, error: { code: "HTTP-SHAPE", kind: "rejected" } },
    ]);
  });

  test("names the line that is no JSON, and takes what is no text as one dead letter", async () => {
    let body: string | Buffer = '{"a":1}\n\n{"a":\n{"a":2}\n';
    const service = await serve((_, response) => void response.end(body));
    const running = new Running(feedOf(service.url, { format: "ndjson" }));
    await running.until(3);
    expect(running.groups[0]?.items.map((item) => reportOf(item.error).place?.line)).toEqual([undefined, 3, undefined]);
    body = Buffer.from([0x22, 0xff, 0x22]);
    await running.until(4);
    expect(running.groups[1]?.items).toMatchObject([{ error: { code: "MSG-DECODE" } }]);
  });

  test("is asked by a cron pattern, at its times and not at the start", async () => {
    const service = await serve((_, response) => json(response, [service.requests.length]));
    const virtual = virtualEnv(1);
    const timers = virtual.timers;
    const feed = pollFeed(
      { url: service.url, schedule: { cron: "0 * * * *" }, allow: ["127.0.0.0/8"], policy: QUICK },
      { ...env, clock: virtual.clock, timers },
    );
    const running = new Running(feed);
    const hourMs = 3_600_000;
    const left = hourMs - (virtual.clock.now() % hourMs);
    await virtual.advance(left - 1);
    expect([service.requests.length, feed.connection().state]).toEqual([0, "idle"]);
    await virtual.advance(1);
    await running.until(1);
    await virtual.advance(hourMs - 1);
    expect(service.requests.length).toBe(1);
    await virtual.advance(1);
    await running.until(2);
  });
});

describe("a polled service that fails", () => {
  test.each([
    [404, "answered 404: no such shop"],
    [500, "answered 500: no such shop"],
    [401, "answered 401"],
  ])("with %i shows why, and is asked again", async (status, reason) => {
    let isUp = false;
    const service = await serve((_, response) =>
      isUp ? json(response, [1]) : void response.writeHead(status).end("no such shop"),
    );
    const running = new Running(feedOf(service.url));
    await running.connection({ state: "backing-off", reason: expect.stringContaining(reason) });
    await running.connection({ state: "suspended", reason: expect.stringContaining(reason) });
    isUp = true;
    await running.until(1);
    await running.connection({ state: "up", reason: "" });
  });

  test("is not asked before it wants to be, whether it answered before or never", async () => {
    for (const before of [0, 1]) {
      const service = await serve((_, response) =>
        service.requests.length <= before
          ? json(response, [1])
          : void response.writeHead(503, { "retry-after": "3600" }).end(),
      );
      const running = new Running(feedOf(service.url));
      await running.connection({ state: "backing-off", reason: expect.stringContaining("503") });
      await sleep(env, 150);
      expect(service.requests.length).toBe(before + 1);
    }
  });

  test("by never ending its answer, or with too much of it, is left", async () => {
    const trickle = await serve((_, response) => {
      const more = setInterval(() => response.write("1"), 5);
      response.on("close", () => clearInterval(more));
    });
    await new Running(feedOf(trickle.url, { deadlineMs: 100 })).connection({
      reason: expect.stringContaining("gave no whole answer in 100 ms"),
    });
    const endless = await serve((_, response) => {
      const more = (): void => void (response.write("x".repeat(5000)) && setImmediate(more));
      response.on("drain", more);
      more();
    });
    await new Running(feedOf(endless.url, { bytesMax: 10_000 })).connection({
      reason: expect.stringContaining("more than 10000 bytes"),
    });
  });

  test("by leading elsewhere is refused: to a private address, and to another origin's page", async () => {
    const private_ = await serve((_, response) => void response.writeHead(302, { location: "http://10.0.0.1/" }).end());
    await new Running(feedOf(private_.url)).connection({
      reason: expect.stringContaining("10.0.0.1, which may not be called"),
    });
    const guarded = await serve((_, response) => json(response, [1]));
    await new Running(feedOf(guarded.url, { allow: [] })).connection({
      reason: expect.stringContaining("127.0.0.1, which may not be called"),
    });
    expect(guarded.requests).toEqual([]);
    const elsewhere = await serve((_, response) =>
      json(response, [1], { link: "<https://evil.example/?page=2>; rel=next" }),
    );
    const running = new Running(feedOf(elsewhere.url, { next: "link", headers: { "x-key": "k" } }));
    await running.connection({ reason: expect.stringContaining("a next page at https://evil.example") });
    expect(running.groups).toEqual([]);
  });

  test("by leaving out its cursor gives nothing rather than the same for ever", async () => {
    const service = await serve((_, response) => json(response, [{ id: 1 }, { no: 2 }]));
    const running = new Running(feedOf(service.url, { cursor: { field: "id", parameter: "after" } }));
    await running.connection({ state: "suspended", reason: expect.stringContaining("no text or number in `id`") });
    expect(running.groups).toEqual([]);
  });
});

describe("credentials of a polled service", () => {
  test("are sent, renewed once when they are refused, and never shown or kept", async () => {
    let tokens = 0;
    const service = await serve((request, response) => {
      if (request.url === "/token") return json(response, { access_token: `token-${++tokens}`, expires_in: 3600 });
      if (request.headers.authorization !== `Bearer token-${tokens}` || tokens === 1)
        return void response.writeHead(401).end();
      const key = new URL(request.url ?? "", "http://x").searchParams.get("key");
      if (key !== "s3cret/key") return void response.writeHead(400).end(`no key ${key}`);
      return json(response, [service.requests.length], { link: `<${request.url}&page=2>; rel=next` });
    });
    const { origin } = new URL(service.url);
    const running = new Running(
      feedOf(`${service.url}&key=s3cret%2Fkey`, {
        next: "link",
        secrets: ["s3cret/key"],
        auth: { type: "oauth2", tokenUrl: `${origin}/token`, clientId: "me", clientSecret: "hush" },
      }),
    );
    await running.until(2);
    expect(tokens).toBe(2);
    const kept = JSON.stringify(running.cursor);
    expect(kept).toContain("page=2");
    expect(kept).not.toMatch(/s3cret|token-/);
    await running.stop();
    const later = new Running(
      feedOf(`${service.url}&key=changed`, {
        next: "link",
        secrets: ["changed"],
        auth: { type: "bearer", token: "token-2" },
      }),
      running.cursor,
    );
    await later.connection({ reason: expect.stringContaining("answered 400: no key ***") });
  });
});
