import { connect } from "node:net";
import { MillraceError } from "@millrace/engine";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NodeStateReader } from "../src/mod.ts";
import { type TestGateway, testGateway } from "./test-gateway.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = testGateway();
  await gateway.app.listen({ host: "127.0.0.1", port: 0 });
});
afterAll(() => gateway.app.close());

const port = (): number => (gateway.app.server.address() as { port: number }).port;

/** Sends bytes as they are and answers what comes back until the server closes. */
function raw(bytes: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port(), "127.0.0.1", () => socket.write(bytes));
    let answer = "";
    socket.on("data", (data) => {
      answer += data.toString("latin1");
    });
    socket.on("close", () => resolve(answer));
    // A server that closes before it has read everything resets the connection, behind its answer.
    socket.on("error", () => undefined);
  });
}

describe("malformed requests", () => {
  it.each([
    ["garbage", "\x00\x01\x02 nonsense\r\n\r\n", /^HTTP\/1.1 400/],
    [
      "headers of 20 KB",
      `GET /livez HTTP/1.1\r\nHost: localhost\r\nX: ${"a".repeat(20_000)}\r\n\r\n`,
      /^HTTP\/1.1 431/,
    ],
    [
      "two ways to say how long it is",
      "POST /api/v1/dlq/redrive HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      /^HTTP\/1.1 400/,
    ],
    [
      "two lengths",
      "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
      /^HTTP\/1.1 400/,
    ],
    ["no host", "GET /livez HTTP/1.1\r\n\r\n", /^HTTP\/1.1 400/],
  ])("are refused: %s", async (_name, bytes, wanted) => {
    expect(await raw(bytes)).toMatch(wanted);
  });

  it("are refused when their JSON is broken or reaches for prototypes", async () => {
    for (const payload of ["{", '{"reason":"x","__proto__":{"a":1}}', "[".repeat(10_000), "\ufeff", '"text"', "null"]) {
      const headers = { "content-type": "application/json" };
      const answer = await gateway.app.inject({
        method: "POST",
        url: "/api/v1/graphs/late-flights/stop",
        payload,
        headers,
      });
      expect([payload.slice(0, 9), answer.statusCode]).toEqual([payload.slice(0, 9), 400]);
    }
  });

  it("deny query keys that are not known", async () => {
    for (const url of [
      "/api/v1/graphs?x=1",
      "/api/v1/events?stram=a",
      "/api/v1/projections/departures?were.a=1",
      "/api/v1/live?foo=1",
    ]) {
      const answer = await gateway.app.inject(url);
      expect([url, answer.statusCode, answer.json().code]).toEqual([url, 400, "HTTP-INVALID"]);
      expect(answer.json().errors[0].message).toBe("is not known here");
    }
  });

  it("never make the server fail, whatever the query says", async () => {
    const paths = [
      "/api/v1/events",
      "/api/v1/projections/departures",
      "/api/v1/dlq",
      "/api/v1/graphs/late-flights",
      "/api/v1/events/",
    ];
    const keys = [
      "from",
      "limit",
      "cursor",
      "direction",
      "asOf",
      "minPosition",
      "where.origin",
      "correlation",
      "type",
      "__proto__",
      "constructor",
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...paths),
        fc.array(
          fc.tuple(fc.constantFrom(...keys), fc.oneof(fc.string(), fc.integer().map(String), fc.constant("1e999"))),
          { maxLength: 3 },
        ),
        fc.string(),
        async (path, pairs, tail) => {
          const query = new URLSearchParams(pairs).toString();
          const url = `${path}${path.endsWith("/") ? encodeURIComponent(tail) : ""}?${query}`;
          expect((await gateway.app.inject(url)).statusCode).toBeLessThan(500);
        },
      ),
      { numRuns: 300 },
    );
    expect(gateway.faults).toEqual([]);
  });

  it("never make the server fail, whatever the body says", async () => {
    const urls = [
      "/api/v1/graphs/late-flights/suspend",
      "/api/v1/dlq/redrive",
      "/api/v1/graphs/late-flights/push/flights",
    ];
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...urls), fc.oneof(fc.json(), fc.string()), async (url, payload) => {
        const headers = { "content-type": "application/json" };
        expect((await gateway.app.inject({ method: "POST", url, payload, headers })).statusCode).toBeLessThan(500);
      }),
      { numRuns: 200 },
    );
    expect(gateway.faults).toEqual([]);
  });
});

describe("who may do what", () => {
  const stop = (headers: Record<string, string>, on: TestGateway = gateway) =>
    on.app.inject({ method: "POST", url: "/api/v1/graphs/late-flights/suspend", payload: { reason: "r" }, headers });

  it("refuses changes from pages of other sites, and accepts its own", async () => {
    for (const origin of ["http://evil.example", "null", "http://localhost:81", "http://localhost.evil.example"]) {
      expect((await stop({ host: "localhost:80", origin })).json().code).toBe("HTTP-FORBIDDEN");
    }
    expect((await stop({ host: "localhost:80", origin: "http://localhost:80" })).statusCode).toBe(200);
    expect(gateway.host.calls.at(-1)?.by?.principal).toBe("console");
  });

  it("accepts changes from pages of further origins that it is told of, and of no others", async () => {
    const known = testGateway({ guard: { origins: ["https://ops.example"] } });
    const from = async (origin: string): Promise<number> =>
      (await stop({ host: "localhost:80", origin }, known)).statusCode;
    expect([await from("https://ops.example"), await from("http://ops.example")]).toEqual([200, 403]);
    await known.app.close();
  });

  it("is not found under a name that is not its own, so that a page cannot rebind one", async () => {
    const answer = await gateway.app.inject({ url: "/api/v1/graphs", headers: { host: "rebound.example" } });
    expect(answer.json()).toMatchObject({ status: 403, code: "HTTP-FORBIDDEN" });
    const named = testGateway({ guard: { hosts: ["mill.example"] } });
    expect((await named.app.inject({ url: "/livez", headers: { host: "mill.example:8080" } })).statusCode).toBe(200);
    await named.app.close();
  });

  it("asks for the token where one is set, and only for changes", async () => {
    const guarded = testGateway({ guard: { token: "secret" } });
    expect((await stop({}, guarded)).json()).toMatchObject({ status: 401, code: "HTTP-UNAUTHORIZED" });
    expect((await stop({ authorization: "Bearer wrong" }, guarded)).statusCode).toBe(401);
    // Every program can say that it is a page of ours.
    const page = { host: "localhost:80", origin: "http://localhost:80" };
    expect((await stop(page, guarded)).json()).toMatchObject({ status: 401, code: "HTTP-UNAUTHORIZED" });
    expect((await stop({ ...page, authorization: "Bearer secret" }, guarded)).statusCode).toBe(200);
    expect((await stop({ authorization: "Bearer secret" }, guarded)).statusCode).toBe(200);
    expect(guarded.host.calls.at(-1)?.by?.principal).toBe("token");
    expect((await guarded.app.inject("/api/v1/graphs")).statusCode).toBe(200);
    await guarded.app.close();
  });

  it("tells nothing of an unexpected error but an id that finds it", async () => {
    const broken = testGateway({
      health: () => {
        throw new Error("password is hunter2");
      },
      nodeStates: {
        at: () => {
          const options = { place: { file: "/hunter2" }, details: { path: "/hunter2" } };
          throw new MillraceError("INVARIANT", "programmer", "hunter2", options);
        },
      } as unknown as NodeStateReader,
    });
    const faulty = await broken.app.inject("/api/v1/graphs/g/nodes/n/state");
    expect([faulty.statusCode, faulty.body.includes("hunter2")]).toEqual([500, false]);
    const answer = await broken.app.inject({ url: "/readyz", headers: { "x-correlation-id": "abc-12345" } });
    expect([answer.statusCode, answer.json().correlationId]).toEqual([500, "abc-12345"]);
    expect(answer.body).not.toContain("hunter2");
    expect(broken.faults).toHaveLength(2);
    await broken.app.close();
  });
});
