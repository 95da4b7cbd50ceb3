import { MillraceError, WebhookKeys } from "@millrace/engine";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NodeState, NodeStateReader, StateChange } from "../src/ports.ts";
import { edgeStatus, graphStatus, nodeStatus } from "./fake-host.ts";
import { deadLetter } from "./fake-reads.ts";
import { type TestGateway, testGateway } from "./test-gateway.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = testGateway();
  await gateway.app.ready();
});
afterAll(() => gateway.app.close());

const get = (url: string, headers: Record<string, string> = {}) => gateway.app.inject({ method: "GET", url, headers });
const post = (url: string, payload: unknown, headers: Record<string, string> = {}) =>
  gateway.app.inject({ method: "POST", url, payload: payload as object, headers });
const EDGE = encodeURIComponent("flights -> late");

describe("graphs", () => {
  it("answers the status of every graph as the host gives it", async () => {
    const answer = await get("/api/v1/graphs");
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual({ graphs: JSON.parse(JSON.stringify(gateway.host.list())) });
  });

  it("answers one graph with its revision as entity tag", async () => {
    const answer = await get("/api/v1/graphs/late-flights");
    expect(answer.headers.etag).toBe('"7"');
    expect(answer.json()).toEqual(JSON.parse(JSON.stringify(gateway.host.status("late-flights"))));
  });

  it("answers the graph file as text", async () => {
    const answer = await get("/api/v1/graphs/late-flights/source");
    expect([answer.headers["content-type"], answer.body]).toEqual([
      "text/plain; charset=utf-8",
      "name: late-flights\n",
    ]);
  });

  it("answers 404 with a problem for graphs and edges that do not exist", async () => {
    for (const url of [
      "/api/v1/graphs/nope",
      "/api/v1/graphs/nope/source",
      "/api/v1/graphs/late-flights/edges/nope/peek",
    ]) {
      const answer = await get(url);
      expect([answer.statusCode, answer.headers["content-type"]]).toEqual([404, "application/problem+json"]);
      expect(answer.json()).toMatchObject({
        code: "HTTP-NOT-FOUND",
        correlationId: answer.headers["x-correlation-id"],
      });
    }
  });

  it("answers 405 to a method that an address does not take, and says which it takes", async () => {
    const wrong = await gateway.app.inject({ method: "DELETE", url: "/api/v1/graphs/late-flights?now=1" });
    expect([wrong.statusCode, wrong.headers.allow]).toEqual([405, "GET, HEAD"]);
    expect(wrong.json()).toMatchObject({
      code: "HTTP-METHOD",
      detail: "/api/v1/graphs/late-flights takes GET, HEAD, not DELETE",
    });
    expect((await get("/api/v1/graphs/late-flights/stop")).statusCode).toBe(405);
  });

  it("refuses places in the log that no number can say exactly", async () => {
    const answer = await get("/api/v1/events?from=9007199254740993");
    expect([answer.statusCode, answer.json().code]).toEqual([400, "HTTP-INVALID"]);
  });

  it("peeks at the newest messages of an edge", async () => {
    const answer = await get(`/api/v1/graphs/late-flights/edges/${EDGE}/peek`);
    expect(answer.json()).toEqual({
      graph: "late-flights",
      edge: "flights -> late",
      messages: [{ edge: "flights -> late", pos: 7, ord: 0, atMs: 1, value: { origin: "ATL", delay: 42 } }],
    });
  });

  it.each([
    ["suspend", "suspended"],
    ["resume", "running"],
    ["stop", "stopped"],
    ["start", "running"],
  ])("%s passes on who and why and answers the new state", async (verb, state) => {
    const answer = await post(`/api/v1/graphs/late-flights/${verb}`, { reason: "maintenance" });
    expect([answer.statusCode, answer.json().state]).toEqual([200, state]);
    expect(gateway.host.calls.at(-1)).toEqual({
      verb,
      graph: "late-flights",
      by: { principal: "local", reason: "maintenance" },
    });
  });

  it("changes nothing without a reason", async () => {
    const calls = gateway.host.calls.length;
    for (const body of [{}, { reason: "" }, { reason: "x", more: 1 }]) {
      expect((await post("/api/v1/graphs/late-flights/stop", body)).statusCode).toBe(400);
    }
    expect(gateway.host.calls.length).toBe(calls);
  });

  it("refuses a change that was decided about another revision", async () => {
    const stale = await post("/api/v1/graphs/late-flights/stop", { reason: "r" }, { "if-match": '"6"' });
    expect([stale.statusCode, stale.json().code]).toEqual([412, "HTTP-STALE"]);
    const current = await post("/api/v1/graphs/late-flights/start", { reason: "r" }, { "if-match": '"7"' });
    expect(current.statusCode).toBe(200);
  });
});

describe("events", () => {
  const positions = (answer: { json(): { events: { position: number }[] } }): number[] =>
    answer.json().events.map(({ position }) => position);

  it("pages backwards from the newest to the first without gap or repeat", async () => {
    const seen: number[] = [];
    let cursor: string | null = null;
    do {
      const answer = await get(`/api/v1/events?limit=7${cursor === null ? "" : `&cursor=${cursor}`}`);
      seen.push(...positions(answer));
      cursor = answer.json().next;
    } while (cursor !== null);
    expect(seen).toEqual(Array.from({ length: 30 }, (_, i) => 29 - i));
  });

  it("reads forward from a position and through a filter", async () => {
    expect(positions(await get("/api/v1/events?direction=forward&from=5&limit=3"))).toEqual([5, 6, 7]);
    expect(positions(await get("/api/v1/events?type=Step&limit=2"))).toEqual([27, 24]);
    expect(positions(await get("/api/v1/events?graph=other"))).toEqual([]);
    expect(positions(await get(`/api/v1/events?correlation=${"1".padStart(32, "0")}&limit=3`))).toEqual([9, 8, 7]);
  });

  it("reads one stream by revision", async () => {
    const answer = await get("/api/v1/events?stream=node%2F1&direction=forward&from=2&limit=2");
    expect(answer.json().events.map(({ revision }: { revision: number }) => revision)).toEqual([2, 3]);
    expect(answer.json().next).toBe("f4");
  });

  it("answers payloads as JSON, or not at all when told so", async () => {
    expect((await get("/api/v1/events?limit=1")).json().events[0].payload).toEqual({ i: 29 });
    expect((await get("/api/v1/events?limit=1&payload=none")).json().events[0].payload).toBeNull();
    expect((await get("/api/v1/events/4")).json()).toMatchObject({ position: 4, payload: { i: 4 } });
    expect((await get("/api/v1/events/30")).statusCode).toBe(404);
  });

  it("ends a page with the event that fills it, however many were asked for", async () => {
    const own = testGateway();
    for (let i = 0; i < 3; i++) own.log.add({ type: "Large", stream: "large", payload: "x".repeat(1_500_000) });
    const page = (query: string) => own.app.inject(`/api/v1/events?type=Large&direction=forward${query}`);
    const first = await page("&payload=full");
    expect(positions(first)).toEqual([30, 31]);
    expect(positions(await page(`&cursor=${first.json().next}`))).toEqual([32]);
    expect(positions(await page("&payload=none"))).toEqual([30, 31, 32]);
    await own.app.close();
  });

  it("refuses a cursor of another list", async () => {
    for (const cursor of ["f3", "x", "b-1", "b99999999999999999999"]) {
      expect((await get(`/api/v1/events?cursor=${cursor}`)).json()).toMatchObject({
        status: 400,
        code: "HTTP-INVALID",
      });
    }
  });
});

describe("projections", () => {
  it("lists them with their lag", async () => {
    expect((await get("/api/v1/projections")).json()).toEqual({
      begin: 0,
      end: 30,
      projections: [{ name: "departures", version: 1, asOf: 30, lag: 0, state: "live", rows: 2 }],
    });
  });

  it("filters by any field and says as of which position", async () => {
    const answer = await get("/api/v1/projections/departures?where.origin=ORD&limit=5");
    expect(answer.json()).toEqual({ asOf: 30, rows: [{ origin: "ORD", flights: 5 }], next: null });
  });

  it("passes the past and the wished position on", async () => {
    expect((await get("/api/v1/projections/departures?asOf=12&minPosition=3&order=desc")).json().asOf).toBe(12);
    expect(gateway.projections.queries.at(-1)).toEqual({ limit: 100, asOf: 12, minPosition: 3, order: "desc" });
    await get("/api/v1/projections/departures?asOf=2001-02-11T14:00Z");
    expect(gateway.projections.queries.at(-1)).toEqual({ limit: 100, asOfTimeMs: 981_900_000_000 });
    const refusals = {
      "asOf=yesterday": "querystring/asOf must be a position, or a time in UTC such as 2026-01-31T12:00:00Z",
      "asOf=2001-02-29T14:00Z": "querystring/asOf: there is no time 2001-02-29T14:00Z",
      "order=up": "querystring/order must be one of asc, desc",
    };
    for (const [query, detail] of Object.entries(refusals))
      expect((await get(`/api/v1/projections/departures?${query}`)).json()).toMatchObject({ status: 400, detail });
    expect((await get("/api/v1/projections/departures?asOf=2001-99-99T14:00Z")).statusCode).toBe(400);
  });

  it("pages with cursors", async () => {
    const first = (await get("/api/v1/projections/departures?limit=1")).json();
    const second = (await get(`/api/v1/projections/departures?limit=1&cursor=${first.next}`)).json();
    expect([first.rows[0].origin, second.rows[0].origin, second.next]).toEqual(["ATL", "ORD", null]);
  });

  it("answers 404 for one that does not exist", async () => {
    expect((await get("/api/v1/projections/nope")).statusCode).toBe(404);
    expect((await get("/api/v1/projections/nope/live")).statusCode).toBe(404);
  });
});

describe("dead letters", () => {
  it("lists, filters and shows them", async () => {
    expect((await get("/api/v1/dlq")).json().rows).toEqual([deadLetter(2), deadLetter(1)]);
    expect((await get("/api/v1/dlq?code=OTHER")).json().rows).toEqual([]);
    expect((await get(`/api/v1/dlq/${deadLetter(1).id}`)).json()).toEqual(deadLetter(1));
    expect((await get(`/api/v1/dlq/${"f".repeat(32)}`)).statusCode).toBe(404);
  });

  it("sends them again with who and why", async () => {
    const ids = [deadLetter(1).id];
    const answer = await post("/api/v1/dlq/redrive", { graph: "late-flights", ids, reason: "fixed" });
    expect(answer.json()).toEqual({ redriven: 1 });
    const by = { principal: "local", reason: "fixed" };
    expect(gateway.host.calls.at(-1)).toEqual({ verb: "redrive", graph: "late-flights", by, ids });
  });
});

describe("push", () => {
  const url = "/api/v1/graphs/late-flights/push/flights";

  it("accepts a JSON array and NDJSON and answers the durable position", async () => {
    const before = gateway.host.pushed.length;
    const array = await post(url, [{ a: 1 }, 2], { "idempotency-key": "k1" });
    expect(array.json()).toEqual({ position: before + 2, accepted: 2 });
    expect(gateway.host.calls.at(-1)?.key).toBe("k1");
    const lines = await gateway.app.inject({
      method: "POST",
      url,
      payload: '{"a":2}\n\n"x"\r\n',
      headers: { "content-type": "application/x-ndjson" },
    });
    expect(lines.json()).toEqual({ position: before + 4, accepted: 2 });
    expect(gateway.host.pushed.slice(-2)).toEqual([{ a: 2 }, "x"]);
  });

  it("takes an event in binary mode that has no data, and so no body", async () => {
    const headers = { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t" };
    const answer = await gateway.app.inject({ method: "POST", url, headers });
    expect([answer.statusCode, answer.json().accepted]).toEqual([200, 1]);
    expect(gateway.host.pushed.at(-1)).toEqual({ specversion: "1.0", id: "1", source: "/s", type: "t" });
  });

  it("names the line that is not JSON, and accepts nothing of the request", async () => {
    const before = gateway.host.pushed.length;
    const headers = { "content-type": "application/x-ndjson" };
    const answer = await gateway.app.inject({ method: "POST", url, payload: '{"a":1}\n{', headers });
    expect([answer.statusCode, answer.json().place]).toEqual([400, { line: 2 }]);
    expect(gateway.host.pushed.length).toBe(before);
  });

  it("takes messages with fields of any name", async () => {
    const message = '{"__proto__":{"a":1},"constructor":{"prototype":2}}';
    const bodies: readonly (readonly [type: string, payload: string])[] = [
      ["application/json", `[${message}]`],
      ["application/x-ndjson", message],
    ];
    for (const [type, payload] of bodies) {
      const answer = await gateway.app.inject({ method: "POST", url, payload, headers: { "content-type": type } });
      expect([answer.statusCode, JSON.stringify(gateway.host.pushed.at(-1))]).toEqual([200, message]);
    }
  });

  it("says what is wrong with a body: that it is none, or where it stops being JSON", async () => {
    const bodies: readonly (readonly [body: string, detail: RegExp])[] = [
      ["", /^there is no body$/],
      ['[{"a":1},', /^not JSON: /],
    ];
    for (const [payload, detail] of bodies) {
      const headers = { "content-type": "application/json" };
      const answer = await gateway.app.inject({ method: "POST", url, payload, headers });
      expect(answer.json()).toMatchObject({ code: "HTTP-MALFORMED", detail: expect.stringMatching(detail) });
    }
  });

  it("tells the producer to wait under back-pressure", async () => {
    gateway.host.pushFailure = new MillraceError("LOG-FULL", "transient", "disk full", { retryAfterMs: 2500 });
    const full = await post(url, [1]);
    expect([full.statusCode, full.headers["retry-after"], full.json().code]).toEqual([503, "3", "LOG-FULL"]);
    gateway.host.pushFailure = new MillraceError("PUSH-NO-CREDIT", "transient", "mailbox full");
    const busy = await post(url, [1]);
    expect([busy.statusCode, busy.headers["retry-after"]]).toEqual([429, "1"]);
    gateway.host.pushFailure = undefined;
  });

  it("takes 16 MB here and 1 MB elsewhere", async () => {
    const large = "x".repeat(2 << 20);
    expect((await post(url, [large])).statusCode).toBe(200);
    expect((await post("/api/v1/graphs/late-flights/stop", { reason: large })).json()).toMatchObject({
      status: 413,
      code: "HTTP-TOO-LARGE",
    });
    expect((await post(url, ["x".repeat(17 << 20)])).statusCode).toBe(413);
  });

  it("refuses nodes that are no source, and bodies of other types", async () => {
    expect((await post("/api/v1/graphs/late-flights/push/late", [1])).statusCode).toBe(404);
    expect((await post(url, { not: "an array" })).statusCode).toBe(400);
    const text = await gateway.app.inject({
      method: "POST",
      url,
      payload: "1",
      headers: { "content-type": "text/plain" },
    });
    expect([text.statusCode, text.json().code]).toEqual([415, "HTTP-MEDIA-TYPE"]);
    expect((await gateway.app.inject({ method: "POST", url })).statusCode).toBe(400);
  });
});

describe("push to a source with a secret", () => {
  const url = "/api/v1/graphs/late-flights/push/flights";
  const keysOf = (byte: number): WebhookKeys =>
    WebhookKeys.parse(`whsec_${Buffer.alloc(32, byte).toString("base64")}`) as WebhookKeys;
  const own = testGateway({ guard: { token: "a-long-secret" } });
  own.host.keys.set("flights", keysOf(1));
  afterAll(() => own.app.close());
  const send = (payload: string, headers: Readonly<Record<string, string>>, type = "application/json") =>
    own.app.inject({ method: "POST", url, payload, headers: { "content-type": type, ...headers } });

  it("takes what is signed, without the token and from any page, by its webhook-id and not by another key", async () => {
    const body = '[{"a":1},2]';
    const headers = { ...keysOf(1).sign("msg_1", Date.now(), body), "idempotency-key": "not-signed" };
    const answer = await send(body, { ...headers, origin: "https://elsewhere.example" });
    expect([answer.statusCode, answer.json().accepted]).toEqual([200, 2]);
    expect(own.host.calls.at(-1)?.key).toBe("msg_1");
    const lines = '{"a":2}\n"ő"\n';
    expect((await send(lines, keysOf(1).sign("msg_2", Date.now(), lines), "application/x-ndjson")).statusCode).toBe(
      200,
    );
    const object = '{"type":"user.created","data":{"id":7}}';
    expect((await send(object, keysOf(1).sign("msg_3", Date.now(), object))).json().accepted).toBe(1);
    expect(own.host.pushed).toEqual([{ a: 1 }, 2, { a: 2 }, "ő", { type: "user.created", data: { id: 7 } }]);
  });

  it("refuses what is not signed, signed wrongly or too old with 401, before it reads the body", async () => {
    const before = own.host.pushed.length;
    const body = "[1]";
    const now = Date.now();
    const refusals: readonly (readonly [reason: string, headers: Readonly<Record<string, string>>, body?: string])[] = [
      ["missing", {}],
      ["missing", { authorization: "Bearer a-long-secret" }],
      ["missing", {}, "{ no json"],
      ["wrong", keysOf(2).sign("m", now, body)],
      ["wrong", keysOf(1).sign("m", now, "[2]")],
      ["stale", keysOf(1).sign("m", now - 301_000, body)],
      ["stale", keysOf(1).sign("m", now + 302_000, body)],
    ];
    for (const [reason, headers, sent] of refusals) {
      const answer = await send(sent ?? body, headers);
      expect([answer.statusCode, answer.json()]).toEqual([
        401,
        expect.objectContaining({ code: "HTTP-SIGNATURE", details: { reason } }),
      ]);
    }
    const empty = await own.app.inject({ method: "POST", url, headers: keysOf(1).sign("m", now, "") });
    expect([empty.statusCode, empty.json().code]).toEqual([401, "HTTP-SIGNATURE"]);
    expect(own.host.pushed.length).toBe(before);
  });

  it("opens nothing else: other sources and routes need the token, other host names are refused", async () => {
    const headers = keysOf(1).sign("m", Date.now(), "[1]");
    const other = await own.app.inject({
      method: "POST",
      url: url.replace("push/flights", "push/late"),
      payload: [1],
      headers,
    });
    expect(other.json().code).toBe("HTTP-UNAUTHORIZED");
    const stop = await own.app.inject({
      method: "POST",
      url: "/api/v1/graphs/late-flights/stop",
      payload: {},
      headers,
    });
    expect(stop.json().code).toBe("HTTP-UNAUTHORIZED");
    expect((await send("[1]", { ...headers, host: "evil.example" })).statusCode).toBe(403);
  });
});

describe("health and metrics", () => {
  it("has series for the first thousands of nodes and edges, and counts what it leaves out", async () => {
    const nodes = Array.from({ length: 3000 }, (_, i) => nodeStatus(`n${i}`, "filter"));
    const edges = nodes.slice(1).map(({ node }, i) => edgeStatus(`n${i}`, node));
    const own = testGateway();
    own.host.add(graphStatus("wide", nodes, edges));
    const lines = (await own.app.inject("/metrics")).body.split("\n");
    const of = (name: string): number => lines.filter((line) => line.startsWith(`${name}{`)).length;
    expect(of("millrace_node_up") + of("millrace_edge_depth")).toBe(4000);
    // Of the graph that every test has, and of this one.
    expect(lines).toContain(`millrace_series_omitted ${3 + 2 + 3000 + 2999 - 4000}`);
    await own.app.close();
  });

  it.each(["/livez", "/health/live"])("%s answers while the process runs", async (url) => {
    expect((await get(url)).json()).toEqual({ status: "ok" });
  });

  it.each(["/readyz", "/healthz", "/health", "/health/ready"])("%s lists each check", async (url) => {
    const answer = await get(url);
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toMatchObject({
      status: "ok",
      checks: [{ name: "log", ok: true, detail: "writable" }],
      position: 30,
    });
  });

  it("is not ready while one check fails", async () => {
    const sick = testGateway({ health: () => ({ checks: [{ name: "log", ok: false, detail: "disk full" }] }) });
    const answer = await sick.app.inject("/readyz");
    expect([answer.statusCode, answer.json().status]).toEqual([503, "not-ready"]);
    expect((await sick.app.inject("/livez")).statusCode).toBe(200);
    await sick.app.close();
  });

  it("shows counters of graphs, nodes and edges as they are now, also after a second scrape", async () => {
    await get("/metrics");
    const { body } = await get("/metrics");
    expect(body).toContain('millrace_node_messages_out_total{graph="late-flights",node="flights",kind="source"} 100');
    expect(body).toContain('millrace_edge_depth{graph="late-flights",edge="flights -> late",via="local"} 700');
    expect(body).toContain('millrace_edge_aligning_lanes{graph="late-flights",edge="flights -> late",via="local"} 2');
    expect(body).toContain('millrace_edge_aligning_lanes{graph="late-flights",edge="late -> board",via="local"} 0');
    expect(body).toContain("millrace_log_position 30");
    expect(body).toContain('millrace_projection_lag_events{projection="departures"} 0');
    expect(body).toMatch(/millrace_http_requests_total\{method="GET",route="\/metrics",status="200"\} \d+/);
    expect((await get("/metrics/json")).json()).toBeInstanceOf(Array);
  });

  it("say of a node that runs on another host neither that it is up nor that it is down", async () => {
    const own = testGateway();
    const there = nodeStatus("there", "sink", { state: "stopped", isElsewhere: true });
    own.host.graphs.set("shared", graphStatus("shared", [nodeStatus("here", "sink"), there], []));
    const up = (await own.app.inject("/metrics")).body
      .split("\n")
      .filter((line) => /^millrace_node_up.*shared/.test(line));
    expect(up).toEqual(['millrace_node_up{graph="shared",node="here",kind="sink"} 1']);
    const { nodes } = (await own.app.inject("/api/v1/graphs/shared")).json();
    expect(nodes.map(({ isElsewhere }: { isElsewhere?: true }) => isElsewhere)).toEqual([undefined, true]);
    await own.app.close();
  });
});

describe("documentation", () => {
  it("describes every served route, and no other, as OpenAPI 3.1", async () => {
    const served = new Set<string>();
    const open = testGateway();
    open.app.addHook("onRoute", ({ method, url, schema }) => {
      const methods = (Array.isArray(method) ? method : [method]).filter((one) => one !== "HEAD");
      const isHidden = (schema as { hide?: boolean } | undefined)?.hide === true;
      if (!isHidden) for (const one of methods) served.add(`${one} ${url.replace(/:(\w+)/g, "{$1}")}`);
    });
    await open.app.ready();
    const document = (await open.app.inject("/docs/json")).json();
    const described = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.keys(item as object).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(document.openapi).toBe("3.1.0");
    expect(described.sort()).toEqual([...served].sort());
    expect(described.length).toBeGreaterThan(25);
    await open.app.close();
  });

  it("shows itself without inline scripts", async () => {
    const page = await get("/docs");
    expect(page.body).not.toMatch(/<script>[^<]/);
    expect(page.headers["content-security-policy"]).toContain("script-src 'self'");
    expect(page.headers["content-security-policy"]).not.toContain("unsafe");
    for (const [, file] of page.body.matchAll(/(?:src|href)="(\/docs\/static\/[^"]+)"/g)) {
      expect((await get(file as string)).statusCode).toBe(200);
    }
    expect((await get("/docs/static/constructor")).statusCode).toBe(404);
    expect((await get("/docs/static/..%2Fpackage.json")).statusCode).toBe(404);
  });

  it("publishes the schema of graph files", async () => {
    expect((await get("/schemas/graph.schema.json")).json()).toEqual({ type: "object" });
  });
});

describe("states of nodes", () => {
  const state: NodeState = {
    graph: "g",
    node: "n",
    kind: "window",
    stream: "g/n",
    asOf: 9,
    graphRevision: 1,
    revision: 3,
    epoch: 0,
    steps: 3,
    stepTimeMs: 1,
    watermarkMs: null,
    lanes: [],
    sent: { out: 4 },
    key: ["k"],
    rowCount: 3,
    rows: [{ k: 1 }, { k: 2 }, { k: 3 }],
  };
  const asked: unknown[] = [];
  const { rows: _rows, ...head } = state;
  const changes = state.rows.map((row) => ({ key: row, before: null, after: row }));
  const nodeStates: NodeStateReader = {
    at: (...query) => {
      asked.push(query.slice(0, -1));
      return Promise.resolve(state);
    },
    diff: (...query) => {
      asked.push(query.slice(0, -1));
      return Promise.resolve({
        graph: "g",
        node: "n",
        from: head,
        to: head,
        added: 3,
        removed: 0,
        changed: 0,
        changes,
      });
    },
    changes: (...query) => {
      asked.push(query.slice(0, -1));
      return Promise.resolve({
        from: 4,
        asOf: 9,
        changes: [2, 3].map((position) => ({ position }) as StateChange),
        total: 3,
        fields: ["k"],
      });
    },
  };
  const own = testGateway({ nodeStates });
  afterAll(() => own.app.close());
  const node = (path: string) => own.app.inject(`/api/v1/graphs/g/nodes/a%2Fb/state${path}`);

  it("are asked for by position, by time, or as they are now", async () => {
    expect((await node("?limit=2")).json()).toEqual({ ...state, rows: [{ k: 1 }, { k: 2 }] });
    await node("?at=17");
    await node("?at=2026-01-01T00:00:00Z");
    expect(asked.splice(0)).toEqual([
      ["g", "a/b", undefined],
      ["g", "a/b", { position: 17 }],
      ["g", "a/b", { timeMs: Date.UTC(2026, 0, 1) }],
    ]);
  });

  it("are compared, with all counted and as many shown as wanted", async () => {
    expect((await node("/diff?from=3&limit=1")).json()).toMatchObject({ added: 3, changes: [{ key: { k: 1 } }] });
    expect(asked.splice(0)).toEqual([["g", "a/b", { position: 3 }, undefined]]);
  });

  it("have changes, the newest of which are kept", async () => {
    const answer = (await node("/changes?field=k&limit=2")).json();
    expect(answer).toEqual({ from: 4, asOf: 9, changes: [{ position: 2 }, { position: 3 }], total: 3, fields: ["k"] });
    expect(asked.splice(0)).toEqual([["g", "a/b", "k", 2]]);
  });

  it.each(["?at=yesterday", "?at=-1", "?at=2026-13-45T99:99Z", "/diff", "/changes"])("refuse %s", async (path) => {
    expect((await node(path)).statusCode).toBe(400);
    expect(asked).toEqual([]);
  });

  it("are not there without somebody who folds them", async () => {
    expect((await get("/api/v1/graphs/g/nodes/n/state")).json()).toMatchObject({ code: "HTTP-NOT-FOUND" });
  });
});
