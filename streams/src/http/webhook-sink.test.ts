import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import {
  type InputSlice,
  type Json,
  Positions,
  RowBatch,
  reportOf,
  systemEnv,
  type WebhookHeaders,
  WebhookKeys,
} from "@millrace/engine";
import { sinkContract } from "@millrace/engine/testing";
import { afterEach, expect, test } from "vitest";
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

const clock = systemEnv().clock;
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
      connect: () => webhookSink({ url, ...options }),
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
      close: async () => stop(server),
    };
  };
  // A keyed message is a request.
  sinkContract(name, target, { many: "keyed" in options ? 60 : 1100 });
}

async function failureOf(
  options: Partial<WebhookSinkOptions>,
  answer: (response: ServerResponse) => void,
): Promise<ReturnType<typeof reportOf> & { retryAfterMs?: number }> {
  const { url } = await targetOf((_, response) => {
    answer(response);
    return true;
  });
  const sink = webhookSink({ url, ...options });
  await sink.open(undefined);
  const thrown: unknown = await sink.deliver([sliceOf([1])]).catch((error: unknown) => error);
  await sink.close();
  const { retryAfterMs } = thrown as { retryAfterMs?: number };
  return { ...reportOf(thrown), ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

test("a keyed message has the same key in every request, and batches are cut at the limit", async () => {
  const { url, received } = await targetOf();
  const keyed = webhookSink({ url, keyed: true });
  await keyed.open(undefined);
  await keyed.deliver([sliceOf(["a", "b"], 7)]);
  await keyed.deliver([sliceOf(["b"], 8)]);
  expect(received.map(({ key }) => key)).toEqual(["origin%3Ea%2Fb/7/0", "origin%3Ea%2Fb/8/0", "origin%3Ea%2Fb/8/0"]);
  const cut = webhookSink({ url, messagesMax: 2 });
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
  expect(await failureOf({}, (response) => response.writeHead(500).end())).not.toHaveProperty("retryAfterMs");
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
    expect(failure.message).toMatch(/ answered \d+: it does not accept the credentials$/);
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
  const sink = webhookSink({ url, signing: { keys, id, clock }, ...options });
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
