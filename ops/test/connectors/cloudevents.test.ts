/** CloudEvents from and to the reference library, over HTTP in every mode that there is. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { CloudEvent, HTTP, Kafka } from "cloudevents";
import { afterEach, expect, test, vi } from "vitest";
import { RunningGraph, WAIT } from "./running-graph.ts";
import { served } from "./served-graph.ts";

const ending: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

interface Request {
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** A server that understands events with the reference library alone. */
async function receiver(): Promise<{ readonly port: number; readonly requests: Request[] }> {
  const requests: Request[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (part: string) => {
      body += part;
    });
    request.on("end", () => {
      requests.push({ url: request.url ?? "", headers: request.headers as Record<string, string>, body });
      response.end();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ending.push(async () => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, requests };
}

const eventsAt = (requests: readonly Request[], url: string): readonly CloudEvent<unknown>[] =>
  requests
    .filter((request) => request.url === url)
    .flatMap(
      ({ headers, body }) => HTTP.toEvent<unknown>({ headers, body }) as CloudEvent<unknown> | CloudEvent<unknown>[],
    );

async function pushable(text: string): Promise<{ readonly running: RunningGraph; readonly push: string }> {
  const running = await RunningGraph.start(text);
  ending.push(() => running.stop());
  const app = await served(running);
  ending.push(() => app.close());
  return { running, push: `http://127.0.0.1:${app.port}/api/v1/graphs/g/push/in` };
}

const post = async (url: string, headers: object, body: unknown): Promise<number> =>
  (await fetch(url, { method: "POST", headers: headers as Record<string, string>, body: body as string })).status;

const eventOf = (id: string, more: object = {}): CloudEvent<unknown> =>
  new CloudEvent<unknown>({
    id,
    source: "/shop/e",
    type: "order.made",
    time: "2026-01-02T03:04:05.000Z",
    // The library neither encodes nor decodes header values, as the specification wants it; the codec's own test does.
    subject: "orders/eu-1",
    dataschema: "https://x.example/order",
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    datacontenttype: "application/json",
    data: { id, név: "ő" },
    ...more,
  });

test("events of the reference library come in and go out again in every mode as they were, each once", async () => {
  const { port, requests } = await receiver();
  const { push } = await pushable(`name: g
nodes:
  in:         { kind: source, from: "http:/in", format: cloudevents }
  batch:      { kind: sink, input: in, to: "http://127.0.0.1:${port}/batch", format: cloudevents }
  structured: { kind: sink, input: in, to: "http://127.0.0.1:${port}/structured", format: cloudevents, cloudevents: { mode: structured } }
  binary:     { kind: sink, input: in, to: "http://127.0.0.1:${port}/binary", format: cloudevents, cloudevents: { mode: binary } }
`);
  const sent = ["1", "2", "3", "4"].map((id) => eventOf(encodeURI(id)));
  const [first, second, ...rest] = sent as [CloudEvent<unknown>, CloudEvent<unknown>, ...CloudEvent<unknown>[]];
  for (let twice = 0; twice < 2; twice++) {
    for (const [event, mode] of [
      [first, HTTP.structured],
      [second, HTTP.binary],
    ] as const) {
      const { headers, body } = mode(event);
      expect(await post(push, headers, body)).toBe(200);
    }
    const type = "application/cloudevents-batch+json";
    expect(await post(push, { "content-type": type }, JSON.stringify(rest))).toBe(200);
  }
  for (const url of ["/batch", "/structured", "/binary"]) {
    await vi.waitFor(() => expect(eventsAt(requests, url).length).toBe(sent.length), WAIT);
    expect([url, eventsAt(requests, url).map((event) => event.toJSON())]).toEqual([
      url,
      sent.map((event) => event.toJSON()),
    ]);
  }
  console.log(`cloudevents: ${sent.length} events sent twice, 3 modes in, 3 modes out: 0 lost, 0 twice`);
}, 60_000);

test("what is no event is a dead letter that names the attribute, and the rest goes through", async () => {
  const { port, requests } = await receiver();
  const { running, push } = await pushable(`name: g
nodes:
  in:  { kind: source, from: "http:/in", format: cloudevents }
  out: { kind: sink, input: in, to: "http://127.0.0.1:${port}/", format: cloudevents }
`);
  const bad = { ...eventOf("2").toJSON(), time: "yesterday" };
  const type = { "content-type": "application/cloudevents-batch+json" };
  expect(await post(push, type, JSON.stringify([eventOf("1"), bad, { id: "x" }]))).toBe(200);
  await vi.waitFor(() => expect(running.status().deadLettered).toBe(2), WAIT);
  await vi.waitFor(() => expect(eventsAt(requests, "/").map(({ id }) => id)).toEqual(["1"]), WAIT);
  let said = "";
  for await (const batch of running.log.read({ from: 0 }))
    for (const { payload } of batch) said += Buffer.from(payload).toString("latin1");
  for (const text of ["CLOUDEVENT-INVALID", "`time` of a CloudEvent", "`specversion` of a CloudEvent"])
    expect(said).toContain(text);
}, 60_000);

test("messages become events that the reference library takes, and a receiver takes each once by its id", async () => {
  const { port, requests } = await receiver();
  const { push } = await pushable(`name: g
nodes:
  in:  { kind: source, from: "http:/in" }
  out: { kind: sink, input: in, to: "http://127.0.0.1:${port}/", format: cloudevents, cloudevents: { type: order.made, subject: k, time: at } }
`);
  const rows = [1, 2].map((k) => ({ k, at: "2026-01-02T03:04:05Z" }));
  expect(await post(push, { "content-type": "application/json" }, JSON.stringify(rows))).toBe(200);
  await vi.waitFor(() => expect(eventsAt(requests, "/").length).toBe(2), WAIT);
  const events = eventsAt(requests, "/");
  expect(events).toMatchObject(
    rows.map((data) => ({ source: "/graphs/g/nodes/out", type: "order.made", subject: String(data.k), data })),
  );
  expect(new Set(events.map(({ id }) => id)).size).toBe(2);
  expect(events.every((event) => event.validate())).toBe(true);
}, 60_000);

test("what the reference library makes for Kafka is read from a row with its headers", async () => {
  const { port, requests } = await receiver();
  const { push } = await pushable(`name: g
nodes:
  in:  { kind: source, from: "http:/in", format: cloudevents }
  out: { kind: sink, input: in, to: "http://127.0.0.1:${port}/", format: cloudevents }
`);
  const event = eventOf("1");
  const { headers, value } = Kafka.binary(event);
  const row = { topic: "t", partition: 0, offset: 1, time: 1, key: null, headers, value };
  expect(await post(push, { "content-type": "application/json" }, JSON.stringify([row]))).toBe(200);
  await vi.waitFor(() => expect(eventsAt(requests, "/").map((one) => one.toJSON())).toEqual([event.toJSON()]), WAIT);
}, 60_000);
