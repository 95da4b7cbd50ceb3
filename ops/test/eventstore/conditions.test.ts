/** Appends with a condition over tags and streams: over REST and by unmodified clients, of rivals exactly one passes. */
import { EventStoreDBClient, jsonEvent } from "@eventstore/db-client";
import { systemEnv } from "@millrace/engine";
import { buildGateway } from "@millrace/gateway";
import { Registry } from "prom-client";
import { afterEach, describe, expect, it } from "vitest";
import { LOGS, type LogKind, type ServedLog, serveLog } from "./served-log.ts";

const WRITERS = 8;
const SEATS = 12;
const RESERVED = /^orders\//;

const opened: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

type Gateway = ReturnType<typeof buildGateway>;

interface Served {
  readonly served: ServedLog;
  readonly client: EventStoreDBClient;
  readonly app: Gateway;
}

async function serve(kind: LogKind): Promise<Served> {
  const served = await serveLog(kind);
  opened.push(() => served.close());
  const client = EventStoreDBClient.connectionString(`esdb://${served.address}?tls=false`);
  opened.push(() => client.dispose());
  const nobody = { list: () => [], status: () => undefined } as never;
  const app = buildGateway({
    host: nobody,
    log: served.log,
    projections: nobody,
    deadLetters: nobody,
    metrics: new Registry(),
    health: () => ({ checks: [] }),
    env: systemEnv(),
    version: "test",
    isReserved: (stream) => RESERVED.test(stream),
  });
  opened.push(() => app.close());
  return { served, client, app };
}

interface Answer {
  readonly status: number;
  readonly body: {
    readonly position: number;
    readonly code?: string;
    readonly details?: { readonly position: number };
    readonly repeated?: boolean;
    readonly revisions?: readonly number[];
    readonly events: readonly { readonly position: number }[];
  };
}

async function post(app: Gateway, payload: object): Promise<Answer> {
  const { statusCode, body } = await app.inject({ method: "POST", url: "/api/v1/events", payload });
  return { status: statusCode, body: JSON.parse(body) as Answer["body"] };
}

const booked = (stream: string, tags: readonly string[], id?: string) => ({
  stream,
  events: [{ type: "Booked", data: { by: stream }, tags, ...(id === undefined ? {} : { id }) }],
});

async function tagged(app: Gateway, tag: string): Promise<readonly { readonly position: number }[]> {
  const { body } = await app.inject({ url: `/api/v1/events?direction=forward&tag=${encodeURIComponent(tag)}` });
  return (JSON.parse(body) as Answer["body"]).events;
}

describe.each(LOGS)("an append with a condition, over the %s log", (kind) => {
  it("passes for exactly one of the rivals for each seat, through whichever door they come", async () => {
    const { app, client, served } = await serve(kind);
    const wins: number[] = [];
    for (let seat = 0; seat < SEATS; seat++) {
      const tags = [`seat:${seat}`];
      const condition = { none: [{ tags, types: ["Booked"] }], after: served.log.durableEnd - 1 };
      const overRest = Array.from({ length: WRITERS }, async (_, i) => {
        const answer = await post(app, { appends: [booked(`writer-${i}`, tags)], condition });
        if (answer.status !== 200) expect(answer.body).toMatchObject({ code: "LOG-CONDITION" });
        return answer.status === 200;
      });
      const overGrpc = Array.from({ length: WRITERS }, (_, i) => {
        const event = jsonEvent({ type: "Booked", data: {}, metadata: { $tags: tags, $condition: condition } });
        const credentials = i % 2 === 0 ? { credentials: { username: "somebody", password: "" } } : {};
        return client.appendToStream(`client-${i}`, [event], credentials).then(
          () => true,
          (error: Error) => {
            expect(error.message).toMatch(/LOG-CONDITION: event \d+ \(Booked in /);
            return false;
          },
        );
      });
      // Of other seats: they stand in nobody's way.
      const others = post(app, { appends: [booked("others", [`seat:${seat}!`])] });
      wins.push((await Promise.all([...overRest, ...overGrpc])).filter(Boolean).length);
      expect(await others).toMatchObject({ status: 200 });
      expect(await tagged(app, `seat:${seat}`)).toHaveLength(1);
    }
    expect(wins).toEqual(Array(SEATS).fill(1));
  });

  it("knows what a stream of links to the events of a tag shows, which nobody writes to", async () => {
    const { app, client } = await serve(kind);
    await post(app, { appends: [booked("a", ["t"]), booked("b", ["other"]), booked("c", ["t", "other"])] });
    const streams: (string | undefined)[] = [];
    for await (const { event } of client.readStream("$tag-t", { resolveLinkTos: true })) streams.push(event?.streamId);
    expect(streams).toEqual(["a", "c"]);
    const last = client.readStream("$tag-other", { direction: "backwards", fromRevision: "end", maxCount: 1 });
    for await (const { event } of last) expect(event).toMatchObject({ revision: 1n, type: "$>" });
    await expect(client.appendToStream("$tag-t", [jsonEvent({ type: "X", data: {} })])).rejects.toThrow();
  });

  it("names the first position that breaks it, whichever stream that is in", async () => {
    const { app } = await serve(kind);
    await post(app, { appends: [booked("early", ["course:1"])] });
    const first = await post(app, { appends: [booked("a", ["course:1", "student:7"])] });
    await post(app, { appends: [booked("b", ["course:1", "student:7"])] });
    const asked = (after: number) => ({
      appends: [booked("c", ["student:7"])],
      condition: { none: [{ tags: ["student:7", "course:1"] }, { streamPrefix: "nobody" }], after },
    });
    expect(await post(app, asked(-1))).toMatchObject({
      status: 409,
      body: { code: "LOG-CONDITION", details: { position: first.body.position, stream: "a", type: "Booked" } },
    });
    expect(await post(app, asked(first.body.position + 1))).toMatchObject({ status: 200 });
  });

  it("is all or nothing over several streams, and a retry of it is the same append", async () => {
    const { app, served } = await serve(kind);
    const id = "0b5e5fd6-8a9e-4f5c-9d0e-3c1d7a4b2f10";
    const request = {
      appends: [booked("x", ["t"], id), booked("y", ["u"])],
      condition: { none: [{ tags: ["t"] }], after: -1 },
    };
    expect(
      await post(app, { ...request, appends: [booked("x", ["t"]), { ...booked("y", ["u"]), expected: 5 }] }),
    ).toMatchObject({ status: 409, body: { code: "LOG-WRONG-REVISION" } });
    expect(served.log.durableEnd).toBe(0);
    const one = { ...request, appends: [booked("x", ["t"], id)] };
    expect(await post(app, one)).toMatchObject({ status: 200, body: { repeated: false, revisions: [0] } });
    expect(await post(app, one)).toMatchObject({ status: 200, body: { repeated: true, revisions: [0], position: 0 } });
    expect(await post(app, request)).toMatchObject({ status: 409, body: { code: "LOG-CONDITION" } });
    expect(served.log.durableEnd).toBe(1);
  });

  it("is refused where it could not hold, or where only Millrace writes", async () => {
    const { app, client, served } = await serve(kind);
    const free = { none: [{ tags: ["t"] }], after: -1 };
    const refusals: readonly (readonly [object, number, string])[] = [
      [{ appends: [booked("s", ["t"])], condition: { ...free, after: 10 } }, 400, "EVENTSTORE-INVALID"],
      [{ appends: [booked("s", ["t"])], condition: { none: [{}], after: -1 } }, 400, "HTTP-INVALID"],
      [{ appends: [booked("s", ["t"])], condition: { none: [{ tag: ["t"] }], after: -1 } }, 400, "HTTP-INVALID"],
      [{ appends: [booked("s", ["t"]), booked("s", ["u"])] }, 400, "HTTP-INVALID"],
      [
        { appends: [{ stream: "s", events: [{ type: "T", data: 1, metadata: { $condition: free } }] }] },
        400,
        "HTTP-INVALID",
      ],
      [{ appends: [booked("$retention", ["t"])] }, 400, "EVENTSTORE-DENIED"],
      [{ appends: [booked("orders/table", ["t"])] }, 400, "EVENTSTORE-DENIED"],
      [{ appends: [{ stream: "s", events: [{ type: "$streamDeleted", data: 1 }] }] }, 400, "EVENTSTORE-INVALID"],
    ];
    for (const [request, status, code] of refusals)
      expect(await post(app, request), JSON.stringify(request)).toMatchObject({ status, body: { code } });
    const event = jsonEvent({ type: "T", data: {}, metadata: { $condition: { none: "soup" } } });
    await expect(client.appendToStream("s", [event])).rejects.toThrow(/\$condition/);
    expect(served.log.durableEnd).toBe(0);
  });

  it("sees a stream closed by a client at once", async () => {
    const { app, client } = await serve(kind);
    await post(app, { appends: [booked("closed", ["t"])] });
    await client.tombstoneStream("closed");
    expect(await post(app, { appends: [booked("closed", ["t"])] })).toMatchObject({
      status: 409,
      body: { code: "EVENTSTORE-DELETED" },
    });
  });
});
