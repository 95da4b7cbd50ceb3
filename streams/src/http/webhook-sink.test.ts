import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import {
  type InputSlice,
  type Json,
  type MillraceError,
  Positions,
  RowBatch,
  reportOf,
  type SinkConnector,
  systemEnv,
  type WebhookHeaders,
  WebhookKeys,
} from "@millrace/engine";
import { sinkContract, virtualEnv } from "@millrace/engine/testing";
import { afterEach, describe, expect, test } from "vitest";
import { type WebhookSinkOptions, webhookSink } from "./webhook-sink.ts";

interface Received {
  readonly headers: WebhookHeaders;
  readonly key: string | undefined;
  readonly type: string | undefined;
  readonly body: string;
}

interface Target {
  readonly url: string;
  readonly received: Received[];
  readonly server: Server;
}

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) stop(server);
});

function stop(server: Server): void {
  server.close();
  server.closeAllConnections();
}

/** Goes away and comes back at the same port, a moment later. */
function restart(server: Server): void {
  const { port } = server.address() as AddressInfo;
  stop(server);
  setImmediate(() => server.listen(port, "127.0.0.1"));
}

/** Waits are short, and the circuit stays closed. */
const POLICY = { backoffMs: 1, backoffMaxMs: 10, suspendAfter: 1000 };

/** A web server that notes what it is sent; `answer` may refuse instead. */
async function targetOf(
  answer?: (request: IncomingMessage, response: ServerResponse, n: number) => boolean,
): Promise<Target> {
  const received: Received[] = [];
  let n = 0;
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (part: string) => {
      body += part;
    });
    request.on("end", () => {
      if (answer?.(request, response, n++) === true) return;
      received.push({
        headers: request.headers,
        key: request.headers["idempotency-key"] as string | undefined,
        type: request.headers["content-type"],
        body,
      });
      response.end("thanks");
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  servers.push(server);
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/in?token=secret`, received, server };
}

function sliceOf(rows: readonly Json[], first = 0): InputSlice {
  return {
    lane: "origin>a/b",
    input: 0,
    batch: new RowBatch(rows),
    positions: Positions.dense(first, rows.length),
    late: [],
  };
}

const env = systemEnv();
const { clock } = env;
const SECRET = `whsec_${Buffer.alloc(32, 1).toString("base64")}`;
const keys = WebhookKeys.parse(SECRET) as WebhookKeys;

for (const [name, options] of [
  ["a webhook", {}],
  ["a webhook of lines", { body: "lines" }],
  ["a keyed webhook", { keyed: true }],
  ["a signed webhook", { signing: { keys, id: "g/out", clock } }],
] as const) {
  const target = async () => {
    const { url, received, server } = await targetOf();
    return {
      connect: () => webhookSink({ urls: [url], policy: POLICY, ...options }, env),
      async content() {
        const seen = new Map<string, Json>();
        const messages = received.flatMap(({ body, key, type }, i) => {
          const parts =
            type === "application/x-ndjson"
              ? body
                  .split("\n")
                  .filter(Boolean)
                  .map((line) => JSON.parse(line) as Json)
              : JSON.parse(body);
          const rows = (Array.isArray(parts) ? parts : [parts]) as Json[];
          for (const row of rows) seen.set(key ?? `${i}`, row);
          return rows;
        });
        return received[0]?.key === undefined ? messages : [...seen.values()];
      },
      breakConnections: () => restart(server),
      close: async () => stop(server),
    };
  };
  // A keyed message is a request.
  sinkContract(name, target, {
    many: "keyed" in options ? 60 : 1100,
    connectionless:
      "posting is connecting, and what is posted to find out whether somebody is there would be a message",
  });
}

async function failureOf(
  options: Partial<WebhookSinkOptions>,
  answer: (response: ServerResponse) => void,
): Promise<ReturnType<typeof reportOf> & { retryAfterMs?: number }> {
  const { url } = await targetOf((_, response) => {
    answer(response);
    return true;
  });
  // Its clock stands still: no time has passed when it says for how long it waits.
  const sink = webhookSink({ urls: [url], ...options }, { ...env, clock: virtualEnv("webhook").clock });
  await sink.open(undefined);
  const thrown: unknown = await sink.deliver([sliceOf([1])]).catch((error: unknown) => error);
  await sink.close();
  const { retryAfterMs } = thrown as { retryAfterMs?: number };
  return { ...reportOf(thrown), ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

test("a keyed message has the same key in every request, and batches are cut at the limit", async () => {
  const { url, received } = await targetOf();
  const keyed = webhookSink({ urls: [url], keyed: true }, env);
  await keyed.open(undefined);
  await keyed.deliver([sliceOf(["a", "b"], 7)]);
  await keyed.deliver([sliceOf(["b"], 8)]);
  expect(received.map(({ key }) => key)).toEqual(["origin%3Ea%2Fb/7/0", "origin%3Ea%2Fb/8/0", "origin%3Ea%2Fb/8/0"]);
  const cut = webhookSink({ urls: [url], messagesMax: 2 }, env);
  await cut.open(undefined);
  await cut.deliver([sliceOf([1, 2, 3])]);
  expect(received.slice(3).map(({ body }) => body)).toEqual(["[1,2]", "[3]"]);
  await keyed.close();
  await cut.close();
});

test("a target that is overloaded is tried again, when it says", async () => {
  expect(await failureOf({}, (response) => response.writeHead(429, { "retry-after": "7" }).end())).toMatchObject({
    code: "SINK-FAILED",
    kind: "transient",
    retryAfterMs: 7000,
  });
  const dates = { date: "Mon, 01 Jan 2001 00:00:00 GMT", "retry-after": "Mon, 01 Jan 2001 00:00:30 GMT" };
  expect(await failureOf({}, (response) => response.writeHead(503, dates).end())).toMatchObject({
    retryAfterMs: 30_000,
  });
  const policy = { backoffMs: 70, jitter: 0 };
  expect(await failureOf({ policy }, (response) => response.writeHead(500).end())).toMatchObject({ retryAfterMs: 70 });
});

test("a target that refuses is not tried again, and its answer is shown without secrets of the address", async () => {
  const failure = await failureOf({}, (response) => response.writeHead(400).end("no such field"));
  expect(failure).toMatchObject({
    code: "SINK-REFUSED",
    kind: "terminal",
    details: { status: 400, answer: "no such field" },
  });
  expect(failure.message).not.toContain("secret");
});

test.each([401, 403, 407])(
  "a target that does not know us (%i) fails no message: the sink waits, and says why",
  async (status) => {
    const failure = await failureOf({}, (response) => response.writeHead(status).end("who are you"));
    expect(failure).toMatchObject({
      code: "SINK-FAILED",
      kind: "transient",
      details: { status, answer: "who are you" },
    });
    expect(failure.message).toMatch(/: answered \d+: it does not accept the credentials$/);
    expect(failure.message).not.toContain("secret");
  },
);

test("a target that refuses with an answer without end is heard no further than is shown", async () => {
  const failure = await failureOf({}, (response) => {
    const more = (): void => {
      while (response.write("no ".repeat(10_000)));
    };
    response.writeHead(400).on("drain", more);
    more();
  });
  expect(failure).toMatchObject({ code: "SINK-REFUSED", details: { answer: "no ".repeat(200).slice(0, 500) } });
});

test("a target that says nothing, or hangs up, is a transient failure", async () => {
  expect(await failureOf({ timeoutMs: 50 }, () => {})).toMatchObject({ code: "SINK-FAILED", kind: "transient" });
  expect(await failureOf({}, (response) => response.destroy())).toMatchObject({ code: "SINK-FAILED" });
});

/** Ids of the requests that a signed sink sends for these deliveries; all signatures are verified. */
async function idsOf(
  id: string,
  deliveries: readonly (readonly InputSlice[])[],
  options: Partial<WebhookSinkOptions> = {},
): Promise<readonly string[]> {
  const { url, received } = await targetOf();
  const sink = webhookSink({ urls: [url], signing: { keys, id, clock }, ...options }, env);
  await sink.open(undefined);
  for (const slices of deliveries) await sink.deliver(slices);
  await sink.close();
  return received.map(({ headers, body }) => {
    const verdict = keys.verify(headers, body, clock.now());
    if ("fault" in verdict) throw new Error(verdict.message);
    return verdict.id;
  });
}

test("a request that is sent again has the same id, and no other request has it", async () => {
  const [one, again, other, shorter, twoLanes] = await idsOf("g/out", [
    [sliceOf(["a", "b"], 7)],
    [sliceOf(["a", "b"], 7)],
    [sliceOf(["a", "b"], 8)],
    [sliceOf(["a"], 7)],
    [sliceOf(["a", "b"], 7), { ...sliceOf(["a"], 7), lane: "other>a/b" }],
  ]);
  expect(again).toBe(one);
  expect(new Set([one, other, shorter, twoLanes]).size).toBe(4);
  expect(await idsOf("g/out2", [[sliceOf(["a", "b"], 7)]])).not.toContain(one);
});

test("every part of a delivery that is cut is signed, and so are keyed messages and lines", async () => {
  const slices = [sliceOf([1, 2, 3], 0), { ...sliceOf([4, 5], 0), lane: "other>a/b" }];
  expect(new Set(await idsOf("g/out", [slices], { messagesMax: 2 })).size).toBe(3);
  expect(new Set(await idsOf("g/out", [slices], { keyed: true })).size).toBe(5);
  expect((await idsOf("g/out", [slices], { body: "lines" })).length).toBe(1);
});

test("messages are not sent to where a target redirects them", async () => {
  const other = await targetOf();
  for (const status of [301, 307, 308]) {
    const failure = await failureOf({}, (response) => response.writeHead(status, { location: other.url }).end());
    expect(failure).toMatchObject({ code: "SINK-REFUSED", details: { status } });
  }
  expect(other.received).toEqual([]);
});

const thrownBy = (delivery: Promise<unknown>): Promise<MillraceError> =>
  delivery.then(
    () => Promise.reject(new Error("it was delivered")),
    (error: MillraceError) => error,
  );

/** A delivery as a node makes it: what fails for a while is done again. */
async function delivered(sink: SinkConnector, row: Json): Promise<void> {
  for (;;) {
    try {
      await sink.deliver([sliceOf([row])]);
      return;
    } catch (error) {
      expect(reportOf(error).kind).toBe("transient");
    }
  }
}

describe("the connection of a webhook", () => {
  test("says why a target that went away is not up, and is up when it has come back", async () => {
    const { url, received, server } = await targetOf();
    const sink = webhookSink({ urls: [url], policy: { ...POLICY, backoffMs: 20 } }, env);
    expect(sink.connection?.()).toMatchObject({ state: "idle", endpoint: null, reason: "" });
    await sink.deliver([sliceOf([1])]);
    const [name = ""] = url.split("?");
    expect(sink.connection?.()).toMatchObject({ name, state: "up", endpoint: name, reason: "", connects: 1 });
    const { port } = server.address() as AddressInfo;
    stop(server);
    await thrownBy(sink.deliver([sliceOf([2])]));
    expect(sink.connection?.()).toMatchObject({ state: "backing-off", failures: 0 });
    const { code, message } = await thrownBy(sink.deliver([sliceOf([2])]));
    expect([code, message]).toEqual(["SINK-FAILED", expect.stringMatching(/\/in: no answer: .*ECONNREFUSED/)]);
    expect(sink.connection?.()).toMatchObject({ state: "backing-off", failures: 1, reason: message });
    await new Promise<void>((listening) => server.listen(port, "127.0.0.1", listening));
    await delivered(sink, 2);
    expect(sink.connection?.()).toMatchObject({ state: "up", reason: "", connects: 2, failures: 0 });
    expect(received.map(({ body }) => body)).toEqual(["[1]", "[2]"]);
    await sink.close();
    expect(sink.connection?.().state).toBe("idle");
  });

  test("is left alone after several failures, and one delivery decides whether it is up again", async () => {
    let isIll = true;
    let requests = 0;
    const { url } = await targetOf((_, response) => {
      requests++;
      if (isIll) response.writeHead(503).end("later");
      return isIll;
    });
    const policy = { backoffMs: 1, suspendAfter: 3, suspendMs: 3_600_000 };
    let passedMs = 0;
    const later = { now: () => clock.now() + passedMs, monotonic: () => clock.monotonic() + passedMs };
    const sink = webhookSink({ urls: [url], policy }, { ...env, clock: later });
    for (let i = 0; i < 3; i++)
      expect(await thrownBy(sink.deliver([sliceOf([1])]))).toMatchObject({
        code: "SINK-FAILED",
        details: { status: 503, answer: "later", failures: i + 1 },
      });
    const status = sink.connection?.();
    expect(status).toMatchObject({ state: "suspended", reason: expect.stringMatching(/\/in: answered 503$/) });
    const { code, retryAfterMs = 0 } = await thrownBy(sink.deliver([sliceOf([1])]));
    expect([code, requests]).toEqual(["CONNECTION-SUSPENDED", 3]);
    isIll = false;
    passedMs = retryAfterMs;
    await sink.deliver([sliceOf([1])]);
    expect([sink.connection?.().state, requests]).toEqual(["up", 4]);
    await sink.close();
  });

  test("has the next of several hosts when one takes nothing, and leaves that one alone as long as it wants", async () => {
    let firstIsAsked = 0;
    const first = await targetOf((_, response) => {
      firstIsAsked++;
      response.writeHead(429, { "retry-after": "3600" }).end();
      return true;
    });
    let isGone = false;
    const second = await targetOf((_, response) => {
      if (isGone) response.destroy();
      return isGone;
    });
    const sink = webhookSink(
      { urls: [first.url, second.url], policy: POLICY, signing: { keys, id: "g/out", clock } },
      env,
    );
    await sink.deliver([sliceOf(["a"])]);
    expect(sink.connection?.()).toMatchObject({ state: "up", endpoint: second.url.split("?")[0] });
    isGone = true;
    // The first failure is that of the host that was up: nobody waits for the one that asked to be left alone.
    const { retryAfterMs = 0 } = await thrownBy(sink.deliver([sliceOf(["b"])]));
    expect(retryAfterMs).toBeLessThan(60_000);
    const { message } = await thrownBy(sink.deliver([sliceOf(["b"])]));
    expect(message).toMatch(/in: wants to be left alone for \d+ ms more; .*in: no answer: /);
    isGone = false;
    await delivered(sink, "b");
    expect(second.received.map(({ body }) => body)).toEqual(['["a"]', '["b"]']);
    expect(second.received.map(({ headers }) => headers["webhook-id"])).toEqual(
      await idsOf("g/out", [[sliceOf(["a"])], [sliceOf(["b"])]]),
    );
    expect(firstIsAsked).toBe(1);
    await sink.close();
  });

  test("is up where a message is refused, which is not asked of another host", async () => {
    const refusing = await targetOf((_, response) => {
      response.writeHead(400).end();
      return true;
    });
    const other = await targetOf();
    const sink = webhookSink({ urls: [refusing.url, other.url] }, env);
    for (let i = 0; i < 2; i++) expect((await thrownBy(sink.deliver([sliceOf([1])]))).code).toBe("SINK-REFUSED");
    expect([sink.connection?.().state, other.received]).toEqual(["up", []]);
    await sink.close();
  });

  test("shows no secret, in the path neither, and tells hosts apart that are secrets", async () => {
    const urls = ["http://127.0.0.1:1/hook/s3cret", "http://127.0.0.2:1/hook/s3cret"];
    const sink = webhookSink({ urls, secrets: ["s3cret", "127.0.0.1", "127.0.0.2"], policy: POLICY }, env);
    const { message } = await thrownBy(sink.deliver([sliceOf([1])]));
    expect(message).toMatch(/^http:\/\/\*\*\*:1\/hook\/\*\*\*: .*; http:\/\/\*\*\*:1\/hook\/\*\*\* \(2\): /);
    expect(sink.connection?.().name).toBe("http://***:1,***:1/hook/***");
    expect(JSON.stringify(sink.connection?.())).not.toMatch(/s3cret|127\.0/);
    await sink.close();
  });
});

test("with a list of networks no other private address is posted to; without one any is", async () => {
  const { url, received } = await targetOf();
  const elsewhere = webhookSink({ urls: [url], allow: ["10.0.0.0/8"] }, env);
  const { code, kind, message } = await thrownBy(elsewhere.deliver([sliceOf([1])]));
  expect([code, kind, message]).toEqual(["SINK-FAILED", "transient", expect.stringContaining("127.0.0.1")]);
  expect(received).toEqual([]);
  const here = webhookSink({ urls: [url], allow: ["127.0.0.0/8"] }, env);
  await here.deliver([sliceOf([1])]);
  expect(received.length).toBe(1);
  await here.close();
});

test("a target that took the messages and never ends its answer has taken them", async () => {
  const { url } = await targetOf((_, response) => {
    response.writeHead(200);
    response.write("thanks");
    const trickle = (): void => {
      if (!response.write(".") && response.destroyed) return;
      env.timers.after(10, trickle);
    };
    trickle();
    return true;
  });
  const sink = webhookSink({ urls: [url], timeoutMs: 1000 }, env);
  await sink.deliver([sliceOf([1])]);
  expect(sink.connection?.().state).toBe("up");
  await sink.close();
});
