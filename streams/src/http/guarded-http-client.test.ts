import { createServer, type RequestListener, type Server, type ServerResponse } from "node:http";
import {
  type AddressInfo,
  createServer as createSocketServer,
  type LookupFunction,
  type Server as NetServer,
} from "node:net";
import { type HttpAnswer, type HttpClient, type HttpRequest, reportOf, systemEnv } from "@millrace/engine";
import { virtualEnv } from "@millrace/engine/testing";
import { afterEach, describe, expect, it } from "vitest";
import { AddressGuard } from "./address-guard.ts";
import type { GuardedHttpOptions } from "./guarded-dialer.ts";
import { guardedHttpClient } from "./guarded-http-client.ts";

const servers: NetServer[] = [];
const clients: HttpClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  for (const server of servers.splice(0)) {
    server.close();
    (server as Server).closeAllConnections?.();
  }
});

async function portOf(server: NetServer, host = "127.0.0.1"): Promise<number> {
  servers.push(server);
  await new Promise<void>((listening) => server.listen(0, host, listening));
  return (server.address() as AddressInfo).port;
}

const serve = (listener: RequestListener): Promise<number> => portOf(createServer(listener));

const LOOPBACK = ["127.0.0.0/8"];

function clientOf(options: GuardedHttpOptions = { allow: LOOPBACK }): HttpClient {
  const client = guardedHttpClient(options, systemEnv());
  clients.push(client);
  return client;
}

function call(port: number, request: Partial<HttpRequest> = {}, options?: GuardedHttpOptions): Promise<HttpAnswer> {
  const defaults = {
    method: "POST",
    url: `http://127.0.0.1:${port}/x?key=secret`,
    headers: {},
    body: Buffer.from("[]"),
  };
  return clientOf(options).request({ ...defaults, deadlineMs: 5000, answerBytesMax: 1000, ...request } as HttpRequest);
}

async function failure(answer: Promise<unknown>): Promise<ReturnType<typeof reportOf>> {
  return reportOf(
    await answer.then(
      () => "an answer",
      (error: unknown) => error,
    ),
  );
}

it("posts a body, and gives the answer whatever its status", async () => {
  const port = await serve((request, response) => {
    let body = "";
    request.on("data", (part) => {
      body += part;
    });
    request.on("end", () => response.writeHead(418, { "X-Kind": "teapot" }).end(body + request.headers["x-a"]));
  });
  const { status, headers, body } = await call(port, { headers: { "x-a": "!" }, body: Buffer.from("tea") });
  expect([status, headers["x-kind"], Buffer.from(body).toString()]).toEqual([418, "teapot", "tea!"]);
});

it("keeps as many connections as it may have, and makes no more", async () => {
  let connections = 0;
  const server = createServer((request, response) => void request.resume().on("end", () => response.end()));
  server.on("connection", () => connections++);
  // However long a busy machine takes between two requests.
  server.keepAliveTimeout = 0;
  const url = `http://127.0.0.1:${await portOf(server)}/`;
  const client = clientOf({ allow: LOOPBACK, connections: 2 });
  const rest = { method: "POST", url, headers: {}, deadlineMs: 60_000, answerBytesMax: 1000 } as const;
  await Promise.all(Array.from({ length: 12 }, () => client.request({ ...rest, body: Buffer.from("[]") })));
  expect(connections).toBe(2);
});

describe("a hostile service", () => {
  it("that sends a byte now and then is left at the deadline", async () => {
    const virtual = virtualEnv(1);
    let began: (response: ServerResponse) => void = () => undefined;
    const answering = new Promise<ServerResponse>((resolve) => {
      began = resolve;
    });
    const port = await serve((_, response) => began(response.writeHead(200)));
    const client = guardedHttpClient({ allow: LOOPBACK }, { ...systemEnv(), timers: virtual.timers });
    clients.push(client);
    const url = `http://127.0.0.1:${port}/x?key=secret`;
    const request = { method: "GET", url, headers: {}, deadlineMs: 3000, answerBytesMax: 1000 } as const;
    const failed = failure(client.request(request));
    const response = await answering;
    for (let second = 1; second <= 3; second++) {
      await new Promise<void>((sent) => response.write("x", () => sent()));
      await virtual.advance(999);
    }
    await virtual.advance(3);
    const { code, message } = await failed;
    expect([code, message]).toEqual(["HTTP-DEADLINE", expect.not.stringContaining("secret")]);
  });

  it("that never stops sending is left at the limit, with and without saying how much comes", async () => {
    const endless = await serve((_, response) => {
      const more = (): void => void (response.write("x".repeat(500)) && setImmediate(more));
      response.on("drain", more);
      more();
    });
    expect(await failure(call(endless))).toMatchObject({ code: "HTTP-ANSWER-SIZE" });
    const said = await serve((_, response) => void response.writeHead(200, { "content-length": "1000000" }).write("x"));
    expect(await failure(call(said))).toMatchObject({ code: "HTTP-ANSWER-SIZE" });
  });

  it("that talks no HTTP, or hangs up in the middle, is a broken connection", async () => {
    const rubbish = await portOf(createSocketServer((socket) => socket.on("data", () => socket.end("HELLO\r\n\r\n"))));
    expect(await failure(call(rubbish))).toMatchObject({ code: "HTTP-BROKEN", kind: "transient" });
    const half = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
    const short = await portOf(createSocketServer((socket) => socket.on("data", () => socket.end(half))));
    expect(await failure(call(short))).toMatchObject({ code: "HTTP-BROKEN" });
  });

  it("that is not there is unreachable", async () => {
    const port = await serve(() => undefined);
    await new Promise((closed) => servers.pop()?.close(closed));
    expect(await failure(call(port))).toMatchObject({ code: "HTTP-UNREACHABLE", kind: "transient" });
  });
});

describe("a redirect", () => {
  const redirect = (location: string): Promise<number> =>
    serve((_, response) => void response.writeHead(307, { location }).end());

  it("is followed, to another origin without secrets", async () => {
    const seen: unknown[] = [];
    const target = await serve(({ headers, method }, response) => {
      seen.push([method, headers["x-key"], headers["content-type"]]);
      response.end("there");
    });
    const port = await redirect(`http://127.0.0.1:${target}/y`);
    const answer = await call(port, { headers: { "X-Key": "k", "Content-Type": "application/json" } });
    expect([Buffer.from(answer.body).toString(), seen]).toEqual(["there", [["POST", undefined, "application/json"]]]);
  });

  it("to a metadata service, to this machine or to another protocol is refused", async () => {
    for (const [location, code] of [
      ["http://169.254.169.254/latest/meta-data/", "HTTP-ADDRESS"],
      ["http://[::ffff:169.254.169.254]/", "HTTP-ADDRESS"],
      ["http://2852039166/", "HTTP-ADDRESS"],
      ["http://10.0.0.1/", "HTTP-ADDRESS"],
      ["http://[::1]/", "HTTP-ADDRESS"],
      ["file:///etc/passwd", "HTTP-REDIRECT"],
      ["http://:bad:/", "HTTP-REDIRECT"],
    ] as const)
      expect([location, await failure(call(await redirect(location)))]).toMatchObject([location, { code }]);
  });

  it("of an older kind is followed where only something is asked for", async () => {
    const target = await serve(({ method }, response) => void response.end(method));
    for (const status of [301, 302, 303]) {
      const location = `http://127.0.0.1:${target}/`;
      const port = await serve((_, response) => void response.writeHead(status, { location }).end());
      const { body, status: got } = await clientOf().request({
        method: "GET",
        url: `http://127.0.0.1:${port}/`,
        headers: {},
        deadlineMs: 5000,
        answerBytesMax: 1000,
      });
      expect([got, Buffer.from(body).toString()]).toEqual([200, "GET"]);
      expect((await call(port)).status).toBe(status);
    }
  });

  it("is not followed for ever", async () => {
    expect(await failure(call(await redirect("/again")))).toMatchObject({ code: "HTTP-REDIRECT" });
  });
});

describe("a name", () => {
  const resolving = (...answers: readonly string[]): LookupFunction => {
    let n = 0;
    return ((_: string, __: object, done: (error: null, found: unknown) => void) =>
      done(null, [{ address: answers[Math.min(n++, answers.length - 1)], family: 4 }])) as unknown as LookupFunction;
  };

  it("that leads to this machine is refused, and nothing is sent", async () => {
    let requests = 0;
    const port = await serve((_, response) => {
      requests++;
      response.end();
    });
    const url = `http://public.example:${port}/`;
    const { code, message } = await failure(call(port, { url }, { lookup: resolving("127.0.0.1") }));
    expect([code, message, requests]).toEqual(["HTTP-ADDRESS", expect.stringContaining("127.0.0.1"), 0]);
    expect(await failure(call(port, { url: `http://localhost:${port}/` }, {}))).toMatchObject({ code: "HTTP-ADDRESS" });
  });

  it("that leads elsewhere at the next connection is judged there", async () => {
    const port = await serve((_, response) => void response.writeHead(200, { connection: "close" }).end());
    const client = clientOf({ allow: ["127.0.0.1/32"], lookup: resolving("127.0.0.1", "127.0.0.2") });
    const limits = { deadlineMs: 5000, answerBytesMax: 1000 };
    const ask = (): Promise<HttpAnswer> =>
      client.request({ method: "GET", url: `http://public.example:${port}/`, headers: {}, ...limits });
    expect((await ask()).status).toBe(200);
    expect(await failure(ask())).toMatchObject({ code: "HTTP-ADDRESS" });
  });
});

it("calls public addresses only", () => {
  const guard = new AddressGuard([]);
  const refused =
    "127.0.0.1 10.1.2.3 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1";
  const refused6 =
    "::1 :: fe80::1%eth0 fc00::1 fd00:ec2::254 ::ffff:10.0.0.1 ::ffff:a00:1 64:ff9b::a00:1 2002:a00:1:: ff02::1";
  for (const address of `${refused} ${refused6} 255.255.255.255 nonsense`.split(" "))
    expect([address, guard.permits(address)]).toEqual([address, false]);
  for (const address of "1.1.1.1 172.32.0.1 192.167.1.1 2606:4700::1111 ::ffff:1.1.1.1".split(" "))
    expect([address, guard.permits(address)]).toEqual([address, true]);
  const allowing = new AddressGuard(["10.1.0.0/16", "::1/128"]);
  expect(["10.1.2.3", "::ffff:10.1.2.3", "::1", "10.2.0.1"].map((a) => allowing.permits(a))).toEqual([
    true,
    true,
    true,
    false,
  ]);
});
